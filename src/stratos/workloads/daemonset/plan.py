"""Decide which nodes a DaemonSet still needs a pod on, and which of its pods must go.

Placement is answered from the template itself: node selector, required node affinity, and taints against the template's
tolerations and those every daemon pod is given. Resources are not looked at; a daemon pod that does not fit stays
pending, and says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from stratos.apis.daemonset import DAEMON_SET, DaemonSet, DaemonSetStatus, RollingUpdateDaemonSet
from stratos.apis.node import Node
from stratos.apis.pod import Pod, PodSpec, Toleration
from stratos.apis.workload import CONTROLLER_REVISION_HASH, ControllerRevision
from stratos.planning.scheduling.selection import compile_node_selector, matches_any, tolerates
from stratos.workloads.bounds import scaled
from stratos.workloads.pods import earliest, is_available, is_ready, pod_from_template, seconds_until_available

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# Daemons stay where others must leave: they are what makes a node usable in the first place.
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_TOLERATED_ON_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", "NoSchedule"),)
_REQUIRED_PATH = "spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class DaemonSetPlan:
    create: tuple[dict[str, Any], ...]
    delete: tuple[Pod, ...]
    failed: tuple[Pod, ...]  # to be deleted too, but with a growing delay, for they may fail again at once
    status: DaemonSetStatus
    check_again_seconds: float | None


@dataclass(frozen=True, slots=True)
class Fit:
    """``run``: a pod belongs there. ``stay``: one that is there already may go on."""

    run: bool
    stay: bool


def fits(daemon_set: DaemonSet, node: Node) -> Fit:
    return _Placement(daemon_set).on(node)


def plan_daemon_set(
    daemon_set: DaemonSet, nodes: Sequence[Node], pods: Sequence[Pod], update: ControllerRevision, now: datetime
) -> DaemonSetPlan:
    """``pods`` are those it owns, and ``update`` is the revision of its present template."""
    placement = _Placement(daemon_set)
    label = revision_label(update)
    by_node = _by_node(pods)
    desired: list[str] = []
    misscheduled = 0
    create: list[str] = []
    delete: list[Pod] = []
    failed: list[Pod] = []
    for node in sorted(nodes, key=lambda each: each.metadata.name):
        name = node.metadata.name
        fit, present = placement.on(node), by_node.get(name, [])
        going = [pod for pod in present if pod.metadata.deletion_timestamp is not None]
        broken = [pod for pod in present if pod.finished and pod not in going]
        running = [pod for pod in present if pod not in going and pod not in broken]
        if fit.run:
            desired.append(name)
            if not present:
                create.append(name)
        elif running:
            misscheduled += 1
        if fit.stay:
            failed += broken
            delete += _duplicates(running)
        else:
            delete += running + broken
    known = {node.metadata.name for node in nodes}
    # A pod pinned to a node that is gone can never run. A bound one is the pod garbage collector's.
    delete += [pod for name in sorted(set(by_node) - known) for pod in by_node[name] if not pod.spec.node_name]
    leaving = daemon_set.metadata.deletion_timestamp is not None
    if not leaving:
        replaced, surged = _roll(daemon_set, desired, by_node, label, now)
        delete += [pod for pod in replaced if pod not in delete]
        create += surged
    waits = (seconds_until_available(pod, daemon_set.spec.min_ready_seconds, now) or None for pod in pods)
    return DaemonSetPlan(
        create=() if leaving else tuple(placement.pod(name, update) for name in create),
        delete=() if leaving else tuple(pod for pod in delete if pod.metadata.deletion_timestamp is None),
        failed=() if leaving else tuple(failed),
        status=_status(daemon_set, desired, misscheduled, by_node, label, now),
        check_again_seconds=earliest(*waits),
    )


class _Placement:
    """A DaemonSet's template, read once for many nodes."""

    def __init__(self, daemon_set: DaemonSet) -> None:
        self._daemon_set = daemon_set
        self._spec = msgspec.convert(daemon_set.spec.template.get("spec") or {}, PodSpec)
        affinity = self._spec.affinity.node_affinity if self._spec.affinity else None
        required = affinity.required if affinity else None
        self._terms = compile_node_selector(required, _REQUIRED_PATH) if required else None
        self._tolerations = (*(self._spec.tolerations or ()), *_default_tolerations(self._spec.host_network))

    def on(self, node: Node) -> Fit:
        if not self._selects(node):
            return Fit(run=False, stay=False)
        refused = [
            taint
            for taint in node.spec.taints or ()
            if taint.effect in ("NoSchedule", "NoExecute") and not tolerates(self._tolerations, taint)
        ]
        return Fit(run=not refused, stay=not any(taint.effect == "NoExecute" for taint in refused))

    def _selects(self, node: Node) -> bool:
        if self._spec.node_name and self._spec.node_name != node.metadata.name:
            return False
        if not (self._spec.node_selector or {}).items() <= node.metadata.labels.items():
            return False
        return self._terms is None or matches_any(self._terms, node.metadata.name, node.metadata.labels)

    def pod(self, node_name: str, update: ControllerRevision) -> dict[str, Any]:
        """A pod that only this node can take: the scheduler binds it, so that resources and ports are respected."""
        pod = pod_from_template(
            self._daemon_set.spec.template,
            DAEMON_SET,
            self._daemon_set,
            labels={CONTROLLER_REVISION_HASH: revision_label(update)},
        )
        spec = pod["spec"]
        affinity = {**(spec.get("affinity") or {})}
        pinned = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node_name]}]}]
        affinity["nodeAffinity"] = {
            **(affinity.get("nodeAffinity") or {}),
            # The template's own terms were judged already, and would be alternatives to this one.
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": pinned},
        }
        spec["affinity"] = affinity
        spec["tolerations"] = list(spec.get("tolerations") or []) + [
            msgspec.to_builtins(toleration)
            for toleration in _default_tolerations(self._spec.host_network)
            if toleration not in (self._spec.tolerations or ())
        ]
        return pod


def revision_label(revision: ControllerRevision) -> str:
    """The part of a revision's name that its pods carry."""
    return revision.metadata.name.rpartition("-")[2]


def _default_tolerations(host_network: bool) -> tuple[Toleration, ...]:
    pairs = _TOLERATED + (_TOLERATED_ON_HOST_NETWORK if host_network else ())
    return tuple(Toleration(key=key, operator="Exists", effect=effect) for key, effect in pairs)


def target_node(pod: Pod) -> str | None:
    """Where a daemon pod runs, or is pinned to while it waits."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    for term in affinity.required.node_selector_terms if affinity and affinity.required else ():
        for each in term.match_fields or ():
            if each.key == "metadata.name" and each.operator == "In" and each.values and len(each.values) == 1:
                return each.values[0]
    return None


def _by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    by_node = defaultdict[str, list[Pod]](list)
    for pod in sorted(pods, key=_age):
        if (name := target_node(pod)) is not None:
            by_node[name].append(pod)
    return dict(by_node)


def _age(pod: Pod) -> tuple[bool, datetime, str]:
    return (not pod.spec.node_name, pod.metadata.creation_timestamp or _LONG_AGO, pod.metadata.name)


def _duplicates(running: Sequence[Pod]) -> list[Pod]:
    """All but one pod of each revision, best one that serves: two revisions may meet while a surge lasts."""
    seen = set[str]()
    duplicates = []
    for pod in sorted(running, key=lambda each: not is_ready(each)):
        revision = pod.metadata.labels.get(CONTROLLER_REVISION_HASH, "")
        if revision in seen:
            duplicates.append(pod)
        seen.add(revision)
    return duplicates


def _roll(
    daemon_set: DaemonSet, desired: Sequence[str], by_node: dict[str, list[Pod]], label: str, now: datetime
) -> tuple[list[Pod], list[str]]:
    """The outdated pods to delete now, and the nodes that get a second pod first."""
    strategy = daemon_set.spec.update_strategy
    if strategy.type != "RollingUpdate":
        return [], []
    rolling = strategy.rolling_update or RollingUpdateDaemonSet()
    surge = scaled(rolling.max_surge, len(desired), round_up=True)
    unavailable = scaled(rolling.max_unavailable, len(desired), round_up=True)
    if not surge:
        unavailable = max(1, unavailable)
    min_ready = daemon_set.spec.min_ready_seconds
    missing, surging = 0, 0
    unserving: list[Pod] = []
    serving: list[tuple[Pod, str]] = []
    superseded: list[Pod] = []
    for node in desired:
        pods = [pod for pod in by_node.get(node, ()) if pod.metadata.deletion_timestamp is None and not pod.finished]
        new = [pod for pod in pods if pod.metadata.labels.get(CONTROLLER_REVISION_HASH) == label]
        old = [pod for pod in pods if pod not in new]
        new_serves = any(is_available(pod, min_ready, now) for pod in new)
        old_serves = any(is_available(pod, min_ready, now) for pod in old)
        missing += not (new_serves or old_serves)
        if old and new_serves:
            superseded += old
        elif old and new:
            surging += 1
        elif old and not old_serves:
            unserving += old
        elif old:
            serving.append((old[0], node))
    if surge:
        return superseded + unserving, [node for _, node in serving[: max(0, surge - surging)]]
    # A pod that does not serve costs nothing to replace; one that does is taken from the budget.
    return superseded + unserving + [pod for pod, _ in serving[: max(0, unavailable - missing)]], []


def _status(
    daemon_set: DaemonSet,
    desired: Sequence[str],
    misscheduled: int,
    by_node: dict[str, list[Pod]],
    label: str,
    now: datetime,
) -> DaemonSetStatus:
    current = ready = available = updated = 0
    for node in desired:
        pods = [pod for pod in by_node.get(node, ()) if not pod.finished and pod.metadata.deletion_timestamp is None]
        current += bool(pods)
        ready += any(is_ready(pod) for pod in pods)
        available += any(is_available(pod, daemon_set.spec.min_ready_seconds, now) for pod in pods)
        updated += any(pod.metadata.labels.get(CONTROLLER_REVISION_HASH) == label for pod in pods)
    return DaemonSetStatus(
        current_number_scheduled=current,
        number_misscheduled=misscheduled,
        desired_number_scheduled=len(desired),
        number_ready=ready,
        observed_generation=daemon_set.metadata.generation,
        updated_number_scheduled=updated,
        number_available=available,
        number_unavailable=len(desired) - available,
        collision_count=daemon_set.status.collision_count,
        conditions=daemon_set.status.conditions,
    )
