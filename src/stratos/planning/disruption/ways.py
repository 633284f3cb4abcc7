"""How each pod may leave a node so that its workload never has fewer ready pods than it asked for.

Three ways out, and what bars them. A pod that could be started twice is replaced first and then given up (surge). One
that cannot, such as a pod of a StatefulSet, leaves as its own rolling update would have it: alone, while all others are
ready. Whatever has no number to fall below (a Job's pod, a pod that is not ready) is evicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from stratos.apis import labels
from stratos.apis.meta import is_condition_true
from stratos.apis.node import Node
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.pod import Pod
from stratos.base.words import counted
from stratos.planning.disruption.pod_budgets import PodBudgets
from stratos.planning.provisioning.annotations import keeps_from_evicting
from stratos.snapshot.disruption import Workload

SingleReplica = Literal["Wait", "Surge", "Evict"]

_HOLDING_NODES = {
    labels.DO_NOT_EVICT: "true",
    labels.DO_NOT_DISRUPT: "true",
    labels.SCALE_DOWN_DISABLED: "true",
    labels.REMOVAL_DISABLED: "true",
}


class Way(Enum):
    EVICT = auto()  # through the Eviction API, as soon as its budget allows
    ALONE = auto()  # the same, when no other pod of its workload is missing
    SURGE = auto()  # another one is started first; then its own controller gives it up


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something may not leave."""

    by: str  # pod, node, workload, or PodDisruptionBudget
    message: str


def obstacle_of_node(node: Node, claim: NodeClaim) -> Obstacle | None:
    """What the node, or its claim, says against being disrupted."""
    for where, held in (
        ("label", node.metadata.labels),
        ("annotation", node.metadata.annotations | claim.metadata.annotations),
    ):
        for key, value in _HOLDING_NODES.items():
            if held.get(key) == value:
                return Obstacle("node", f"node {node.metadata.name} has {where} {key}={value}")
    if node.spec.unschedulable and labels.CORDONED not in node.metadata.annotations:
        return Obstacle("node", f"node {node.metadata.name} was cordoned by somebody else")
    return None


def way_out(
    pod: Pod, workloads: Mapping[str, Workload], budgets: PodBudgets, single_replica: SingleReplica
) -> Way | Obstacle:
    """How ``pod``, one of its node's `workload_pods`, leaves; or what bars it."""
    key = pod.metadata.key
    annotation = keeps_from_evicting(pod.metadata.annotations)
    if annotation:
        return Obstacle("pod", f"pod {key} has annotation {annotation}={pod.metadata.annotations[annotation]}")
    controller = pod.metadata.controller
    if controller is None and pod.metadata.annotations.get(labels.SAFE_TO_EVICT) != "true":
        return Obstacle("pod", f"pod {key} has no controller that would start it again")
    workload = workloads.get(controller.uid) if controller is not None else None
    if workload is None or not is_condition_true(pod.status.conditions, "Ready"):
        return _evicted(pod, budgets, Way.EVICT)
    if workload.surge:
        return Way.SURGE  # its replacement is on its way: who asked then has looked
    if workload.replicas <= 1:
        if single_replica == "Wait":
            return Obstacle("workload", f"pod {key} is the only one of {workload.name}")
        if single_replica == "Evict":
            return _evicted(pod, budgets, Way.EVICT)
        if not workload.can_surge:
            return Obstacle(
                "workload", f"pod {key} is the only one of {workload.name}, which cannot start another first"
            )
    if workload.changing:
        return Obstacle("workload", f"pod {key}: {workload.name} is being rolled out or scaled")
    if workload.ready < workload.replicas:
        missing = workload.replicas - workload.ready
        return Obstacle("workload", f"pod {key}: {counted(missing, 'other pod')} of {workload.name} not ready")
    if not workload.can_surge:
        return _evicted(pod, budgets, Way.ALONE)
    barred = budgets.reject_surge(pod)
    return Obstacle("PodDisruptionBudget", f"pod {key}: {barred}") if barred else Way.SURGE


def _evicted(pod: Pod, budgets: PodBudgets, way: Way) -> Way | Obstacle:
    barred = budgets.reject_eviction(pod)
    return Obstacle("PodDisruptionBudget", f"pod {pod.metadata.key}: {barred}") if barred else way
