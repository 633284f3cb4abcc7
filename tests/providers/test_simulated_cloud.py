"""The simulator proves things about controllers only as far as this cloud misbehaves as told, and counts right."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.base.errors import Invalid, QuotaExceeded, StratosError, Throttled, Unavailable
from stratos.catalog.catalog import load_catalog
from stratos.providers.contract import (
    Bootstrap,
    CapacityType,
    Disk,
    Interruption,
    InterruptionKind,
    LaunchRequest,
    MachineBusy,
    MachineNotFound,
    MachineState,
    NotStoppable,
    OfferingKey,
    OutOfStock,
    Subnet,
)
from stratos.providers.simulated.cloud import CallMoment, CloudOptions, FaultHook, SimulatedCloud
from stratos.providers.simulated.host import Host, HostSoftware
from stratos.providers.simulated.resolve import BOOT_TIME, START_TIME
from stratos.providers.simulated.timings import Timings, TimingTable
from stratos.testing.virtual_time import VirtualClock, run

CATALOG = load_catalog("aws", "us-east-1")


def a_cloud(
    *,
    seed: int = 1,
    options: CloudOptions | None = None,
    software: HostSoftware | None = None,
    fault_hook: FaultHook | None = None,
) -> SimulatedCloud:
    return SimulatedCloud(
        CATALOG,
        clock=VirtualClock(),
        rng=random.Random(seed),
        options=options,
        software=software,
        fault_hook=fault_hook,
    )


def a_request(cloud: SimulatedCloud, token: str = "one", **fields: Any) -> LaunchRequest:
    request: dict[str, Any] = {
        "token": token,
        "instance_types": ("m5.large",),
        "subnets": tuple(Subnet(subnet.id, subnet.zone) for subnet in cloud.account.subnets),
        "image": cloud.account.images[0].id,
        "bootstrap": Bootstrap(cluster_name="test"),
    }
    return LaunchRequest(**{**request, **fields})


async def wait_state(cloud: SimulatedCloud, machine_id: str, state: MachineState) -> float:
    """When, on the loop's clock, the machine came to be in that state."""
    async with asyncio.timeout(3600):
        while True:
            if cloud.machine(machine_id).state is state:
                return asyncio.get_running_loop().time()
            await asyncio.sleep(0.05)


async def launched(cloud: SimulatedCloud, token: str = "one", **fields: Any) -> str:
    machine = await cloud.launch(a_request(cloud, token, **fields))
    await wait_state(cloud, machine.id, MachineState.RUNNING)
    return machine.id


async def stopped(cloud: SimulatedCloud, token: str = "one", **fields: Any) -> str:
    machine_id = await launched(cloud, token, **fields)
    await cloud.stop(machine_id)
    await wait_state(cloud, machine_id, MachineState.STOPPED)
    return machine_id


class Boots:
    """Host software that notes when it came up, and stays until it is cancelled."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self.at: list[float] = []
        self.running = 0

    async def __call__(self, host: Host) -> None:
        self.hosts.append(host)
        self.at.append(asyncio.get_running_loop().time())
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1


# --- time ---


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_boots_starts_and_stops_take_as_long_as_documented(seed: int) -> None:
    async def main() -> tuple[float, float, float]:
        boots, loop = Boots(), asyncio.get_running_loop()
        cloud = a_cloud(seed=seed, software=boots)
        asked = loop.time()
        machine_id = (await cloud.launch(a_request(cloud))).id
        await asyncio.sleep(400)
        cold = boots.at[0] - asked
        asked = loop.time()
        await cloud.stop(machine_id)
        stopping = await wait_state(cloud, machine_id, MachineState.STOPPED) - asked
        asked = loop.time()
        await cloud.start(machine_id, "start-1")
        await asyncio.sleep(60)
        return cold, stopping, boots.at[1] - asked

    cold, stopping, start = run(main())

    call = 0.35  # what the call itself and the looking may add
    assert 40 <= cold <= 300 + call
    assert 5 <= stopping <= 30 + call
    assert 15 <= start <= 25 + call


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_one_seed_gives_one_story(seed: int) -> None:
    """A failing simulation must fail the same way again."""

    async def story() -> list[object]:
        boots = Boots()
        cloud = a_cloud(seed=seed, software=boots, options=CloudOptions(stock_out_probability=0.3))
        for index in range(5):
            with suppress(OutOfStock):
                await cloud.launch(a_request(cloud, f"token-{index}"))
        await asyncio.sleep(400)
        return [cloud.machines(), boots.at, list(cloud.calls), cloud.cost()]

    assert run(story()) == run(story())


def test_timings_can_be_set_by_type_and_by_class() -> None:
    slow = Timings(start=Timings().start.exactly(100))

    async def main() -> list[float]:
        boots, took = Boots(), list[float]()
        cloud = a_cloud(software=boots, options=CloudOptions(timings=TimingTable(by_instance_type={"m5.xlarge": slow})))
        for instance_type, settings_ in (("m5.xlarge", {}), ("m5.large", {BOOT_TIME: "60s", START_TIME: "7s"})):
            machine_id = await stopped(cloud, instance_type, instance_types=(instance_type,), settings=settings_)
            await cloud.start(machine_id, "start-1")
            asked = asyncio.get_running_loop().time()
            await asyncio.sleep(120)
            took.append(boots.at[-1] - asked)
        return took

    assert run(main()) == [pytest.approx(100), pytest.approx(7)]


# --- machines ---


def test_a18_software_runs_from_boot_to_stop_and_finds_its_disk_again() -> None:
    async def main() -> None:
        boots = Boots()
        cloud = a_cloud(software=boots)
        machine_id = (await cloud.launch(a_request(cloud, disks=(Disk("/dev/xvda", 200),)))).id
        await asyncio.sleep(300)
        assert (boots.running, boots.hosts[0].first_boot, boots.hosts[0].disk.size_gib) == (1, True, 200)
        boots.hosts[0].disk.files["/cache"] = 7

        await cloud.stop(machine_id)
        await asyncio.sleep(60)
        assert boots.running == 0
        await cloud.start(machine_id, "start-1")
        await asyncio.sleep(60)

        assert (boots.running, boots.hosts[1].first_boot, boots.hosts[1].disk.files) == (1, False, {"/cache": 7})
        await cloud.close()

    run(main())


def test_a_host_that_powers_itself_off_is_stopped_not_terminated() -> None:
    async def turn_off(host: Host) -> None:
        host.power_off()

    async def main() -> None:
        cloud = a_cloud(software=turn_off)
        machine_id = (await cloud.launch(a_request(cloud))).id
        await wait_state(cloud, machine_id, MachineState.STOPPED)

        assert cloud.machine(machine_id).state_reason == "Client.InstanceInitiatedShutdown"

    run(main())


def test_software_of_an_earlier_boot_cannot_stop_the_machine_of_today() -> None:
    async def main() -> None:
        boots = Boots()
        cloud = a_cloud(software=boots)
        machine_id = (await cloud.launch(a_request(cloud))).id
        await asyncio.sleep(300)
        await cloud.stop(machine_id)
        await wait_state(cloud, machine_id, MachineState.STOPPED)
        await cloud.start(machine_id, "start-1")
        await asyncio.sleep(60)

        boots.hosts[0].power_off()
        assert cloud.machine(machine_id).state is MachineState.RUNNING
        await cloud.close()

    run(main())


def test_calls_that_make_no_sense_yet_say_so() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine = await cloud.launch(a_request(cloud))
        with pytest.raises(MachineBusy):
            await cloud.stop(machine.id)
        await wait_state(cloud, machine.id, MachineState.RUNNING)
        await cloud.stop(machine.id)
        with pytest.raises(MachineBusy):
            await cloud.start(machine.id, "start-1")
        await wait_state(cloud, machine.id, MachineState.STOPPED)
        await cloud.start(machine.id, "start-1")  # the refused token was not used up
        assert cloud.starts_by_token == {"start-1": 1}

    run(main())


def test_a_spot_machine_cannot_be_stopped() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud, capacity_type=CapacityType.SPOT)
        with pytest.raises(NotStoppable):
            await cloud.stop(machine_id)

    run(main())


OPERATIONS = st.sampled_from(
    ["launch", "start", "restart", "stop", "force", "terminate", "outside_stop", "outside_start", "interrupt", "wait"]
)
NEXT_STATES = {
    MachineState.PENDING: {MachineState.RUNNING, MachineState.STOPPING, MachineState.SHUTTING_DOWN},
    MachineState.RUNNING: {MachineState.STOPPING, MachineState.SHUTTING_DOWN},
    MachineState.STOPPING: {MachineState.STOPPED, MachineState.SHUTTING_DOWN},
    MachineState.STOPPED: {MachineState.PENDING, MachineState.SHUTTING_DOWN},
    MachineState.SHUTTING_DOWN: {MachineState.TERMINATED},
    MachineState.TERMINATED: set[MachineState](),
}


@given(story=st.lists(st.tuples(OPERATIONS, st.floats(0, 40)), max_size=25), seed=st.integers(0, 1000))
@settings(max_examples=100)
def test_whatever_is_asked_machines_follow_their_states_and_tokens_count_once(
    story: list[tuple[str, float]], seed: int
) -> None:
    async def main() -> None:
        boots = Boots()
        cloud = a_cloud(seed=seed, software=boots)
        machine_id = (await cloud.launch(a_request(cloud))).id
        seen = [cloud.machine(machine_id).state]

        def look(*_: object) -> None:
            if (state := cloud.machine(machine_id).state) is not seen[-1]:
                seen.append(state)

        cloud.fault_hook = look  # right before each call takes effect: a state may last no longer than that
        starts = 0
        for operation, pause in story:
            look()
            calls: dict[str, Coroutine[Any, Any, object]] = {
                "launch": cloud.launch(a_request(cloud)),
                "start": cloud.start(machine_id, f"start-{starts}"),
                "restart": cloud.start(machine_id, "start-0"),
                "stop": cloud.stop(machine_id),
                "force": cloud.stop(machine_id, force=True),
                "terminate": cloud.terminate(machine_id),
            }
            with suppress(StratosError):
                match operation:
                    case "outside_stop":
                        cloud.outside_stop(machine_id)
                    case "outside_start":
                        cloud.outside_start(machine_id)
                    case "interrupt":
                        cloud.interrupt(machine_id, pause)
                    case "wait":
                        pass
                    case _:
                        await calls.pop(operation)
            for unused in calls.values():
                unused.close()
            starts += operation == "start"
            for _ in range(max(1, int(pause / 0.5))):
                look()
                await asyncio.sleep(0.5)

        assert cloud.launches_by_token == {"one": 1}
        assert len(cloud.machines()) == 1
        assert all(count == 1 for count in cloud.starts_by_token.values())
        assert boots.running <= 1
        for before, after in itertools.pairwise(seen):
            assert after in NEXT_STATES[before], seen
        if seen[-1] is not MachineState.RUNNING:
            assert boots.running == 0
        await cloud.close()

    run(main())


# --- scarcity ---


def test_a_launch_goes_where_there_is_stock() -> None:
    """Subnets first, then the next type: diversification is worth something only if it is used."""

    async def main() -> None:
        cloud = a_cloud()
        types = ("m5.large", "m5a.large")
        cloud.stock.sell_out("m5.large", "us-east-1a")
        first = await cloud.launch(a_request(cloud, "first", instance_types=types))
        cloud.stock.sell_out("m5.large")
        second = await cloud.launch(a_request(cloud, "second", instance_types=types))
        cloud.stock.sell_out("m5a.large", capacity_type=CapacityType.ON_DEMAND)
        with pytest.raises(OutOfStock) as caught:
            await cloud.launch(a_request(cloud, "third", instance_types=types))

        assert (first.instance_type, first.zone) == ("m5.large", "us-east-1b")
        assert (second.instance_type, second.zone) == ("m5a.large", "us-east-1a")
        assert OfferingKey("m5a.large", "us-east-1a", CapacityType.ON_DEMAND) in caught.value.tried
        assert "m5.large on-demand in us-east-1a is out of stock" in caught.value.explain()
        assert len(cloud.machines()) == 2
        cloud.stock.restock()
        third = await cloud.launch(a_request(cloud, "third", instance_types=types))
        assert third.instance_type == "m5.large"

    run(main())


def test_a_stopped_machine_may_find_no_host_to_start_on() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine_id = await stopped(cloud)
        cloud.stock.sell_out("m5.large")
        with pytest.raises(OutOfStock):
            await cloud.start(machine_id, "start-1")
        assert cloud.machine(machine_id).state is MachineState.STOPPED
        cloud.stock.restock()
        await cloud.start(machine_id, "start-1")
        assert cloud.machine(machine_id).state is MachineState.PENDING

    run(main())


def test_quotas_count_running_machines_and_not_stopped_ones() -> None:
    async def main() -> None:
        cloud = a_cloud(options=CloudOptions(max_vcpus={CapacityType.ON_DEMAND: 4}))
        await launched(cloud, "first")
        second = await launched(cloud, "second")
        with pytest.raises(QuotaExceeded) as caught:
            await cloud.launch(a_request(cloud, "third"))
        assert "quota 4 vCPUs, 4 in use" in caught.value.looked_at
        await launched(cloud, "spot", capacity_type=CapacityType.SPOT)
        await cloud.stop(second)
        await launched(cloud, "third")

    run(main())


def test_too_many_calls_are_throttled_and_told_when_to_come_back() -> None:
    async def main() -> None:
        cloud = a_cloud(options=CloudOptions(calls_per_second=1, call_burst=2))
        results = await asyncio.gather(*(cloud.describe([]) for _ in range(5)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, Throttled)]
        assert len(refused) == 3
        await asyncio.sleep(refused[0].retry_after_seconds or 0)
        assert await cloud.describe([]) == {}

    run(main())


def test_a_price_limit_keeps_spot_machines_away() -> None:
    async def main() -> None:
        cloud = a_cloud()
        request = a_request(cloud, capacity_type=CapacityType.SPOT, max_price_usd_per_hour=0.000001)
        with pytest.raises(OutOfStock):
            await cloud.launch(request)

    run(main())


# --- interruptions ---


@asynccontextmanager
async def a_listener(cloud: SimulatedCloud) -> AsyncIterator[list[str]]:
    heard: list[str] = []

    def hear(notice: Interruption) -> None:
        heard.append(notice.machine_id)

    async def listen() -> None:
        async for notice in cloud.interruptions():
            hear(notice)

    task = asyncio.ensure_future(listen())
    await asyncio.sleep(0)
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_an_interruption_is_announced_to_all_and_then_carried_out() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud, capacity_type=CapacityType.SPOT)
        async with a_listener(cloud) as early:
            cloud.interrupt(machine_id)
            await asyncio.sleep(60)
            async with a_listener(cloud) as late:  # a controller that was restarted in between
                await asyncio.sleep(59)
                assert cloud.machine(machine_id).state is MachineState.RUNNING
                await asyncio.sleep(2)
                assert cloud.machine(machine_id).state.gone
                assert (early, late) == ([machine_id], [machine_id])
        assert cloud.machine(machine_id).state_reason == "Server.SpotInstanceTermination"

    run(main())


def test_the_notice_says_when_the_machine_will_be_gone() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud, capacity_type=CapacityType.SPOT)
        cloud.interrupt(machine_id)
        notice = await anext(cloud.interruptions())
        assert notice.deadline == notice.noticed_at + timedelta(minutes=2)

    run(main())


def test_a_rebalance_recommendation_names_no_deadline_and_takes_nothing_back() -> None:
    """It is advice: who has a better place for the pods may take it, and the machine goes on."""

    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud, capacity_type=CapacityType.SPOT)
        cloud.recommend_rebalance(machine_id)
        notice = await anext(cloud.interruptions())
        assert (notice.kind, notice.deadline) == (InterruptionKind.REBALANCE_RECOMMENDATION, None)
        await asyncio.sleep(600)
        assert cloud.machine(machine_id).state is MachineState.RUNNING

    run(main())


def test_a_scheduled_change_stops_the_machine_at_its_date() -> None:
    """The host is mended, whoever runs there: who did not move in time goes down with it."""

    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud)
        cloud.schedule_change(machine_id, in_seconds=3600)
        notice = await anext(cloud.interruptions())
        assert notice.kind is InterruptionKind.SCHEDULED_CHANGE
        assert notice.deadline == notice.noticed_at + timedelta(hours=1)
        await asyncio.sleep(3500)
        assert cloud.machine(machine_id).state is MachineState.RUNNING
        await asyncio.sleep(600)
        assert cloud.machine(machine_id).state is MachineState.STOPPED

    run(main())


def test_state_changes_are_told_by_a_cloud_that_tells_them() -> None:
    """Whoever listens need not ask every few seconds what has become of a machine."""

    async def main() -> None:
        cloud = a_cloud(options=CloudOptions(tells_state_changes=True))
        notices = cloud.interruptions()
        first = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        machine_id = await launched(cloud)
        told = await first
        assert (told.kind, told.machine_id) == (InterruptionKind.STATE_CHANGE, machine_id)

    run(main())


def test_spot_machines_are_interrupted_by_chance_and_others_are_not() -> None:
    async def main() -> None:
        cloud = a_cloud(options=CloudOptions(spot_interruptions_per_hour=1.0))
        for index in range(10):
            await launched(cloud, f"spot-{index}", capacity_type=CapacityType.SPOT)
        ordinary = await launched(cloud, "ordinary")
        await asyncio.sleep(6 * 3600)
        gone = [machine for machine in cloud.machines() if machine.state.gone]
        assert len(gone) >= 9
        assert cloud.machine(ordinary).state is MachineState.RUNNING

    run(main())


# --- faults ---


@pytest.mark.parametrize(("moment", "machines"), [(CallMoment.BEFORE, 0), (CallMoment.AFTER, 1)])
def test_a_fault_strikes_before_or_after_the_effect_and_a_retry_heals_both(moment: CallMoment, machines: int) -> None:
    """The two ways a crash can fall: the token makes them equal in the end."""
    armed = [True]

    def strike(at: CallMoment, operation: str, target: str) -> None:
        if operation == "launch" and at is moment and armed:
            armed.clear()
            raise Unavailable("the connection broke")

    async def main() -> None:
        cloud = a_cloud(fault_hook=strike)
        with pytest.raises(Unavailable):
            await cloud.launch(a_request(cloud))
        assert len(cloud.machines()) == machines
        await cloud.launch(a_request(cloud))
        assert len(cloud.machines()) == 1
        assert [call.outcome for call in cloud.calls] == ["Unavailable", "ok"]

    run(main())


def test_describe_lags_as_told() -> None:
    async def main() -> None:
        cloud = a_cloud(options=CloudOptions(describe_lag_seconds=5))
        machine = await cloud.launch(a_request(cloud))
        assert await cloud.describe([machine.id]) == {}
        await asyncio.sleep(6)
        assert (await cloud.describe([machine.id]))[machine.id].state is MachineState.PENDING

    run(main())


def test_terminated_machines_are_shown_for_an_hour() -> None:
    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud)
        await cloud.terminate(machine_id)
        await asyncio.sleep(3000)
        assert (await cloud.describe([machine_id]))[machine_id].state is MachineState.TERMINATED
        await asyncio.sleep(1000)
        assert await cloud.describe([machine_id]) == {}
        with pytest.raises(MachineNotFound):
            await cloud.tag(machine_id, {"late": "tag"})
        assert await cloud.list_by_tags({}) == ()

    run(main())


# --- money ---


def test_a_machine_costs_while_it_runs_and_its_disk_until_it_is_gone() -> None:
    """The promise of warm pools is in this sum: what standby costs, and what it saves."""

    async def main() -> None:
        cloud = a_cloud()
        machine_id = await launched(cloud, disks=(Disk("/dev/xvda", 100),))
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        await cloud.stop(machine_id)
        running_hours = (asyncio.get_running_loop().time() - began) / 3600
        await asyncio.sleep(9 * 3600)
        await cloud.terminate(machine_id)
        cost = cloud.cost_by_machine()[machine_id]
        await asyncio.sleep(3600)

        assert cost.machines_usd == pytest.approx(0.096 * running_hours, rel=1e-3)
        assert cost.disks_usd == pytest.approx(100 * 0.08 / 730 * 10, rel=0.01)
        assert cloud.cost().total_usd == pytest.approx(cost.total_usd, rel=0.01)

    run(main())


# --- memory ---


def test_a_saved_cloud_goes_on_where_it_was() -> None:
    """Stopping the process must not cost the pool its machines, nor the machines their disks."""

    async def first_life() -> tuple[bytes, str, str, float]:
        boots = Boots()
        cloud = a_cloud(software=boots)
        standby, serving = await stopped(cloud, "standby"), await launched(cloud, "serving")
        cloud.disk(standby).images["app:1"] = 5
        await asyncio.sleep(300)
        saved, cost = cloud.save(), cloud.cost().total_usd
        await cloud.close()
        return saved, standby, serving, cost

    async def second_life(saved: bytes, standby: str, serving: str, cost: float) -> None:
        boots = Boots()
        cloud = a_cloud(software=boots)
        cloud.restore(saved)
        assert cloud.cost().total_usd == pytest.approx(cost)
        assert (await cloud.launch(a_request(cloud, "serving"))).id == serving
        assert (await cloud.describe([standby]))[standby].state is MachineState.STOPPED
        assert cloud.disk(standby).images == {"app:1": 5}
        await asyncio.sleep(60)
        assert [(host.machine_id, host.first_boot) for host in boots.hosts] == [(serving, False)]
        assert (await cloud.launch(a_request(cloud, "new"))).id not in (standby, serving)
        await cloud.close()

    run(second_life(*run(first_life())))


def test_nonsense_is_not_taken_for_a_saved_cloud() -> None:
    async def main() -> None:
        with pytest.raises(Invalid):
            a_cloud().restore(b'[{"seen": 1}]')

    run(main())
