"""The question that packing answers, and the form of its answer. Plain values: no search happens here.

Amounts are those of `stratos.base.quantity`; prices are US dollars per hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stratos.catalog.instance_type import CapacityType
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.rejection import Rule
from stratos.planning.scheduling.requirements import PodRequirements


@dataclass(frozen=True, slots=True)
class PodToPlace:
    key: str  # namespace/name
    requirements: PodRequirements


@dataclass(frozen=True, slots=True)
class ExistingNode:
    """A node that is there, or under way: what is free on it costs nothing more."""

    description: NodeDescription
    pods: tuple[PlacedPod, ...] = ()


class OfferingName(NamedTuple):
    """What a cloud sells: a type, in a zone, under terms. Empty text where it makes no difference."""

    instance_type: str
    zone: str
    capacity_type: CapacityType


@dataclass(frozen=True, slots=True)
class Candidate:
    """One offering as the node it would become.

    ``node`` has no name yet (nor a hostname label: every machine gets its own); its ``allocatable`` is what the cloud's
    reservations and the DaemonSets leave. ``most`` is how many such machines may be had (None: as many as wanted).
    """

    offering: OfferingName
    node: NodeDescription
    price_usd_per_hour: float
    template: str = ""  # the NodeTemplate it comes from; empty in an estimate
    most: int | None = None


@dataclass(frozen=True, slots=True)
class PackingProblem:
    """Which machines for these pods? Order of pods and of candidates makes no difference to the answer."""

    pods: tuple[PodToPlace, ...]
    candidates: tuple[Candidate, ...]
    existing: tuple[ExistingNode, ...] = ()
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    respects_preferences: bool = True  # treat what pods prefer as if required, as long as a machine can be had so


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A machine to get, and the pods that go there."""

    candidate: Candidate
    pods: tuple[str, ...]  # keys, sorted


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What a pod would have to give up to be placed, and what the machine would then cost."""

    constraints: tuple[str, ...]  # the smallest set, each in words a user can find in the manifest
    offering: OfferingName | None  # None: it would fit on a node that is there
    price_usd_per_hour: float
    kept: float = 1.0  # the least share of a request that is left

    def __str__(self) -> str:
        changed = f"if this were changed: {', '.join(self.constraints)}"
        if self.offering is None:
            return f"would fit on a node that is there {changed}"
        name, zone, terms = self.offering
        where = f"{zone}, {terms}" if zone else terms
        return f"would fit {name} ({where}) at ${self.price_usd_per_hour:.4f}/h {changed}"


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A pod left over, the constraint that decided it, and the way out."""

    pod: str
    rule: Rule  # the last rule standing: the one that rejected the candidate that came furthest
    message: str  # how many candidates each constraint rejected
    relaxations: tuple[Relaxation, ...] = ()


@dataclass(frozen=True, slots=True)
class Packing:
    """An answer: every pod of the problem is in exactly one of ``assignments``, ``machines`` and ``unplaced``."""

    assignments: Mapping[str, str]  # pod key → existing node
    machines: tuple[PlannedMachine, ...]
    unplaced: tuple[Unplaced, ...]
    lower_bound_usd_per_hour: float  # no packing of the pods placed on machines costs less
    bound: str = ""  # how the bound was proved: "patterns" or "aggregate resources"
    report: tuple[str, ...] = ()
    order: tuple[str, ...] = ()  # of the pods placed: bound in it, every one keeps every rule

    @property
    def cost_usd_per_hour(self) -> float:
        """Of the machines to get."""
        return sum(machine.candidate.price_usd_per_hour for machine in self.machines)

    @property
    def gap(self) -> float:
        """How far the cost may be above the best, as a share of the bound. 0 when nothing is bought."""
        bound = self.lower_bound_usd_per_hour
        return (self.cost_usd_per_hour - bound) / bound if bound > 0 else 0.0
