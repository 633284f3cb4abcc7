"""Say why a workload that was woken does not answer yet, for whoever waits for it or was turned away."""

from __future__ import annotations

from collections.abc import Sequence

from stratos.apis.meta import Condition, find_condition, is_condition_true
from stratos.apis.pod import Pod

_MESSAGE_MAX = 300  # schedulers tell of every node


def why_waiting(target: str, conditions: Sequence[Condition], pods: Sequence[Pod]) -> str:
    """One sentence. ``conditions`` are the workload's, ``pods`` those its Service selects."""
    alive = [pod for pod in pods if pod.metadata.deletion_timestamp is None and not pod.finished]
    if not alive:
        failure = find_condition(conditions, "ReplicaFailure")
        if failure is not None and failure.status == "True":
            return f"{target} cannot make a pod: {_short(failure.message)}"
        return f"{target} was asked for a replica and has no pod yet"
    pod = min(alive, key=_furthest_first)
    name = f"pod {pod.metadata.key}"
    if not pod.spec.node_name:
        scheduled = find_condition(pod.status.conditions, "PodScheduled")
        told = scheduled.message if scheduled is not None else ""
        return f"{name} waits for a node" + (f": {_short(told)}" if told else "")
    if is_condition_true(pod.status.conditions, "Ready"):
        return f"{name} is ready on node {pod.spec.node_name}, and cannot be reached yet"
    return f"{name} is not ready yet on node {pod.spec.node_name}" + _trouble(pod)


def _furthest_first(pod: Pod) -> tuple[bool, bool, str]:
    ready = is_condition_true(pod.status.conditions, "Ready")
    return (not ready, not pod.spec.node_name, pod.metadata.name)


def _trouble(pod: Pod) -> str:
    """What its first container that waits, waits for."""
    for status in pod.status.container_statuses or ():
        if status.state.waiting is not None and status.state.waiting.reason:
            return f": container {status.name} is in {status.state.waiting.reason}"
        if status.restart_count:
            return f": container {status.name} was started {status.restart_count + 1} times"
    return ""


def _short(message: str) -> str:
    return message if len(message) <= _MESSAGE_MAX else message[: _MESSAGE_MAX - 1] + "…"
