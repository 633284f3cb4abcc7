"""The kinds of ``apps/v1``: Deployments, ReplicaSets, StatefulSets, DaemonSets and ControllerRevisions."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.columns import (
    AGE,
    NAME,
    NONE,
    column,
    map_text,
    number_column,
    template_columns,
)
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    immutable,
    integer,
    invalid,
    mapping,
    mappings,
    not_negative,
    not_supported,
    one_of,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import validate_label_selector
from stratos.apiserver.registry.builtin.numbers import validate_number_or_percent
from stratos.apiserver.registry.builtin.pod_defaults import default_pod_template, fill
from stratos.apiserver.registry.builtin.pod_validation import validate_pod_template
from stratos.apiserver.registry.resource import Obj, ScalePaths
from stratos.base.selectors import from_label_selector

_REVISIONS_KEPT = 10
_SCALE = ScalePaths(".spec.replicas", ".status.replicas", ".spec.selector")


def validate_template_selector(spec: dict[str, Any], owner: str) -> Problems:
    """The selector of a workload must be there, mean something, and match the pods the template makes."""
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
        return
    found = list(validate_label_selector(selector, "spec.selector"))
    yield from found
    if not mapping(selector, "matchLabels") and not mappings(selector, "matchExpressions"):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {owner}")
    elif not found:
        labels = mapping(spec, "template", "metadata", "labels")
        if not from_label_selector(mapping(selector)).matches(labels):
            yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _validate_workload(obj: Obj, owner: str) -> Problems:
    spec = mapping(obj, "spec")
    for count in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        yield from not_negative(f"spec.{count}", spec.get(count))
    yield from validate_template_selector(spec, owner)
    template = mapping(spec, "template")
    yield from validate_pod_template(template, "spec.template")
    policy = mapping(template, "spec").get("restartPolicy")
    if policy not in (None, "Always"):
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if mapping(template, "spec").get("activeDeadlineSeconds") is not None:
        yield forbidden(
            "spec.template.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {owner} is not Supported"
        )


def _default_strategy(strategy: Obj, **rolling: object) -> None:
    """A workload rolls unless it says otherwise; ``rolling`` is how."""
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(strategy, rollingUpdate={})
        if isinstance(given := strategy["rollingUpdate"], dict):
            fill(given, **rolling)


def _ready_of_wanted(obj: Obj) -> str:
    return f"{integer(obj, 'status', 'readyReplicas') or 0}/{integer(obj, 'spec', 'replicas') or 0}"


def _selector_stands(new: Obj, old: Obj) -> Problems:
    yield from immutable("spec.selector", mapping(new, "spec").get("selector"), mapping(old, "spec").get("selector"))


# Deployment


def _default_deployment(deployment: Obj) -> None:
    spec = mapping(deployment, "spec")
    if not spec:
        return
    fill(spec, replicas=1, revisionHistoryLimit=_REVISIONS_KEPT, progressDeadlineSeconds=600, strategy={})
    _default_strategy(mapping(spec, "strategy"), maxUnavailable="25%", maxSurge="25%")
    default_pod_template(spec)


def _validate_deployment(deployment: Obj) -> Problems:
    yield from _validate_workload(deployment, "deployment")
    spec = mapping(deployment, "spec")
    strategy = mapping(spec, "strategy")
    yield from one_of("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"), needed=True)
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        yield forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif isinstance(rolling, dict):
        yield from _validate_rolling(
            rolling, "spec.strategy.rollingUpdate", both_zero="may not be 0 when `maxSurge` is 0"
        )
    deadline, ready = integer(spec, "progressDeadlineSeconds"), integer(spec, "minReadySeconds") or 0
    if deadline is not None:
        yield from not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= ready:
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _validate_rolling(rolling: dict[str, Any], field: str, *, both_zero: str) -> Problems:
    yield from validate_number_or_percent(f"{field}.maxUnavailable", rolling.get("maxUnavailable"), percent_max=100)
    yield from validate_number_or_percent(f"{field}.maxSurge", rolling.get("maxSurge"))
    nothing = (0, "0%", "0")
    if rolling.get("maxUnavailable") in nothing and rolling.get("maxSurge") in nothing:
        yield invalid(f"{field}.maxUnavailable", rolling["maxUnavailable"], both_zero)


# ReplicaSet


def _default_replica_set(replica_set: Obj) -> None:
    spec = mapping(replica_set, "spec")
    if spec:
        fill(spec, replicas=1)
        default_pod_template(spec)


# StatefulSet


def _default_stateful_set(stateful_set: Obj) -> None:
    spec = mapping(stateful_set, "spec")
    if not spec:
        return
    fill(
        spec,
        replicas=1,
        podManagementPolicy="OrderedReady",
        revisionHistoryLimit=_REVISIONS_KEPT,
        updateStrategy={},
        persistentVolumeClaimRetentionPolicy={},
    )
    _default_strategy(mapping(spec, "updateStrategy"), partition=0)
    fill(mapping(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    for claim in mappings(spec, "volumeClaimTemplates"):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        fill(mapping(claim, "spec"), volumeMode="Filesystem")
        claim.setdefault("status", {"phase": "Pending"})
    default_pod_template(spec)


def _validate_stateful_set(stateful_set: Obj) -> Problems:
    # The claims of a set become volumes of its pods: mounts may name them.
    spec = dict(mapping(stateful_set, "spec"))
    if claims := mappings(spec, "volumeClaimTemplates"):
        template = dict(mapping(spec, "template"))
        names = [text(claim, "metadata", "name") for claim in claims]
        own = mapping(template, "spec")
        volumes = [volume for volume in own.get("volumes") or [] if mapping(volume).get("name") not in names]
        claimed = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
        spec["template"] = {**template, "spec": {**own, "volumes": [*volumes, *claimed]}}
    yield from _validate_workload({**stateful_set, "spec": spec}, "statefulset")
    policies = ("OrderedReady", "Parallel")
    yield from one_of("spec.podManagementPolicy", spec.get("podManagementPolicy"), policies, needed=True)
    strategy = mapping(spec, "updateStrategy")
    yield from one_of("spec.updateStrategy.type", strategy.get("type"), ("OnDelete", "RollingUpdate"), needed=True)
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
        yield invalid(
            "spec.updateStrategy.rollingUpdate",
            strategy["rollingUpdate"],
            "only allowed for updateStrategy 'RollingUpdate'",
        )
    yield from not_negative(
        "spec.updateStrategy.rollingUpdate.partition", integer(strategy, "rollingUpdate", "partition")
    )
    retention, allowed = mapping(spec, "persistentVolumeClaimRetentionPolicy"), ("Delete", "Retain")
    for moment in ("whenDeleted", "whenScaled"):
        yield from one_of(f"spec.persistentVolumeClaimRetentionPolicy.{moment}", retention.get(moment), allowed)


_STATEFUL_SET_CHANGES = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
    "revisionHistoryLimit",
)


def _validate_stateful_set_change(new: Obj, old: Obj) -> Problems:
    def fixed(obj: Obj) -> dict[str, Any]:
        return {key: value for key, value in mapping(obj, "spec").items() if key not in _STATEFUL_SET_CHANGES}

    if fixed(new) != fixed(old):
        yield forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )


# DaemonSet


def _default_daemon_set(daemon_set: Obj) -> None:
    spec = mapping(daemon_set, "spec")
    if not spec:
        return
    fill(spec, revisionHistoryLimit=_REVISIONS_KEPT, updateStrategy={})
    _default_strategy(mapping(spec, "updateStrategy"), maxUnavailable=1, maxSurge=0)
    default_pod_template(spec)


def _validate_daemon_set(daemon_set: Obj) -> Problems:
    yield from _validate_workload(daemon_set, "daemonset")
    strategy = mapping(daemon_set, "spec", "updateStrategy")
    yield from one_of("spec.updateStrategy.type", strategy.get("type"), ("OnDelete", "RollingUpdate"), needed=True)
    if isinstance(rolling := strategy.get("rollingUpdate"), dict):
        field = "spec.updateStrategy.rollingUpdate"
        yield from _validate_rolling(rolling, field, both_zero="cannot be 0 when maxSurge is 0")
        nothing = (None, 0, "0%", "0")
        if rolling.get("maxUnavailable") not in nothing and rolling.get("maxSurge") not in nothing:
            yield invalid(f"{field}.maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero")


# ControllerRevision


def _validate_revision(revision: Obj) -> Problems:
    yield from not_negative("revision", revision.get("revision"))


def _validate_revision_change(new: Obj, old: Obj) -> Problems:
    yield from immutable("data", new.get("data"), old.get("data"))


def _controller_of(revision: Obj) -> str:
    for owner in mappings(revision, "metadata", "ownerReferences"):
        if owner.get("controller") is True:
            group = text(owner, "apiVersion").rpartition("/")[0]
            return f"{text(owner, 'kind').lower()}{'.' if group else ''}{group}/{text(owner, 'name')}"
    return NONE


RESOURCES = (
    kind(
        "apps/v1",
        "Deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=("status", "scale"),
        scale=_SCALE,
        columns=(
            NAME,
            column("Ready", _ready_of_wanted),
            number_column("Up-to-date", "status", "updatedReplicas"),
            number_column("Available", "status", "availableReplicas"),
            AGE,
            *template_columns("spec", "template"),
        ),
        default=_default_deployment,
        validate=_validate_deployment,
        validate_update=_selector_stands,
    ),
    kind(
        "apps/v1",
        "ReplicaSet",
        short_names=("rs",),
        categories=("all",),
        subresources=("status", "scale"),
        scale=_SCALE,
        columns=(
            NAME,
            number_column("Desired", "spec", "replicas"),
            number_column("Current", "status", "replicas"),
            number_column("Ready", "status", "readyReplicas"),
            AGE,
            *template_columns("spec", "template"),
        ),
        selectable=("status.replicas",),
        default=_default_replica_set,
        validate=lambda obj: _validate_workload(obj, "replicaset"),
        validate_update=_selector_stands,
    ),
    kind(
        "apps/v1",
        "StatefulSet",
        short_names=("sts",),
        categories=("all",),
        subresources=("status", "scale"),
        scale=_SCALE,
        columns=(
            NAME,
            column("Ready", _ready_of_wanted),
            AGE,
            *template_columns("spec", "template", selector=False),
        ),
        default=_default_stateful_set,
        validate=_validate_stateful_set,
        validate_update=_validate_stateful_set_change,
    ),
    kind(
        "apps/v1",
        "DaemonSet",
        short_names=("ds",),
        categories=("all",),
        subresources=("status",),
        columns=(
            NAME,
            number_column("Desired", "status", "desiredNumberScheduled"),
            number_column("Current", "status", "currentNumberScheduled"),
            number_column("Ready", "status", "numberReady"),
            number_column("Up-to-date", "status", "updatedNumberScheduled"),
            number_column("Available", "status", "numberAvailable"),
            column("Node Selector", lambda d: map_text(mapping(d, "spec", "template", "spec").get("nodeSelector"))),
            AGE,
            *template_columns("spec", "template"),
        ),
        default=_default_daemon_set,
        validate=_validate_daemon_set,
        validate_update=_selector_stands,
    ),
    kind(
        "apps/v1",
        "ControllerRevision",
        columns=(
            NAME,
            column("Controller", _controller_of),
            number_column("Revision", "revision"),
            AGE,
        ),
        validate=_validate_revision,
        validate_update=_validate_revision_change,
    ),
)
