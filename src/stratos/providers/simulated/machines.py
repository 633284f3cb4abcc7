"""The machine as the simulated cloud keeps it: its state, its disk, and what it has cost so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime

from stratos.providers.contract import LaunchRequest, Machine, MachineState, OfferingKey
from stratos.providers.simulated.host import HostDisk

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent, apart for machines that ran and for the disks they have, running or not."""

    machines_usd: float = 0.0
    disks_usd: float = 0.0

    @property
    def total_usd(self) -> float:
        return self.machines_usd + self.disks_usd

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.machines_usd + other.machines_usd, self.disks_usd + other.disks_usd)


@dataclass(slots=True)
class SimulatedMachine:
    seen: Machine  # what the cloud knows now; callers may still be shown an older one
    request: LaunchRequest
    hostname: str
    disk: HostDisk
    disk_usd_per_hour: float
    settled_at: float  # on the monotonic clock: up to when ``cost`` counts
    cost: Cost = Cost()
    boots: int = 0
    start_tokens: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None  # the next step of a boot, a stop or a termination
    reclaim_timer: asyncio.TimerHandle | None = None  # the next step of an interruption
    software: asyncio.Task[None] | None = None

    @property
    def offering(self) -> OfferingKey:
        return OfferingKey(self.seen.instance_type, self.seen.zone, self.seen.capacity_type)

    def settle(self, now: float) -> None:
        """Count what has accrued. A machine costs while it is running, its disk until it is terminated."""
        hours = (now - self.settled_at) / _SECONDS_PER_HOUR
        self.settled_at = now
        running = self.seen.price_usd_per_hour if self.seen.state is MachineState.RUNNING else 0.0
        disk = 0.0 if self.seen.state is MachineState.TERMINATED else self.disk_usd_per_hour
        self.cost += Cost(running * hours, disk * hours)

    def enter(self, state: MachineState, reason: str, now: float) -> None:
        self.settle(now)
        self.seen = replace(self.seen, state=state, state_reason=reason)

    def set_tags(self, tags: dict[str, str]) -> None:
        self.seen = replace(self.seen, tags={**self.seen.tags, **tags})


def launched_machine(
    *,
    machine_id: str,
    number: int,
    region: str,
    request: LaunchRequest,
    offering: OfferingKey,
    price_usd_per_hour: float,
    disk: HostDisk,
    disk_usd_per_hour: float,
    launched_at: datetime,
    now: float,
) -> SimulatedMachine:
    """A machine that was just asked for. ``number`` makes its address."""
    third, fourth = divmod(number, 250)
    return SimulatedMachine(
        seen=Machine(
            id=machine_id,
            provider_id=f"sim:///{offering.zone}/{machine_id}",
            state=MachineState.PENDING,
            instance_type=offering.instance_type,
            zone=offering.zone,
            capacity_type=offering.capacity_type,
            image=request.image,
            tags=dict(request.tags),
            launched_at=launched_at,
            price_usd_per_hour=price_usd_per_hour,
            private_ip=f"10.0.{third}.{fourth + 4}",
        ),
        request=request,
        hostname=f"ip-10-0-{third}-{fourth + 4}.{region}.compute.internal",
        disk=disk,
        disk_usd_per_hour=disk_usd_per_hour,
        settled_at=now,
    )
