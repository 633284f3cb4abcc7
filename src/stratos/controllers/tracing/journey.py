"""A pod's way from unschedulable to ready, read from what the API has recorded of it, its node and its machine.

Nothing is measured while it happens: every stage ends with a moment that somebody wrote down. Kubernetes writes whole
seconds where Stratos writes fractions, so a moment that would lie before the one it follows counts as that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stratos.apis.meta import Condition, find_condition
from stratos.apis.node import Node
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim
from stratos.apis.pod import Pod


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Journey:
    """The stages follow each other without a gap."""

    pod: Pod
    stages: tuple[Stage, ...]
    facts: Mapping[str, str | float]  # by OpenTelemetry's names where it has some

    @property
    def begins(self) -> datetime:
        return self.stages[0].begins

    @property
    def ends(self) -> datetime:
        return self.stages[-1].ends


def is_ready(pod: Pod) -> bool:
    ready = find_condition(pod.status.conditions, "Ready")
    return ready is not None and ready.status == "True"


def journey_of(pod: Pod, unschedulable_at: datetime, claim: NodeClaim, node: Node | None) -> Journey | None:
    """None when its machine was not got or woken for it: it found room that was there for somebody else."""
    decision = claim.spec.decision
    if decision is None or pod.metadata.key not in decision.pods:
        return None
    status = claim.status
    woken = status.launched_at is not None and status.launched_at < decision.at  # it was there already
    asked_at = status.last_started_at if woken else _since(claim.status.conditions, ClaimCondition.LAUNCHED)
    names_and_ends = (
        ("waiting for a decision", decision.at),
        ("asking the cloud", asked_at),
        ("starting the machine" if woken else "launching the machine", _node_ready_at(node)),
        ("opening the node", status.ready_at),
        ("scheduling", _since(pod.status.conditions, "PodScheduled")),
        ("starting containers", _since(pod.status.conditions, "Ready")),
    )
    stages: list[Stage] = []
    begins = unschedulable_at
    for name, moment in names_and_ends:
        ends = max(begins, moment) if moment is not None else begins
        stages.append(Stage(name, begins, ends))
        begins = ends
    return Journey(pod, tuple(stages), _facts(pod, claim, woken=woken))


def _facts(pod: Pod, claim: NodeClaim, *, woken: bool) -> Mapping[str, str | float]:
    spec, status = claim.spec, claim.status
    return {
        "k8s.namespace.name": pod.metadata.namespace,
        "k8s.pod.name": pod.metadata.name,
        "k8s.pod.uid": pod.metadata.uid,
        "k8s.node.name": pod.spec.node_name,
        "host.id": status.instance_id,
        "host.type": status.instance_type,
        "cloud.availability_zone": status.zone,
        "stratos.claim": claim.metadata.name,
        "stratos.path": "warm" if woken else "cold",
        "stratos.capacity_type": spec.capacity_type,
        **({"stratos.pool": spec.pool} if spec.pool else {"stratos.template": spec.template}),
        **({"stratos.price_usd_per_hour": price} if (price := status.price_usd_per_hour) is not None else {}),
    }


def _node_ready_at(node: Node | None) -> datetime | None:
    return _since(node.status.conditions, "Ready") if node is not None else None


def _since(conditions: tuple[Condition, ...], type_: str) -> datetime | None:
    condition = find_condition(conditions, type_)
    return condition.last_transition_time if condition is not None and condition.status == "True" else None
