"""A plan kept in a file between `stratos plan` and `stratos apply`: what was planned, and for which manifests.

Manifests may hold secrets, so only their owner may read the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from stratos.base.errors import Invalid, NotFound
from stratos.planning.provisioning.plan import NewMachine

_VERSION = 1


class PlannedMachine(msgspec.Struct, frozen=True, rename="camel"):
    template: str
    instance_type: str
    zone: str
    capacity_type: str
    price_usd_per_hour: float
    pods: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.instance_type} {self.capacity_type} in {self.zone} of template {self.template}"


class KeptManifest(msgspec.Struct, frozen=True):
    obj: dict[str, Any]
    source: str


class KeptPlan(msgspec.Struct, frozen=True, rename="camel"):
    version: int
    made_at: datetime
    cluster: str  # where its API is
    catalog: str  # what it was planned by
    machines: tuple[PlannedMachine, ...]
    manifests: tuple[KeptManifest, ...]

    def moved_on(self, machines: Sequence[NewMachine]) -> tuple[str, ...]:
        """Where a plan made now differs from this one; empty when it is the same."""
        now, then = (
            Counter(f"{each.title} at ${each.price_usd_per_hour:.4f}/h" for each in some)
            for some in (kept_machines(machines), self.machines)
        )
        return tuple(
            f"planned were {then[title]}, now it would be {now[title]} × {title}"
            for title in sorted({*now, *then})
            if now[title] != then[title]
        )


def kept_machines(machines: Sequence[NewMachine]) -> tuple[PlannedMachine, ...]:
    return tuple(
        PlannedMachine(
            template=machine.template,
            instance_type=machine.candidate.offering.instance_type,
            zone=machine.candidate.offering.zone,
            capacity_type=machine.candidate.offering.capacity_type,
            price_usd_per_hour=machine.candidate.price_usd_per_hour,
            pods=machine.pods,
        )
        for machine in machines
    )


def new_plan(
    made_at: datetime, cluster: str, catalog: str, machines: Sequence[NewMachine], manifests: Sequence[KeptManifest]
) -> KeptPlan:
    return KeptPlan(_VERSION, made_at, cluster, catalog, kept_machines(machines), tuple(manifests))


def write_plan(file: Path, plan: KeptPlan) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    beside.touch(mode=0o600)
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2))
    beside.replace(file)


def read_plan(file: Path) -> KeptPlan:
    """Raises `NotFound` when there is none, and `Invalid` for any other file."""
    try:
        plan = msgspec.json.decode(file.read_bytes(), type=KeptPlan)
    except FileNotFoundError as error:
        raise NotFound(f"there is no plan in {file}", hint="make one first: stratos plan -f FILE") from error
    except (OSError, msgspec.DecodeError) as error:
        raise Invalid(f"{file} is no plan: {error}", hint="make one: stratos plan -f FILE") from error
    if plan.version != _VERSION:
        raise Invalid(f"{file} is a plan of another version of Stratos", hint="make it anew: stratos plan -f FILE")
    return plan
