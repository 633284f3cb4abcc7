"""Decide which pods a ReplicaSet makes or gives up, and what it says about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stratos.apis.pod import Pod
from stratos.apis.replicaset import ReplicaSet, ReplicaSetStatus
from stratos.workloads.pods import earliest, is_active, is_ready, ready_since, seconds_until_available, template_labels

DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True, slots=True)
class ReplicaSetPlan:
    create: int
    delete: tuple[Pod, ...]
    status: ReplicaSetStatus
    check_again_seconds: float | None  # when a ready pod will have been so for minReadySeconds


def plan_replica_set(replica_set: ReplicaSet, pods: Sequence[Pod], now: datetime) -> ReplicaSetPlan:
    """``pods`` are those it owns. While it is being deleted it only counts."""
    active = [pod for pod in pods if is_active(pod)]
    surplus = len(active) - replica_set.spec.replicas
    leaving = replica_set.metadata.deletion_timestamp is not None
    return ReplicaSetPlan(
        create=0 if leaving else max(0, -surplus),
        delete=() if leaving or surplus <= 0 else tuple(deletion_order(active)[:surplus]),
        status=_status(replica_set, active, now),
        check_again_seconds=earliest(
            *(seconds_until_available(pod, replica_set.spec.min_ready_seconds, now) or None for pod in active)
        ),
    )


def deletion_order(pods: Sequence[Pod]) -> list[Pod]:
    """The pods that would be missed least come first.

    Not yet placed, not yet running, not ready, cheap by annotation, doubled up on one node, ready only lately,
    restarted often, young: the order in which Kubernetes compares.
    """
    per_node = Counter(pod.spec.node_name for pod in pods)

    def reluctance(pod: Pod) -> tuple[bool, int, bool, int, int, float, int, float, str]:
        return (
            bool(pod.spec.node_name),
            _PHASES.get(pod.status.phase, 1),
            is_ready(pod),
            deletion_cost(pod),
            -per_node[pod.spec.node_name],
            -(ready_since(pod) or _LONG_AGO).timestamp(),
            -max((container.restart_count for container in pod.status.container_statuses or ()), default=0),
            -(pod.metadata.creation_timestamp or _LONG_AGO).timestamp(),
            pod.metadata.name,
        )

    return sorted(pods, key=reluctance)


def deletion_cost(pod: Pod) -> int:
    """The cost its annotation names; one that is not a number counts as none, for it must not block scaling down."""
    try:
        return int(pod.metadata.annotations.get(DELETION_COST_ANNOTATION, "0"))
    except ValueError:
        return 0


def _status(replica_set: ReplicaSet, active: Sequence[Pod], now: datetime) -> ReplicaSetStatus:
    spec = replica_set.spec
    labels = template_labels(spec.template).items()
    return ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(labels <= pod.metadata.labels.items() for pod in active),
        ready_replicas=sum(is_ready(pod) for pod in active),
        available_replicas=sum(seconds_until_available(pod, spec.min_ready_seconds, now) == 0 for pod in active),
        observed_generation=replica_set.metadata.generation,
        conditions=replica_set.status.conditions,
    )
