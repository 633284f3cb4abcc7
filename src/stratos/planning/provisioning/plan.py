"""What provisioning decides: machines to ask for, pods to tell, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stratos.apis.nodeclaim import Decision, NodeSettings
from stratos.apis.nodetemplate import BackedOff
from stratos.planning.packing.problem import Candidate, Unplaced


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to ask for, with all that its claim says."""

    template: str
    candidate: Candidate
    pods: tuple[str, ...]  # keys of the pods it is for, sorted
    node: NodeSettings
    decision: Decision


@dataclass(frozen=True, slots=True)
class PodEvent:
    pod: str  # namespace/name
    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class ProvisioningPlan:
    machines: tuple[NewMachine, ...] = ()
    assignments: Mapping[str, str] = field(default_factory=dict)  # pod key → node, or claim, that has room for it
    unplaced: tuple[Unplaced, ...] = ()
    events: tuple[PodEvent, ...] = ()
    cost_usd_per_hour: float = 0.0  # of the machines
    lower_bound_usd_per_hour: float = 0.0
    backed_off: Mapping[str, tuple[BackedOff, ...]] = field(default_factory=dict)  # by template: what still holds
    failed_claims: tuple[str, ...] = ()  # their offering failed: let them go
    report: tuple[str, ...] = ()
    look_again_at: datetime | None = None  # when a back-off ends
