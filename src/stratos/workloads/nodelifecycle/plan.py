"""Judge a node by its heartbeats, and say which taints it should bear.

A node is heard by its Lease or by its status. When neither came for the grace period its conditions turn Unknown; the
conditions in turn decide the taints, and the taints decide which pods may stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.meta import Condition, find_condition, with_condition
from stratos.apis.node import Effect, Node, Taint
from stratos.apis.pod import Pod

GRACE_SECONDS = 40.0
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURE_TAINTS = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE_TAINTS.values()}


@dataclass(frozen=True, slots=True)
class NodePlan:
    conditions: tuple[Condition, ...]
    taints: tuple[Taint, ...]
    ready: bool
    check_again_seconds: float | None  # when the node will have been silent for too long


def plan_node(node: Node, last_heard: datetime, now: datetime) -> NodePlan:
    silent_at = last_heard + timedelta(seconds=GRACE_SECONDS)
    silent = now >= silent_at
    conditions = _as_unknown(node, now) if silent else node.status.conditions
    ready = find_condition(conditions, "Ready")
    return NodePlan(
        conditions=conditions,
        taints=_taints(node, conditions, now),
        ready=ready is not None and ready.status == "True",
        check_again_seconds=None if silent else (silent_at - now).total_seconds(),
    )


def _as_unknown(node: Node, now: datetime) -> tuple[Condition, ...]:
    conditions: tuple[Condition, ...] = node.status.conditions
    for type_ in _REPORTED:
        seen = find_condition(conditions, type_)
        if seen is not None and seen.status == "Unknown":
            continue
        conditions = with_condition(
            conditions,
            type_,
            None,
            reason="NodeStatusUnknown" if seen else "NodeStatusNeverUpdated",
            message="Kubelet stopped posting node status." if seen else "Kubelet never posted node status.",
            now=now,
        )
    return conditions


def _taints(node: Node, conditions: tuple[Condition, ...], now: datetime) -> tuple[Taint, ...]:
    """Others' taints stay as they are, and in their order; ours follow from the conditions."""
    wanted: list[tuple[str, Effect]] = []
    ready = find_condition(conditions, "Ready")
    if ready is None or ready.status != "True":
        key = UNREACHABLE if ready is not None and ready.status == "Unknown" else NOT_READY
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    if node.spec.unschedulable:
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    for type_, key in _PRESSURE_TAINTS.items():
        condition = find_condition(conditions, type_)
        if condition is not None and condition.status == "True":
            wanted.append((key, "NoSchedule"))
    present = node.spec.taints or ()
    kept = tuple(taint for taint in present if taint.key not in _OURS or (taint.key, taint.effect) in wanted)
    borne = {(taint.key, taint.effect) for taint in kept}
    return kept + tuple(Taint(key=k, effect=e, time_added=now) for k, e in wanted if (k, e) not in borne)


def pods_to_mark_unready(ready: bool, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Pods that claim to be ready on a node that is not: nobody is there to say otherwise."""
    if ready:
        return ()
    claiming = [
        pod for pod in pods if (seen := find_condition(pod.status.conditions, "Ready")) and seen.status == "True"
    ]
    return tuple(sorted(claiming, key=lambda pod: pod.metadata.key))
