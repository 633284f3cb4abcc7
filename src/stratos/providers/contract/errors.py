"""What a cloud may answer instead of doing as asked.

Callers decide by the family of `stratos.base.errors`; the types here add what only a cloud knows. Of that family a
provider also raises `QuotaExceeded`, `Throttled`, `Unauthorized`, `Forbidden`, `Invalid` and `Unavailable` as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from stratos.base.errors import Conflict, InsufficientCapacity, NotFound, NotReady
from stratos.catalog.instance_type import CapacityType


class MachineNotFound(NotFound):
    """The cloud knows no machine of that id: it never existed, or was terminated long ago."""


class MachineGone(Conflict):
    """The machine is terminated or being terminated: nothing else can happen to it."""


class MachineBusy(NotReady):
    """The machine is between two states (pending, stopping) in which the call has no meaning. It will pass."""


class NotStoppable(Conflict):
    """Machines of this kind (spot ones that were asked for once) can only run or be terminated."""


@dataclass(frozen=True, slots=True, order=True)
class OfferingKey:
    """What is in stock or out of it: a type, in a zone, under terms."""

    instance_type: str
    zone: str
    capacity_type: CapacityType


class OutOfStock(InsufficientCapacity):
    """None of the offerings in ``tried`` could be had. Others may."""

    def __init__(self, message: str, *, tried: tuple[OfferingKey, ...], hint: str | None = None) -> None:
        looked_at = tuple(f"{key.instance_type} {key.capacity_type} in {key.zone} is out of stock" for key in tried)
        super().__init__(message, looked_at=looked_at, hint=hint)
        self.tried = tried
