"""The machines of a simulated cloud as bytes, so that a cluster that was shut down finds them again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stratos.base.errors import Invalid
from stratos.providers.contract import LaunchRequest, Machine
from stratos.providers.simulated.host import HostDisk
from stratos.providers.simulated.machines import Cost, SimulatedMachine


class _SavedMachine(msgspec.Struct, frozen=True):
    seen: Machine
    request: LaunchRequest
    hostname: str
    disk: HostDisk
    disk_usd_per_hour: float
    cost: Cost
    boots: int
    start_tokens: tuple[str, ...]


def save_machines(machines: Iterable[SimulatedMachine]) -> bytes:
    return msgspec.json.encode(
        [
            _SavedMachine(
                seen=machine.seen,
                request=machine.request,
                hostname=machine.hostname,
                disk=machine.disk,
                disk_usd_per_hour=machine.disk_usd_per_hour,
                cost=machine.cost,
                boots=machine.boots,
                start_tokens=tuple(sorted(machine.start_tokens)),
            )
            for machine in machines
        ]
    )


def load_machines(saved: bytes, now: float) -> list[SimulatedMachine]:
    """The machines, none of them doing anything yet. The time between cost nothing."""
    try:
        machines = msgspec.json.decode(saved, type=list[_SavedMachine])
    except msgspec.MsgspecError as error:
        raise Invalid(f"the saved cloud cannot be read: {error}", hint="start with an empty data directory") from error
    return [
        SimulatedMachine(
            seen=machine.seen,
            request=machine.request,
            hostname=machine.hostname,
            disk=machine.disk,
            disk_usd_per_hour=machine.disk_usd_per_hour,
            settled_at=now,
            cost=machine.cost,
            boots=machine.boots,
            start_tokens=set(machine.start_tokens),
        )
        for machine in machines
    ]
