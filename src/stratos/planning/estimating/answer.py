"""What an estimate says: for each workload in each place the machines, their price, and what else there was."""

from __future__ import annotations

from dataclasses import dataclass

from stratos.catalog.instance_type import CapacityType


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """An offering that was considered and not chosen."""

    instance_type: str
    capacity_type: CapacityType
    price_usd_per_hour: float
    reason: str


@dataclass(frozen=True, slots=True)
class GroupEstimate:
    """Pods of one template on machines of one kind; or pods that no machine fits, and why.

    Machines may be shared with other groups. ``machines`` counts all that hold pods of this one, ``share`` what of them
    is its own, by the resource of which the pods take most; the shares of all groups add up to the machines.
    """

    part: str
    pods: int
    strategy: str  # how they were placed, see `provisioning.strategies`
    instance_type: str | None = None
    capacity_type: CapacityType | None = None
    price_usd_per_hour: float | None = None
    machines: int = 0
    share: float = 0.0
    runners_up: tuple[RunnerUp, ...] = ()  # by price: the next that would have done, dearer
    too_small: tuple[RunnerUp, ...] = ()  # the cheaper ones that came closest
    reason: str = ""  # why nothing fits
    ways_out: tuple[str, ...] = ()  # what would have to give way for something to fit, and at what price

    @property
    def total_usd_per_hour(self) -> float:
        return self.share * (self.price_usd_per_hour or 0.0)

    @property
    def shares_machines(self) -> bool:
        return self.share < self.machines - 1e-9


@dataclass(frozen=True, slots=True)
class WorkloadEstimate:
    kind: str
    namespace: str
    name: str
    groups: tuple[GroupEstimate, ...]
    notes: tuple[str, ...] = ()

    @property
    def total_usd_per_hour(self) -> float:
        return sum(group.total_usd_per_hour for group in self.groups)


@dataclass(frozen=True, slots=True)
class CloudEstimate:
    """All workloads in one place. A total is of what fits; ``complete`` says whether that is everything."""

    cloud: str
    region: str
    zone: str  # empty: whichever is cheapest
    workloads: tuple[WorkloadEstimate, ...]
    machines: int
    total_usd_per_hour: float
    lower_bound_usd_per_hour: float  # no choice of machines that the pods allow holds those that fit for less

    @property
    def complete(self) -> bool:
        return all(group.instance_type is not None for workload in self.workloads for group in workload.groups)
