"""What disruption decides: which machines go, what comes first, what stays and why, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stratos.planning.provisioning.plan import NewMachine


class Reason(StrEnum):
    """Why a machine goes although it works. The words that budgets of a NodeTemplate know."""

    UNHEALTHY = "Unhealthy"
    INTERRUPTION = "Interruption"
    EXPIRED = "Expired"
    DRIFTED = "Drifted"
    EMPTY = "Empty"
    UNDERUTILIZED = "Underutilized"
    CHEAPER = "Cheaper"


@dataclass(frozen=True, slots=True)
class Disruption:
    """Machines that go together, and those that have to be there before they do."""

    reason: Reason
    message: str
    claims: tuple[str, ...]  # whose machines go, sorted
    machines: tuple[NewMachine, ...] = ()  # to get first
    pods: tuple[str, ...] = ()  # that move, sorted: the risk
    cost_before_usd_per_hour: float = 0.0  # of the machines that go
    cost_after_usd_per_hour: float = 0.0  # of those that come

    @property
    def saving_usd_per_hour(self) -> float:
        return self.cost_before_usd_per_hour - self.cost_after_usd_per_hour


@dataclass(frozen=True, slots=True)
class Mark:
    """Since when a machine has been little used, or empty (None: it is not)."""

    claim: str
    unneeded_since: datetime | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A machine that would go, and what keeps it."""

    claim: str
    reason: Reason
    by: str  # the kind of obstacle: pod, node, workload, PodDisruptionBudget, room, or a budget of the template
    message: str  # names the pod, the PodDisruptionBudget or the budget


@dataclass(frozen=True, slots=True)
class DisruptionPlan:
    disruptions: tuple[Disruption, ...] = ()
    marks: tuple[Mark, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    cost_usd_per_hour: float = 0.0  # of all templates' machines now
    look_again_at: datetime | None = None

    @property
    def cost_after_usd_per_hour(self) -> float:
        return self.cost_usd_per_hour - sum(each.saving_usd_per_hour for each in self.disruptions)

    @property
    def pods_moved(self) -> int:
        return sum(len(each.pods) for each in self.disruptions)
