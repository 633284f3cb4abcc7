"""Decide what a Deployment's ReplicaSets should look like next.

One plan is one step: create the ReplicaSet of the present template, or move replicas between it and its predecessors as
far as ``maxSurge`` and ``maxUnavailable`` allow at this moment. Pods that turn ready call for the next plan. Conditions
are worked out in `progress`, resizing in the middle of a rollout in `proportional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stratos.apis.deployment import (
    DEPLOYMENT,
    DESIRED_REPLICAS_ANNOTATION,
    MAX_REPLICAS_ANNOTATION,
    REVISION_ANNOTATION,
    REVISION_HISTORY_ANNOTATION,
    Deployment,
    DeploymentStatus,
    RollingUpdateDeployment,
)
from stratos.apis.pod import Pod
from stratos.apis.replicaset import REPLICA_SET, ReplicaSet
from stratos.apis.workload import POD_TEMPLATE_HASH
from stratos.workloads.bounds import surge_and_unavailable
from stratos.workloads.deployment.progress import plan_status
from stratos.workloads.deployment.proportional import resize
from stratos.workloads.pods import controller_reference
from stratos.workloads.revisions import canonical_template, template_hash

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION_ANNOTATION,
        REVISION_HISTORY_ANNOTATION,
        DESIRED_REPLICAS_ANNOTATION,
        MAX_REPLICAS_ANNOTATION,
    }
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReplicaSetChange:
    """What one ReplicaSet should have and has not; of the annotations only those that differ."""

    replica_set: ReplicaSet
    replicas: int
    min_ready_seconds: int
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    create: dict[str, Any] | None  # the ReplicaSet of the present template
    change: tuple[ReplicaSetChange, ...]
    delete: tuple[ReplicaSet, ...]  # history beyond its limit
    revision: str | None  # for the Deployment's own annotation
    status: DeploymentStatus
    check_again_seconds: float | None  # when the progress deadline will have passed


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a rollout may stray from the wished number of pods."""

    desired: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.desired + self.surge

    @property
    def least_available(self) -> int:
        return max(0, self.desired - self.unavailable)


def bounds_of(deployment: Deployment) -> Bounds:
    """Only a rolling update strays; ``Recreate`` replaces all at once and never has more than it should."""
    spec = deployment.spec
    if spec.strategy.type != "RollingUpdate":
        return Bounds(spec.replicas, 0, 0)
    rolling = spec.strategy.rolling_update or RollingUpdateDeployment()
    surge, unavailable = surge_and_unavailable(rolling.max_surge, rolling.max_unavailable, spec.replicas)
    return Bounds(spec.replicas, surge, min(unavailable, spec.replicas))


def plan_deployment(
    deployment: Deployment, replica_sets: Sequence[ReplicaSet], pods: Sequence[Pod], now: datetime
) -> DeploymentPlan:
    """``replica_sets`` are those it owns, and ``pods`` theirs."""
    ordered = sorted(replica_sets, key=_age)
    new = find_new(deployment, ordered)
    old = [replica_set for replica_set in ordered if replica_set is not new]
    bounds = bounds_of(deployment)
    leaving = deployment.metadata.deletion_timestamp is not None
    create, replicas = (None, {}) if leaving else _next_step(deployment, new, old, pods, bounds)
    status, check_again = plan_status(
        deployment, new, ordered, bounds.least_available, create["metadata"]["name"] if create else None, now
    )
    return DeploymentPlan(
        create=create,
        change=() if leaving else tuple(_changes(deployment, new, old, replicas, bounds)),
        delete=_surplus_history(deployment, new, old, status),
        revision=_revision_wanted(new, old) if new or create else None,
        status=status,
        check_again_seconds=check_again,
    )


def _next_step(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], pods: Sequence[Pod], bounds: Bounds
) -> tuple[dict[str, Any] | None, dict[str, int]]:
    """The ReplicaSet to create, or, by uid, the replicas that some should have instead of what they have."""
    recreate = deployment.spec.strategy.type == "Recreate"
    if deployment.spec.paused or _was_resized(deployment, [*old, *([new] if new else [])]):
        return None, resize(bounds.desired, bounds.most, new, old)
    if recreate and _remain(old, pods):
        # Everything old goes first, to the last terminating pod; only then the new ones come.
        return None, {each.metadata.uid: 0 for each in old}
    if new is None:
        return _new_replica_set(deployment, _room(bounds, old), _revision_wanted(None, old), bounds), {}
    return None, {new.metadata.uid: bounds.desired} if recreate else _roll(bounds, new, old)


def find_new(deployment: Deployment, ordered: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The oldest ReplicaSet of the present template. There is more than one only after a hash collision."""
    wanted = canonical_template(deployment.spec.template)
    return next((each for each in ordered if canonical_template(each.spec.template) == wanted), None)


def _age(replica_set: ReplicaSet) -> tuple[datetime, str]:
    return (replica_set.metadata.creation_timestamp or _LONG_AGO, replica_set.metadata.name)


def _was_resized(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> bool:
    desired = str(deployment.spec.replicas)
    return any(
        each.spec.replicas > 0 and each.metadata.annotations.get(DESIRED_REPLICAS_ANNOTATION, desired) != desired
        for each in replica_sets
    )


def _room(bounds: Bounds, replica_sets: Iterable[ReplicaSet]) -> int:
    """How many more pods may exist now."""
    existing = sum(each.spec.replicas for each in replica_sets)
    return min(bounds.desired, max(0, bounds.most - existing))


def _remain(old: Sequence[ReplicaSet], pods: Iterable[Pod]) -> bool:
    uids = {each.metadata.uid for each in old}
    return any(each.spec.replicas for each in old) or any(
        not pod.finished and pod.metadata.controller is not None and pod.metadata.controller.uid in uids for pod in pods
    )


def _roll(bounds: Bounds, new: ReplicaSet, old: Sequence[ReplicaSet]) -> dict[str, int]:
    if new.spec.replicas > bounds.desired:
        return {new.metadata.uid: bounds.desired}
    if (more := min(bounds.desired - new.spec.replicas, bounds.most - _total(new, *old))) > 0:
        return {new.metadata.uid: new.spec.replicas + more}
    return _shrink_old(bounds, new, old)


def _total(*replica_sets: ReplicaSet) -> int:
    return sum(each.spec.replicas for each in replica_sets)


def _shrink_old(bounds: Bounds, new: ReplicaSet, old: Sequence[ReplicaSet]) -> dict[str, int]:
    """Give up what does not serve anyway, then serving pods as far as new ones have taken over.

    Statuses may be older than specs, so a pod counts as available only while its ReplicaSet still wants it, and pods
    the new ReplicaSet wants but does not serve with yet are counted as missing.
    """
    replicas = {each.metadata.uid: each.spec.replicas for each in old}
    not_serving_yet = max(0, new.spec.replicas - new.status.available_replicas)
    spare = _total(new, *old) - bounds.least_available - not_serving_yet
    for each in old:
        broken = max(0, each.spec.replicas - each.status.available_replicas)
        given_up = max(0, min(broken, spare))
        replicas[each.metadata.uid] -= given_up
        spare -= given_up
    serving = {each.metadata.uid: min(replicas[each.metadata.uid], each.status.available_replicas) for each in old}
    dispensable = min(
        spare, min(new.spec.replicas, new.status.available_replicas) + sum(serving.values()) - bounds.least_available
    )
    for each in old:
        given_up = max(0, min(replicas[each.metadata.uid], dispensable))
        replicas[each.metadata.uid] -= given_up
        dispensable -= given_up
    return replicas


def _revision(replica_set: ReplicaSet) -> int:
    text = replica_set.metadata.annotations.get(REVISION_ANNOTATION, "0")
    return int(text) if text.isdigit() else 0


def _next_revision(old: Iterable[ReplicaSet]) -> int:
    return max((_revision(each) for each in old), default=0) + 1


def _revision_wanted(new: ReplicaSet | None, old: Iterable[ReplicaSet]) -> str:
    return str(max(_revision(new) if new else 0, _next_revision(old)))


def _replica_annotations(bounds: Bounds) -> dict[str, str]:
    return {DESIRED_REPLICAS_ANNOTATION: str(bounds.desired), MAX_REPLICAS_ANNOTATION: str(bounds.most)}


def _changes(
    deployment: Deployment,
    new: ReplicaSet | None,
    old: Sequence[ReplicaSet],
    replicas: Mapping[str, int],
    bounds: Bounds,
) -> Iterable[ReplicaSetChange]:
    # Room is made before it is taken: old ReplicaSets shrink before the new one grows.
    for each in [*old, *([new] if new else [])]:
        wanted = replicas.get(each.metadata.uid, each.spec.replicas)
        annotations = _replica_annotations(bounds) if wanted or each is new else {}
        if each is new:
            annotations |= _copied_annotations(deployment)
            annotations |= _revision_annotations(each, _revision_wanted(each, old))
        min_ready = deployment.spec.min_ready_seconds if each is new else each.spec.min_ready_seconds
        missing = {key: value for key, value in annotations.items() if each.metadata.annotations.get(key) != value}
        if missing or (wanted, min_ready) != (each.spec.replicas, each.spec.min_ready_seconds):
            yield ReplicaSetChange(each, wanted, min_ready, missing)


def _revision_annotations(replica_set: ReplicaSet, wanted: str) -> dict[str, str]:
    """The number it is now known by, and those it was known by before a rollback brought it up again."""
    before = replica_set.metadata.annotations.get(REVISION_ANNOTATION)
    if before is None or before == wanted:
        return {REVISION_ANNOTATION: wanted}
    history = replica_set.metadata.annotations.get(REVISION_HISTORY_ANNOTATION)
    return {
        REVISION_ANNOTATION: wanted,
        REVISION_HISTORY_ANNOTATION: f"{history},{before}" if history else before,
    }


def _copied_annotations(deployment: Deployment) -> dict[str, str]:
    return {key: value for key, value in deployment.metadata.annotations.items() if key not in _NOT_COPIED}


def _new_replica_set(deployment: Deployment, replicas: int, revision: str, bounds: Bounds) -> dict[str, Any]:
    hash_ = template_hash(deployment.spec.template, deployment.status.collision_count)
    template = canonical_template(deployment.spec.template)
    labels = {**template["metadata"].get("labels", {}), POD_TEMPLATE_HASH: hash_}
    selector = deployment.spec.selector
    match_labels = (selector.match_labels if selector else None) or {}
    expressions = (selector.match_expressions if selector else None) or ()
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": {**match_labels, POD_TEMPLATE_HASH: hash_}},
        "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
    }
    if expressions:
        spec["selector"]["matchExpressions"] = [
            {"key": each.key, "operator": each.operator, **({"values": list(each.values)} if each.values else {})}
            for each in expressions
        ]
    if deployment.spec.min_ready_seconds:
        spec["minReadySeconds"] = deployment.spec.min_ready_seconds
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{deployment.metadata.name}-{hash_}",
            "namespace": deployment.metadata.namespace,
            "labels": labels,
            "annotations": {
                **_copied_annotations(deployment),
                **_replica_annotations(bounds),
                REVISION_ANNOTATION: revision,
            },
            "ownerReferences": [controller_reference(DEPLOYMENT, deployment)],
        },
        "spec": spec,
    }


def _surplus_history(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], status: DeploymentStatus
) -> tuple[ReplicaSet, ...]:
    """Empty ReplicaSets beyond the limit, the oldest revisions first, once the present template is rolled out."""
    desired = deployment.spec.replicas
    rolled_out = status.updated_replicas == status.replicas == status.available_replicas == desired
    if new is None or not rolled_out or deployment.metadata.deletion_timestamp is not None:
        return ()
    empty = [
        each
        for each in old
        if not each.spec.replicas
        and not each.status.replicas
        and each.status.observed_generation >= each.metadata.generation
        and each.metadata.deletion_timestamp is None
    ]
    surplus = max(0, len(empty) - deployment.spec.revision_history_limit)
    return tuple(sorted(empty, key=lambda each: (_revision(each), each.metadata.name))[:surplus])
