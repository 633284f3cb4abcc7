"""The provider contract as tests that any provider must pass.

A provider's own test module lists them: ``pytest.mark.parametrize("check", CONTRACT, ids=check_name)``, and calls
each with a fresh `ContractCase` inside an event loop. Nothing here knows how the cloud is made; it only waits for
states, for as long as the case allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from stratos.base.errors import Invalid, NotFound
from stratos.providers.contract import (
    Bootstrap,
    LaunchRequest,
    Machine,
    MachineGone,
    MachineNotFound,
    MachineState,
    Provider,
    ResolvedNodeClass,
    Subnet,
)


@dataclass(frozen=True, slots=True)
class ContractCase:
    """A provider to check, and a class of machine that it can launch."""

    provider: Provider
    node_class: ResolvedNodeClass
    token_prefix: str = "contract"  # a fresh one for each run against a cloud that remembers
    patience_seconds: float = 900.0
    poll_seconds: float = 1.0

    def request(self, name: str) -> LaunchRequest:
        return self.node_class.launch_request(
            token=f"{self.token_prefix}-{name}",
            bootstrap=Bootstrap(cluster_name="contract"),
            tags={"stratos.sh/contract": self.token_prefix, "name": name},
        )

    async def launch_running(self, name: str) -> Machine:
        machine = await self.provider.launch(self.request(name))
        return await self.wait_until(machine.id, MachineState.RUNNING)

    async def launch_stopped(self, name: str) -> Machine:
        machine = await self.launch_running(name)
        await self.provider.stop(machine.id)
        return await self.wait_until(machine.id, MachineState.STOPPED)

    async def wait_until(self, machine_id: str, state: MachineState) -> Machine:
        async with asyncio.timeout(self.patience_seconds):
            while True:
                seen = (await self.provider.describe([machine_id])).get(machine_id)
                if seen and seen.state is state:
                    return seen
                await asyncio.sleep(self.poll_seconds)


async def a_launched_machine_is_as_asked_and_comes_to_run(case: ContractCase) -> None:
    request = case.request("as-asked")

    machine = await case.provider.launch(request)
    running = await case.wait_until(machine.id, MachineState.RUNNING)

    assert running.instance_type in request.instance_types
    assert running.zone in {subnet.zone for subnet in request.subnets}
    assert running.capacity_type is request.capacity_type
    assert running.image == request.image
    assert request.tags.items() <= running.tags.items()
    assert running.provider_id and running.price_usd_per_hour > 0


async def the_same_launch_token_is_the_same_machine(case: ContractCase) -> None:
    """A controller that crashed before it read the answer asks again, perhaps in other words."""
    request = case.request("same-token")

    first = await case.provider.launch(request)
    again = await case.provider.launch(request)
    otherwise = await case.provider.launch(replace(request, tags={**request.tags, "name": "other"}))

    assert first.id == again.id == otherwise.id
    await case.wait_until(first.id, MachineState.RUNNING)
    mine = [machine for machine in await _all(case) if machine.id == first.id]
    assert len(mine) == 1


async def launch_tokens_outlive_their_machines(case: ContractCase) -> None:
    """A late retry must not bring back what was already ended."""
    request = case.request("outlived")
    machine = await case.provider.launch(request)
    await case.wait_until(machine.id, MachineState.RUNNING)
    await case.provider.terminate(machine.id)
    await case.wait_until(machine.id, MachineState.TERMINATED)

    assert (await case.provider.launch(request)).id == machine.id


async def different_tokens_are_different_machines(case: ContractCase) -> None:
    first = await case.provider.launch(case.request("first"))
    second = await case.provider.launch(case.request("second"))

    assert first.id != second.id


async def a_machine_stops_and_starts_again(case: ContractCase) -> None:
    machine = await case.launch_stopped("cycle")

    await case.provider.start(machine.id, "cycle-1")

    again = await case.wait_until(machine.id, MachineState.RUNNING)
    assert (again.provider_id, again.zone) == (machine.provider_id, machine.zone)


async def a_start_token_starts_a_machine_once(case: ContractCase) -> None:
    """The retry of a start that was answered long ago must not wake a machine that was parked since."""
    machine = await case.launch_stopped("once")
    await case.provider.start(machine.id, "once-1")
    await case.wait_until(machine.id, MachineState.RUNNING)
    await case.provider.stop(machine.id)
    await case.wait_until(machine.id, MachineState.STOPPED)

    await case.provider.start(machine.id, "once-1")

    await asyncio.sleep(10 * case.poll_seconds)
    assert (await case.provider.describe([machine.id]))[machine.id].state is MachineState.STOPPED
    await case.provider.start(machine.id, "once-2")
    await case.wait_until(machine.id, MachineState.RUNNING)


async def starting_what_runs_and_stopping_what_is_stopped_changes_nothing(case: ContractCase) -> None:
    machine = await case.launch_running("idle")
    await case.provider.start(machine.id, "idle-1")
    assert (await case.provider.describe([machine.id]))[machine.id].state is MachineState.RUNNING

    await case.provider.stop(machine.id)
    await case.provider.stop(machine.id, force=True)
    await case.wait_until(machine.id, MachineState.STOPPED)
    await case.provider.stop(machine.id)
    assert (await case.provider.describe([machine.id]))[machine.id].state is MachineState.STOPPED


async def a_terminated_machine_is_gone_for_good(case: ContractCase) -> None:
    machine = await case.launch_running("ended")
    await case.provider.terminate(machine.id)
    await case.provider.terminate(machine.id)
    await case.wait_until(machine.id, MachineState.TERMINATED)

    assert await _raised(case.provider.start(machine.id, "ended-1"), MachineGone, MachineNotFound)
    assert await _raised(case.provider.stop(machine.id), MachineGone, MachineNotFound)


async def a_stopped_machine_can_be_terminated(case: ContractCase) -> None:
    machine = await case.launch_stopped("stopped-then-ended")

    await case.provider.terminate(machine.id)

    await case.wait_until(machine.id, MachineState.TERMINATED)


async def unknown_machines_are_said_to_be_unknown(case: ContractCase) -> None:
    nobody = "i-00000000000000000"

    assert await case.provider.describe([nobody]) == {}
    assert await _raised(case.provider.start(nobody, "nobody-1"), MachineNotFound)
    assert await _raised(case.provider.stop(nobody), MachineNotFound)
    assert await _raised(case.provider.terminate(nobody), MachineNotFound)
    assert await _raised(case.provider.tag(nobody, {"a": "b"}), MachineNotFound)


async def machines_are_found_by_all_their_tags(case: ContractCase) -> None:
    machine = await case.launch_running("tagged")
    await case.provider.tag(machine.id, {"stratos.sh/state": "standby"})
    await asyncio.sleep(10 * case.poll_seconds)

    wanted = {"stratos.sh/contract": case.token_prefix, "name": "tagged", "stratos.sh/state": "standby"}
    found = await case.provider.list_by_tags(wanted)
    missed = await case.provider.list_by_tags({**wanted, "name": "other"})

    assert [each.id for each in found] == [machine.id]
    assert missed == ()


async def what_does_not_exist_cannot_be_launched(case: ContractCase) -> None:
    """Nothing may be launched for a request that was refused."""
    request = case.request("refused")
    refused = (
        replace(request, image="ami-doesnotexist"),
        replace(request, instance_types=("z9.huge",)),
        replace(request, subnets=(Subnet("subnet-none", request.subnets[0].zone),)),
    )

    for each in refused:
        assert await _raised(case.provider.launch(each), Invalid)
    await asyncio.sleep(10 * case.poll_seconds)
    assert [machine for machine in await _all(case) if machine.tags.get("name") == "refused"] == []


async def shapes_come_from_the_catalog(case: ContractCase) -> None:
    shape = case.provider.shape(case.node_class.instance_type)

    assert shape.instance_type.name == case.node_class.instance_type
    assert 0 < shape.allocatable["cpu"] < shape.capacity["cpu"]
    assert 0 < shape.allocatable["memory"] < shape.capacity["memory"]
    try:
        case.provider.shape("z9.huge")
    except NotFound:
        return
    raise AssertionError("a type that does not exist has a shape")


Check = Callable[[ContractCase], Awaitable[None]]

CONTRACT: tuple[Check, ...] = (
    a_launched_machine_is_as_asked_and_comes_to_run,
    the_same_launch_token_is_the_same_machine,
    launch_tokens_outlive_their_machines,
    different_tokens_are_different_machines,
    a_machine_stops_and_starts_again,
    a_start_token_starts_a_machine_once,
    starting_what_runs_and_stopping_what_is_stopped_changes_nothing,
    a_terminated_machine_is_gone_for_good,
    a_stopped_machine_can_be_terminated,
    unknown_machines_are_said_to_be_unknown,
    machines_are_found_by_all_their_tags,
    what_does_not_exist_cannot_be_launched,
    shapes_come_from_the_catalog,
)


def check_name(check: Check) -> str:
    """How a check is called in a test's id."""
    return getattr(check, "__name__", "check").replace("_", "-")


async def _all(case: ContractCase) -> tuple[Machine, ...]:
    return await case.provider.list_by_tags({"stratos.sh/contract": case.token_prefix})


async def _raised(call: Awaitable[object], *expected: type[Exception]) -> bool:
    try:
        await call
    except expected:
        return True
    return False
