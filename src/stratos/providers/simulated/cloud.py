"""The simulated cloud itself: the provider contract, and beside it what a simulation needs to play fate.

A call waits for the network, pays its toll, and then takes effect at one moment; fault hooks are asked right before
and right after that moment. Everything that follows (boots, stops, terminations) happens on timers. The methods that
are not in the contract stand for the outside world: other people's hands on the console, the spot market, broken
hardware.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from stratos.apis.awsnodeclass import AWSNodeClass
from stratos.apis.meta import KubeObject
from stratos.base.clock import Clock
from stratos.catalog.allocatable import default_disk_gib, node_allocatable, node_capacity
from stratos.catalog.catalog import Catalog
from stratos.catalog.disks import disk_usd_per_hour
from stratos.catalog.instance_type import CapacityType, Offering
from stratos.providers.contract import (
    Disk,
    Interruption,
    InterruptionKind,
    LaunchRequest,
    Machine,
    MachineBusy,
    MachineGone,
    MachineNotFound,
    MachineShape,
    MachineState,
    NotStoppable,
    OfferingKey,
    ResolvedNodeClass,
)
from stratos.providers.contract.as_written import generated_profile
from stratos.providers.simulated.account import Account, default_account, has_tags
from stratos.providers.simulated.host import HostDisk, HostSoftware
from stratos.providers.simulated.hypervisor import Hypervisor
from stratos.providers.simulated.machines import Cost, SimulatedMachine, launched_machine
from stratos.providers.simulated.market import Quota, Stock, Toll
from stratos.providers.simulated.resolve import IMAGE_STREAMING, resolve_node_class
from stratos.providers.simulated.sales import Sales
from stratos.providers.simulated.saved import load_machines, save_machines
from stratos.providers.simulated.timings import Duration, TimingTable

T = TypeVar("T")

_USUAL_API_LATENCY = Duration(0.03, 0.08, 0.3)
_SETTLED = (MachineState.RUNNING, MachineState.STOPPED, MachineState.TERMINATED)
_USER_SHUTDOWN = "Client.UserInitiatedShutdown"


class CallMoment(StrEnum):
    BEFORE = "before"  # nothing has happened yet
    AFTER = "after"  # the effect is there, the caller does not know yet


FaultHook = Callable[[CallMoment, str, str], None]
"""Asked with the moment, the operation and its target: a machine's id, of a launch its token. It may raise anything."""


@dataclass(frozen=True, slots=True)
class Call:
    at_seconds: float
    operation: str
    target: str
    outcome: str  # ok, or the name of what was raised


@dataclass(slots=True, kw_only=True)
class CloudOptions:
    """How this cloud behaves. The defaults are those of a good day."""

    timings: TimingTable = field(default_factory=TimingTable)
    api_latency: Duration = _USUAL_API_LATENCY
    describe_lag_seconds: float = 0.0  # how long changes take to show in describe and list_by_tags
    calls_per_second: float = 100.0
    call_burst: int = 200
    stock_out_probability: float = 0.0  # for each offering tried
    max_vcpus: dict[CapacityType, int] = field(default_factory=dict)
    spot_interruptions_per_hour: float = 0.0  # of each running spot machine
    interruption_notice_seconds: float = 120.0
    tells_state_changes: bool = False  # of every machine that has started, stopped or ended
    terminated_shown_seconds: float = 3600.0
    calls_remembered: int = 100_000


class SimulatedCloud:
    """A `Provider`, and the reference for all others."""

    name = "simulated"

    def __init__(
        self,
        catalog: Catalog,
        *,
        clock: Clock,
        rng: random.Random,
        cluster_name: str = "my-cluster",
        account: Account | None = None,
        options: CloudOptions | None = None,
        software: HostSoftware | None = None,
        fault_hook: FaultHook | None = None,
    ) -> None:
        self.catalog = catalog
        self.account = account or default_account(catalog)
        self.options = options or CloudOptions()
        self.fault_hook = fault_hook
        # A generator for each use of chance: one more call must not change how long the next machine boots.
        self._chance_of_calls, self._chance_of_machines, stock_chance = (
            random.Random(rng.getrandbits(64)) for _ in range(3)
        )
        self.stock = Stock(stock_chance, self.options.stock_out_probability)
        self.calls: deque[Call] = deque(maxlen=self.options.calls_remembered)
        self.launches_by_token: Counter[str] = Counter()
        self.starts_by_token: Counter[str] = Counter()
        self._clock = clock
        self._cluster_name = cluster_name
        self._sales = Sales(
            catalog,
            self.account,
            self.stock,
            Quota(self.options.max_vcpus),
            clock=clock,
            used_vcpus=self._used_vcpus,
        )
        self._toll = Toll(self.options.calls_per_second, self.options.call_burst)
        self._machines: dict[str, SimulatedMachine] = {}
        self._shown: dict[str, Machine] = {}  # what describe and list_by_tags say
        self._forgotten: set[str] = set()  # terminated so long ago that calls find them no more
        self._machine_by_token: dict[str, SimulatedMachine] = {}
        self._notices: dict[str, Interruption] = {}
        self._listeners: list[asyncio.Queue[Interruption]] = []
        self._hypervisor = Hypervisor(
            region=catalog.region,
            clock=clock,
            rng=self._chance_of_machines,
            timings=self.options.timings,
            shape_of=self._shape_of,
            software=software,
            changed=self._changed,
        )

    # --- the contract ---

    async def launch(self, request: LaunchRequest) -> Machine:
        return await self._call("launch", request.token, lambda: self._launch(request))

    async def start(self, machine_id: str, token: str) -> None:
        await self._call("start", machine_id, lambda: self._start(self._existing(machine_id), token))

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        await self._call("stop", machine_id, lambda: self._stop(self._existing(machine_id), force))

    async def terminate(self, machine_id: str) -> None:
        await self._call("terminate", machine_id, lambda: self._terminate(self._known(machine_id)))

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        def effect() -> dict[str, Machine]:
            return {id_: self._shown[id_] for id_ in machine_ids if id_ in self._shown}

        return await self._call("describe", f"{len(machine_ids)} machines", effect)

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        def effect() -> tuple[Machine, ...]:
            return tuple(self._shown[id_] for id_ in sorted(self._shown) if has_tags(self._shown[id_].tags, tags))

        return await self._call("list_by_tags", ",".join(f"{key}={value}" for key, value in tags.items()), effect)

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        def effect() -> None:
            machine = self._known(machine_id)
            machine.set_tags(dict(tags))
            self._show(machine)

        await self._call("tag", machine_id, effect)

    async def interruptions(self) -> AsyncIterator[Interruption]:
        queue = asyncio.Queue[Interruption]()
        for notice in sorted(self._notices.values(), key=lambda notice: (notice.noticed_at, notice.machine_id)):
            queue.put_nowait(notice)
        self._listeners.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        def effect() -> ResolvedNodeClass:  # with drivers for GPUs, as all images have them here
            return resolve_node_class(node_class, self.account, self.catalog, self._cluster_name, arch)

        return await self._call("resolve", node_class.metadata.name, effect)

    async def release(self, node_class: KubeObject) -> None:
        def effect() -> None:
            if isinstance(node_class, AWSNodeClass):
                self.account.generated_profiles.discard(generated_profile(self._cluster_name, node_class))

        await self._call("release", node_class.metadata.name, effect)

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        type_ = self.catalog.instance_type(instance_type)
        cloud = self.catalog.cloud
        return MachineShape(
            instance_type=type_,
            capacity=node_capacity(cloud, type_, max_pods=max_pods, disk_gib=disk_gib),
            allocatable=node_allocatable(cloud, type_, max_pods=max_pods, disk_gib=disk_gib),
            offerings=self.catalog.offerings(instance_type),
        )

    # --- fate ---

    def outside_stop(self, machine_id: str) -> None:
        """Somebody stops the machine on the cloud's console."""
        self._stop(self._existing(machine_id), force=False)

    def outside_start(self, machine_id: str) -> None:
        """Somebody starts the machine on the cloud's console."""
        machine = self._existing(machine_id)
        if machine.seen.state is MachineState.STOPPED:
            self._hypervisor.start(machine)

    def outside_terminate(self, machine_id: str) -> None:
        """Somebody terminates the machine on the cloud's console."""
        self._terminate(self._existing(machine_id))

    def interrupt(self, machine_id: str, notice_seconds: float | None = None) -> None:
        """The cloud takes the machine back, after the notice. Zero seconds: without one."""
        machine = self._existing(machine_id)
        seconds = self.options.interruption_notice_seconds if notice_seconds is None else notice_seconds
        if machine.reclaim_timer:
            machine.reclaim_timer.cancel()
        machine.reclaim_timer = _later(seconds, lambda: self._reclaim(machine))
        if seconds > 0:
            deadline = self._clock.now() + timedelta(seconds=seconds)
            self._notice(machine_id, InterruptionKind.SPOT_INTERRUPTION, deadline)

    def recommend_rebalance(self, machine_id: str) -> None:
        """The cloud says that a spot machine is likelier than others to be taken back. Nothing has to come of it."""
        self._existing(machine_id)
        self._notice(machine_id, InterruptionKind.REBALANCE_RECOMMENDATION)

    def schedule_change(self, machine_id: str, in_seconds: float) -> None:
        """The cloud will stop the machine to mend its host, unless it has been stopped or ended before."""
        machine = self._existing(machine_id)
        if machine.reclaim_timer:
            machine.reclaim_timer.cancel()
        machine.reclaim_timer = _later(in_seconds, lambda: self._stop_for_maintenance(machine))
        deadline = self._clock.now() + timedelta(seconds=in_seconds)
        self._notice(machine_id, InterruptionKind.SCHEDULED_CHANGE, deadline)

    def hang_next_boots(self, count: int = 1) -> None:
        """The next boots never end: the cloud shows the machine as running, and no software starts on it."""
        self._hypervisor.boots_to_hang += count

    def do_not_hang(self) -> None:
        """Boots that have not begun yet end after all."""
        self._hypervisor.boots_to_hang = 0

    # --- what the outside may look at ---

    def machine(self, machine_id: str) -> Machine:
        """The machine as it is at this moment, whatever `describe` shows. Raises `MachineNotFound`."""
        machine = self._machines.get(machine_id)
        if machine is None:
            raise MachineNotFound(f"there was never a machine {machine_id!r}")
        return machine.seen

    def launched_by(self, token: str) -> Machine:
        """The machine of a token, as it is at this moment. Raises `MachineNotFound`."""
        machine = self._machine_by_token.get(token)
        if machine is None:
            raise MachineNotFound(f"no machine was launched with token {token!r}")
        return machine.seen

    def machines(self) -> tuple[Machine, ...]:
        """All that were ever launched, as they are at this moment, by age."""
        return tuple(machine.seen for machine in self._machines.values())

    def disk(self, machine_id: str) -> HostDisk:
        return self._known(machine_id).disk

    def cost_by_machine(self) -> dict[str, Cost]:
        """What each machine has cost until now."""
        for machine in self._machines.values():
            machine.settle(self._clock.monotonic())
        return {id_: machine.cost for id_, machine in self._machines.items()}

    def cost(self) -> Cost:
        return sum(self.cost_by_machine().values(), Cost())

    async def close(self) -> None:
        """All machines vanish, as when the power fails."""
        for machine in self._machines.values():
            if machine.reclaim_timer:
                machine.reclaim_timer.cancel()
        await self._hypervisor.cut_power(tuple(self._machines.values()))

    def save(self) -> bytes:
        """All machines, their disks and their costs, for `restore` in a later process."""
        for machine in self._machines.values():
            machine.settle(self._clock.monotonic())
        return save_machines(self._machines.values())

    def restore(self, saved: bytes) -> None:
        """Go on from where another cloud was saved: machines that were up boot again, as after a power failure.

        Raises `Invalid` when the bytes are not what `save` gave.
        """
        for machine in load_machines(saved, self._clock.monotonic()):
            self._machines[machine.seen.id] = machine
            self._machine_by_token[machine.request.token] = machine
            self._hypervisor.resume(machine)

    # --- how calls go ---

    async def _call(self, operation: str, target: str, effect: Callable[[], T]) -> T:
        outcome = "ok"
        try:
            await asyncio.sleep(self.options.api_latency.draw(self._chance_of_calls))
            self._toll.pay(operation, self._clock.monotonic())
            self._ask_fate(CallMoment.BEFORE, operation, target)
            result = effect()
            self._ask_fate(CallMoment.AFTER, operation, target)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self.calls.append(Call(self._clock.monotonic(), operation, target, outcome))
        return result

    def _ask_fate(self, moment: CallMoment, operation: str, target: str) -> None:
        if self.fault_hook:
            self.fault_hook(moment, operation, target)

    def _known(self, machine_id: str) -> SimulatedMachine:
        machine = self._machines.get(machine_id)
        if machine is None or machine_id in self._forgotten:
            raise MachineNotFound(f"there is no machine {machine_id!r}")
        return machine

    def _existing(self, machine_id: str) -> SimulatedMachine:
        machine = self._known(machine_id)
        if machine.seen.state.gone:
            raise MachineGone(f"machine {machine_id} is {machine.seen.state}")
        return machine

    # --- what calls do ---

    def _launch(self, request: LaunchRequest) -> Machine:
        launched = self._machine_by_token.get(request.token)
        if launched is None:
            self._sales.check(request)
            launched = self._create(request, self._sales.choose(request))
            self._machine_by_token[request.token] = launched
            self.launches_by_token[request.token] += 1
            self._hypervisor.cold_boot(launched)
        return launched.seen

    def _used_vcpus(self, capacity_type: CapacityType) -> int:
        return sum(
            self.catalog.instance_type(machine.seen.instance_type).vcpu
            for machine in self._machines.values()
            if machine.seen.capacity_type is capacity_type
            and machine.seen.state in (MachineState.PENDING, MachineState.RUNNING)
        )

    def _create(self, request: LaunchRequest, offering: Offering) -> SimulatedMachine:
        disks = request.disks or (Disk("/dev/xvda", default_disk_gib(self.catalog.cloud)),)
        machine = launched_machine(
            machine_id=self._new_id(),
            number=len(self._machines),
            region=self.catalog.region,
            request=request,
            offering=OfferingKey(offering.instance_type, offering.zone, offering.capacity_type),
            price_usd_per_hour=offering.price_usd_per_hour,
            disk=HostDisk(
                disks[0].size_gib,
                images={
                    image: size
                    for disk in disks
                    if disk.snapshot_id
                    for image, size in self.account.snapshots[disk.snapshot_id].items()
                },
                streams_images=IMAGE_STREAMING in request.settings,
            ),
            disk_usd_per_hour=sum(
                disk_usd_per_hour(disk.size_gib, disk.volume_type, iops=disk.iops, throughput=disk.throughput)
                for disk in disks
            ),
            launched_at=self._clock.now(),
            now=self._clock.monotonic(),
        )
        self._machines[machine.seen.id] = machine
        return machine

    def _new_id(self) -> str:
        while True:
            # A restored cloud may draw the ids of its former life again.
            machine_id = f"i-{self._chance_of_machines.getrandbits(68):017x}"
            if machine_id not in self._machines:
                return machine_id

    def _start(self, machine: SimulatedMachine, token: str) -> None:
        if token in machine.start_tokens:
            return
        if machine.seen.state is MachineState.STOPPING:
            raise MachineBusy(f"machine {machine.seen.id} is still stopping", hint="start it once it is stopped")
        if machine.seen.state is MachineState.STOPPED:
            self._sales.check_start(machine.seen.id, machine.offering)
            self.starts_by_token[token] += 1
            self._hypervisor.start(machine)
        machine.start_tokens.add(token)

    def _stop(self, machine: SimulatedMachine, force: bool) -> None:
        state = machine.seen.state
        if machine.seen.capacity_type is CapacityType.SPOT:
            raise NotStoppable(f"machine {machine.seen.id} is a spot machine: it can only run or be terminated")
        if state is MachineState.PENDING:
            raise MachineBusy(f"machine {machine.seen.id} is still pending", hint="stop it once it is running")
        if state is MachineState.RUNNING or (state is MachineState.STOPPING and force):
            self._hypervisor.stop(machine, _USER_SHUTDOWN, force=force)

    def _terminate(self, machine: SimulatedMachine) -> None:
        if not machine.seen.state.gone:
            self._hypervisor.terminate(machine, _USER_SHUTDOWN)

    # --- how machines change ---

    def _changed(self, machine: SimulatedMachine) -> None:
        """A machine entered another state: show it, and let go of what belonged to the former."""
        id_, state = machine.seen.id, machine.seen.state
        if state is MachineState.RUNNING:
            self._draw_interruption(machine)
        else:
            self._notices.pop(id_, None)
            if machine.reclaim_timer:
                machine.reclaim_timer.cancel()
                machine.reclaim_timer = None
        if state is MachineState.TERMINATED:
            _later(self.options.terminated_shown_seconds, lambda: self._forget(id_))
        self._show(machine)
        if self.options.tells_state_changes and state in _SETTLED:
            self._notice(id_, InterruptionKind.STATE_CHANGE)

    def _forget(self, machine_id: str) -> None:
        self._forgotten.add(machine_id)
        self._shown.pop(machine_id, None)

    def _show(self, machine: SimulatedMachine) -> None:
        """Let `describe` see the machine as it is now, after the usual lag."""
        seen = machine.seen
        if not self.options.describe_lag_seconds:
            self._shown[seen.id] = seen
        else:
            _later(self.options.describe_lag_seconds, lambda: self._shown.__setitem__(seen.id, seen))

    def _draw_interruption(self, machine: SimulatedMachine) -> None:
        rate = self.options.spot_interruptions_per_hour
        if rate and machine.seen.capacity_type is CapacityType.SPOT:
            seconds = self._chance_of_machines.expovariate(rate) * 3600
            machine.reclaim_timer = _later(seconds, lambda: self.interrupt(machine.seen.id))

    def _reclaim(self, machine: SimulatedMachine) -> None:
        machine.reclaim_timer = None
        self._hypervisor.terminate(machine, "Server.SpotInstanceTermination")

    def _stop_for_maintenance(self, machine: SimulatedMachine) -> None:
        machine.reclaim_timer = None
        self._hypervisor.stop(machine, "Server.ScheduledStop", force=False)

    def _notice(self, machine_id: str, kind: InterruptionKind, deadline: datetime | None = None) -> None:
        """Tell all who listen; those who come later hear the latest, as long as the machine is up."""
        notice = Interruption(machine_id, kind, self._clock.now(), deadline)
        if kind is not InterruptionKind.STATE_CHANGE:
            self._notices[machine_id] = notice
        for listener in self._listeners:
            listener.put_nowait(notice)

    def _shape_of(self, machine: SimulatedMachine) -> MachineShape:
        return self.shape(
            machine.seen.instance_type,
            max_pods=machine.request.bootstrap.max_pods,
            disk_gib=machine.disk.size_gib,
        )


def _later(seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, action)
