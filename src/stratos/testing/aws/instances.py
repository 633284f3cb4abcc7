"""How instances live: pending, running, stopping, stopped, shutting-down, terminated, each for as long as it takes.

moto changes its instances at once and is told of every change; what clients are shown is what stands here. Host
software runs on an instance from the end of its boot until it goes down.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stratos.base.clock import Clock
from stratos.providers.contract import CapacityType, MachineState, OfferingKey
from stratos.providers.simulated.host import HostDisk
from stratos.testing.aws.faults import AwsFaults

USER_SHUTDOWN = "Client.UserInitiatedShutdown: User initiated shutdown"
POWERED_OFF = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
RECLAIMED = "Server.SpotInstanceTermination: Spot instance termination"

UP = (MachineState.PENDING, MachineState.RUNNING)


@dataclass(slots=True)
class Instance:
    id: str
    region: str
    offering: OfferingKey
    image: str
    private_ip: str
    hostname: str
    launched_at: datetime  # or last started: EC2's LaunchTime
    client_token: str = ""
    tags: dict[str, str] = field(default_factory=dict)  # as at the launch
    state: MachineState = MachineState.PENDING
    reason: str = ""
    disk: HostDisk = field(default_factory=lambda: HostDisk(20))
    boots: int = 0
    timer: asyncio.TimerHandle | None = None
    reclaim_timer: asyncio.TimerHandle | None = None
    software: asyncio.Task[None] | None = None

    @property
    def spot(self) -> bool:
        return self.offering.capacity_type is CapacityType.SPOT


class Instances:
    def __init__(
        self,
        faults: AwsFaults,
        clock: Clock,
        *,
        software: Callable[[Instance], Awaitable[None]],
        changed: Callable[[Instance], None],
    ) -> None:
        self.by_id: dict[str, Instance] = {}
        self.starts: Counter[str] = Counter()  # by instance: how often it was started after it had been stopped
        self._faults = faults
        self._clock = clock
        self._software = software
        self._changed = changed
        self._software_tasks: set[asyncio.Task[None]] = set()

    def alive(self) -> list[Instance]:
        """Those that are not terminated, nor on their way to be."""
        return [instance for instance in self.by_id.values() if not instance.state.gone]

    def launch(self, instance: Instance) -> None:
        self.by_id[instance.id] = instance
        self._boot(instance)

    def start(self, instance: Instance) -> None:
        """Start a stopped instance. As on EC2, it gets a launch time that it never had before."""
        self.starts[instance.id] += 1
        instance.launched_at = max(self.launch_time(), instance.launched_at + timedelta(seconds=1))
        self._boot(instance)

    def stop(self, instance: Instance, reason: str, *, force: bool = False) -> None:
        timings = self._faults.timings
        self._halt(instance)
        self._enter(instance, MachineState.STOPPING, reason)
        seconds = timings.forced_stop if force else timings.stop
        self._later(instance, seconds, lambda: self._enter(instance, MachineState.STOPPED, reason))

    def terminate(self, instance: Instance, reason: str) -> None:
        if instance.state.gone:
            return
        self._halt(instance)
        if instance.reclaim_timer:
            instance.reclaim_timer.cancel()
        self._enter(instance, MachineState.SHUTTING_DOWN, reason)
        seconds = self._faults.timings.terminate
        self._later(instance, seconds, lambda: self._enter(instance, MachineState.TERMINATED, reason))

    def launch_time(self) -> datetime:
        """Now, in whole seconds as EC2 counts them."""
        return self._clock.now().replace(microsecond=0)

    async def close(self) -> None:
        """The power fails."""
        for instance in self.by_id.values():
            self._halt(instance)
            if instance.reclaim_timer:
                instance.reclaim_timer.cancel()
        await asyncio.gather(*self._software_tasks, return_exceptions=True)

    def _boot(self, instance: Instance) -> None:
        self._enter(instance, MachineState.PENDING, "")
        self._later(instance, self._faults.timings.pending, lambda: self._running(instance))

    def _running(self, instance: Instance) -> None:
        self._enter(instance, MachineState.RUNNING, "")
        self._later(instance, self._faults.timings.boot, lambda: self._booted(instance))

    def _booted(self, instance: Instance) -> None:
        instance.timer = None
        if self._faults.boots_to_hang:
            self._faults.boots_to_hang -= 1
            return
        instance.boots += 1
        instance.software = asyncio.create_task(self._run(instance), name=f"host {instance.id}")
        self._software_tasks.add(instance.software)
        instance.software.add_done_callback(self._software_tasks.discard)

    async def _run(self, instance: Instance) -> None:
        try:
            await self._software(instance)
        except Exception as error:
            # Nobody awaits a host's software. A fault in it is a bug of ours, and must not go unheard.
            context = {"message": f"the software of {instance.id} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _enter(self, instance: Instance, state: MachineState, reason: str) -> None:
        instance.state, instance.reason = state, reason
        self._changed(instance)

    def _later(self, instance: Instance, seconds: float, action: Callable[[], None]) -> None:
        instance.timer = asyncio.get_running_loop().call_later(seconds, action)

    def _halt(self, instance: Instance) -> None:
        if instance.timer:
            instance.timer.cancel()
            instance.timer = None
        if instance.software:
            instance.software.cancel()
            instance.software = None
