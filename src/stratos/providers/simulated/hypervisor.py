"""How simulated machines live: from one state to the next on timers, with the host's own software in between.

It carries out what was decided; whether a machine may start or stop is the cloud's to say.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from stratos.base.clock import Clock
from stratos.base.duration import parse_duration_seconds
from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract import MachineShape, MachineState
from stratos.providers.simulated.host import Host, HostSoftware
from stratos.providers.simulated.machines import SimulatedMachine
from stratos.providers.simulated.resolve import BOOT_TIME, START_TIME
from stratos.providers.simulated.timings import PENDING_SHARE, Duration, Timings, TimingTable

POWERED_OFF = "Client.InstanceInitiatedShutdown"
"""The reason of a stop that the host's own software asked for."""


class Hypervisor:
    def __init__(
        self,
        *,
        region: str,
        clock: Clock,
        rng: random.Random,
        timings: TimingTable,
        shape_of: Callable[[SimulatedMachine], MachineShape],
        software: HostSoftware | None,
        changed: Callable[[SimulatedMachine], None],
    ) -> None:
        self._region = region
        self._clock = clock
        self._rng = rng
        self._timings = timings
        self._shape_of = shape_of
        self._software = software
        self._changed = changed
        self.boots_to_hang = 0

    def cold_boot(self, machine: SimulatedMachine) -> None:
        """A machine that was just launched."""
        self._boot(machine, self._duration(machine, BOOT_TIME, self._timings_of(machine).cold_boot))

    def start(self, machine: SimulatedMachine) -> None:
        """A machine that was stopped, with its disk as it was."""
        self._boot(machine, self._duration(machine, START_TIME, self._timings_of(machine).start))

    def stop(self, machine: SimulatedMachine, reason: str, *, force: bool = False) -> None:
        """End the software and, a little later, the machine. ``force`` hurries a stop that is under way, too."""
        timings = self._timings_of(machine)
        self._halt(machine)
        self._enter(machine, MachineState.STOPPING, reason)
        seconds = (timings.forced_stop if force else timings.stop).draw(self._rng)
        self._later(machine, seconds, lambda: self._enter(machine, MachineState.STOPPED, reason))

    def terminate(self, machine: SimulatedMachine, reason: str) -> None:
        """End the machine and its disk."""
        self._halt(machine)
        self._enter(machine, MachineState.SHUTTING_DOWN, reason)

        def terminated() -> None:
            machine.disk.images.clear()
            machine.disk.files.clear()
            self._enter(machine, MachineState.TERMINATED, reason)

        self._later(machine, self._timings_of(machine).terminate.draw(self._rng), terminated)

    def resume(self, machine: SimulatedMachine) -> None:
        """After `cut_power`, in this process or another: what was up comes up, what was going down is down."""
        match machine.seen.state:
            case MachineState.PENDING if not machine.boots:
                self.cold_boot(machine)
            case MachineState.PENDING | MachineState.RUNNING:
                self.start(machine)
            case MachineState.STOPPING:
                self._enter(machine, MachineState.STOPPED, machine.seen.state_reason)
            case MachineState.SHUTTING_DOWN:
                self._enter(machine, MachineState.TERMINATED, machine.seen.state_reason)
            case MachineState.STOPPED | MachineState.TERMINATED:
                self._changed(machine)

    async def cut_power(self, machines: tuple[SimulatedMachine, ...]) -> None:
        """Everything ends where it is, and nothing happens any more."""
        software = [machine.software for machine in machines if machine.software]
        for machine in machines:
            self._halt(machine)
        await asyncio.gather(*software, return_exceptions=True)

    def _boot(self, machine: SimulatedMachine, seconds: float) -> None:
        self._enter(machine, MachineState.PENDING, "")
        self._later(machine, seconds * PENDING_SHARE, lambda: self._running(machine, seconds * (1 - PENDING_SHARE)))

    def _running(self, machine: SimulatedMachine, seconds_to_boot: float) -> None:
        self._enter(machine, MachineState.RUNNING, "")
        self._later(machine, seconds_to_boot, lambda: self._booted(machine))

    def _booted(self, machine: SimulatedMachine) -> None:
        machine.timer = None
        if self.boots_to_hang:
            self.boots_to_hang -= 1
            return
        machine.boots += 1
        if self._software:
            machine.software = asyncio.ensure_future(_run(self._software, self._host(machine)))

    def _host(self, machine: SimulatedMachine) -> Host:
        seen = machine.seen
        boot = machine.boots

        def power_off() -> None:
            # Software of an earlier boot, on its way out, must not stop the machine of today.
            if machine.boots != boot or machine.seen.state is not MachineState.RUNNING:
                return
            if machine.seen.capacity_type is CapacityType.SPOT:
                self.terminate(machine, POWERED_OFF)  # as EC2 does with machines that cannot be started again
            else:
                self.stop(machine, POWERED_OFF)

        return Host(
            machine_id=seen.id,
            provider_id=seen.provider_id,
            hostname=machine.hostname,
            private_ip=seen.private_ip,
            region=self._region,
            zone=seen.zone,
            capacity_type=seen.capacity_type,
            image=seen.image,
            shape=self._shape_of(machine),
            bootstrap=machine.request.bootstrap,
            tags=seen.tags,
            disk=machine.disk,
            boot=boot,
            power_off=power_off,
        )

    def _timings_of(self, machine: SimulatedMachine) -> Timings:
        return self._timings.of(machine.seen.instance_type)

    def _duration(self, machine: SimulatedMachine, setting: str, usual: Duration) -> float:
        fixed = machine.request.settings.get(setting)
        return parse_duration_seconds(fixed) if fixed else usual.draw(self._rng)

    def _enter(self, machine: SimulatedMachine, state: MachineState, reason: str) -> None:
        machine.enter(state, reason, self._clock.monotonic())
        self._changed(machine)

    def _later(self, machine: SimulatedMachine, seconds: float, action: Callable[[], None]) -> None:
        machine.timer = asyncio.get_running_loop().call_later(seconds, action)

    def _halt(self, machine: SimulatedMachine) -> None:
        """Whatever runs on it ends now, and so does whatever it was in the middle of."""
        if machine.timer:
            machine.timer.cancel()
            machine.timer = None
        if machine.software:
            machine.software.cancel()
            machine.software = None


async def _run(software: HostSoftware, host: Host) -> None:
    try:
        await software(host)
    except Exception as error:
        # Nobody awaits a host's software. A fault in it is a bug of ours, and must not go unheard.
        context = {"message": f"the software of host {host.machine_id} failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
