"""Decide the next step of a StatefulSet.

With ``OrderedReady`` a step touches one pod and the next waits until that pod serves; with ``Parallel`` all pods are
made and removed at once, and only updates keep their order. A pod's identity is its name: a claim is never made twice,
because the name is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stratos.apis.pod import Pod
from stratos.apis.statefulset import (
    POD_INDEX_LABEL,
    POD_NAME_LABEL,
    STATEFUL_SET,
    RollingUpdateStatefulSet,
    StatefulSet,
    StatefulSetStatus,
)
from stratos.apis.workload import CONTROLLER_REVISION_HASH, PodTemplate
from stratos.workloads.pods import earliest, is_available, is_ready, pod_from_template, seconds_until_available
from stratos.workloads.revisions import Revisions, revision_template


@dataclass(frozen=True, slots=True)
class StatefulSetPlan:
    claims: tuple[dict[str, Any], ...]  # volume claims the new pods name; those that exist are kept
    create: tuple[dict[str, Any], ...]
    delete: tuple[Pod, ...]
    status: StatefulSetStatus
    check_again_seconds: float | None


def ordinal_of(set_name: str, pod_name: str) -> int | None:
    """The ordinal in a pod's name, or ``None`` when the name is not one this set gives."""
    parent, _, ordinal = pod_name.rpartition("-")
    return int(ordinal) if parent == set_name and ordinal.isdigit() else None


def plan_stateful_set(
    stateful_set: StatefulSet, pods: Sequence[Pod], revisions: Revisions, now: datetime
) -> StatefulSetPlan:
    """``pods`` are those it owns."""
    spec = stateful_set.spec
    by_ordinal = {
        ordinal: pod
        for pod in pods
        if (ordinal := ordinal_of(stateful_set.metadata.name, pod.metadata.name)) is not None
    }
    wanted = range(spec.ordinals.start, spec.ordinals.start + spec.replicas)
    create: list[int] = []
    delete: list[Pod] = []
    if stateful_set.metadata.deletion_timestamp is None:
        create, delete = _next_step(stateful_set, by_ordinal, wanted, revisions, now)
    bodies = [_pod(stateful_set, ordinal, wanted.start, revisions) for ordinal in create]
    waits = (seconds_until_available(pod, spec.min_ready_seconds, now) or None for pod in pods)
    return StatefulSetPlan(
        claims=tuple(claim for ordinal in create for claim in _claims(stateful_set, ordinal)),
        create=tuple(bodies),
        delete=tuple(delete),
        status=_status(stateful_set, [by_ordinal[ordinal] for ordinal in sorted(by_ordinal)], revisions, now),
        check_again_seconds=earliest(*waits),
    )


def _next_step(
    stateful_set: StatefulSet, by_ordinal: dict[int, Pod], wanted: range, revisions: Revisions, now: datetime
) -> tuple[list[int], list[Pod]]:
    """The ordinals to create and the pods to delete now."""
    min_ready = stateful_set.spec.min_ready_seconds
    in_order = stateful_set.spec.pod_management_policy != "Parallel"

    def serves(pod: Pod) -> bool:
        return _stays(pod) and is_available(pod, min_ready, now)

    create: list[int] = []
    delete: list[Pod] = []
    for ordinal in wanted:
        pod = by_ordinal.get(ordinal)
        if pod is None:
            create.append(ordinal)
        elif pod.finished and pod.metadata.deletion_timestamp is None:
            delete.append(pod)
        elif serves(pod):
            continue
        if in_order:
            return create, delete
    for ordinal in sorted(set(by_ordinal) - set(wanted), reverse=True):
        pod = by_ordinal[ordinal]
        if pod.metadata.deletion_timestamp is None:
            delete.append(pod)
        if in_order:
            return create, delete
    if not create and not delete:
        delete.extend(_outdated(stateful_set, by_ordinal, wanted, revisions, serves))
    return create, delete


def _outdated(
    stateful_set: StatefulSet,
    by_ordinal: dict[int, Pod],
    wanted: range,
    revisions: Revisions,
    serves: Callable[[Pod], bool],
) -> list[Pod]:
    """The next pod to replace: from the highest ordinal down, and only while all above it serve again."""
    strategy = stateful_set.spec.update_strategy
    if strategy.type != "RollingUpdate":
        return []
    partition = (strategy.rolling_update or RollingUpdateStatefulSet()).partition
    for ordinal in reversed(wanted):
        pod = by_ordinal.get(ordinal)
        if ordinal < partition or pod is None:
            break
        if _revision_of(pod) != revisions.update.metadata.name and pod.metadata.deletion_timestamp is None:
            return [pod]
        if not serves(pod):
            break
    return []


def _stays(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None


def _revision_of(pod: Pod) -> str:
    return pod.metadata.labels.get(CONTROLLER_REVISION_HASH, "")


def _status(stateful_set: StatefulSet, pods: Sequence[Pod], revisions: Revisions, now: datetime) -> StatefulSetStatus:
    spec = stateful_set.spec
    current, update = revisions.current.metadata.name, revisions.update.metadata.name
    ready = [pod for pod in pods if pod.status.phase == "Running" and is_ready(pod)]
    updated = sum(_revision_of(pod) == update and pod.metadata.deletion_timestamp is None for pod in pods)
    # The update is over once everyone runs it and serves; with a partition it is over when the partition is lifted.
    if updated == len(pods) == len(ready) == spec.replicas:
        current = update
    on_current = sum(_revision_of(pod) == current and pod.metadata.deletion_timestamp is None for pod in pods)
    return StatefulSetStatus(
        observed_generation=stateful_set.metadata.generation,
        replicas=len(pods),
        ready_replicas=len(ready),
        available_replicas=sum(is_available(pod, spec.min_ready_seconds, now) for pod in ready),
        current_replicas=on_current,
        updated_replicas=updated,
        current_revision=current,
        update_revision=update,
        collision_count=stateful_set.status.collision_count,
        conditions=stateful_set.status.conditions,
    )


def _template_for(stateful_set: StatefulSet, ordinal: int, start: int, revisions: Revisions) -> tuple[str, PodTemplate]:
    """Below the partition the present revision stays, also for pods that have to be made again."""
    strategy = stateful_set.spec.update_strategy
    rolling = strategy.rolling_update if strategy.type == "RollingUpdate" else None
    kept = rolling.partition if rolling else start
    revision = revisions.current if ordinal < kept else revisions.update
    return revision.metadata.name, revision_template(revision)


def _pod(stateful_set: StatefulSet, ordinal: int, start: int, revisions: Revisions) -> dict[str, Any]:
    name = f"{stateful_set.metadata.name}-{ordinal}"
    revision, template = _template_for(stateful_set, ordinal, start, revisions)
    labels = {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal), CONTROLLER_REVISION_HASH: revision}
    pod = pod_from_template(template, STATEFUL_SET, stateful_set, name=name, labels=labels)
    pod["spec"] |= {"hostname": name}
    if stateful_set.spec.service_name:
        pod["spec"]["subdomain"] = stateful_set.spec.service_name
    claims = {each["metadata"]["name"]: each for each in stateful_set.spec.volume_claim_templates}
    if claims:
        volumes = [volume for volume in pod["spec"].get("volumes") or [] if volume.get("name") not in claims]
        pod["spec"]["volumes"] = volumes + [
            {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}} for claim in claims
        ]
    return pod


def _claims(stateful_set: StatefulSet, ordinal: int) -> list[dict[str, Any]]:
    """The claims of one pod. Nobody owns them: storage outlives the pods and the set, as it should."""
    selector = stateful_set.spec.selector
    labels = (selector.match_labels if selector else None) or {}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"{template['metadata']['name']}-{stateful_set.metadata.name}-{ordinal}",
                "namespace": stateful_set.metadata.namespace,
                "labels": {**template["metadata"].get("labels", {}), **labels},
                "annotations": template["metadata"].get("annotations") or {},
            },
            "spec": template.get("spec", {}),
        }
        for template in stateful_set.spec.volume_claim_templates
    ]
