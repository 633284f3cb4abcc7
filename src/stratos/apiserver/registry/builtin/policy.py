"""PodDisruptionBudgets, PriorityClasses, autoscalers, Leases and RuntimeClasses."""

from __future__ import annotations

from stratos.apiserver.registry.builtin.columns import AGE, NAME, NONE, UNKNOWN, column, number_column
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    immutable,
    integer,
    invalid,
    mapping,
    mappings,
    numbered,
    one_of,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import check_name, dns_label, path_segment, validate_label_selector
from stratos.apiserver.registry.builtin.numbers import validate_number_or_percent
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Obj

# PodDisruptionBudget


def _validate_budget(budget: Obj) -> Problems:
    spec = mapping(budget, "spec")
    at_least, at_most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if at_least is not None and at_most is not None:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    yield from validate_number_or_percent("spec.minAvailable", at_least, percent_max=100)
    yield from validate_number_or_percent("spec.maxUnavailable", at_most, percent_max=100)
    yield from validate_label_selector(spec.get("selector"), "spec.selector")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    yield from one_of("spec.unhealthyPodEvictionPolicy", spec.get("unhealthyPodEvictionPolicy"), policies)


def _bound(budget: Obj, name: str) -> str:
    value = mapping(budget, "spec").get(name)
    return "N/A" if value is None else str(value)


# PriorityClass

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITY_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _default_priority_class(priority_class: Obj) -> None:
    fill(priority_class, preemptionPolicy="PreemptLowerPriority")


def _validate_priority_class(priority_class: Obj) -> Problems:
    name, value = text(priority_class, "metadata", "name"), integer(priority_class, "value")
    if name.startswith("system-"):
        if SYSTEM_PRIORITY_CLASSES.get(name) != value:
            yield forbidden(
                "metadata.name",
                "priority class names with 'system-' prefix are reserved for system use only. "
                f"error: {name} is not a known system priority class",
            )
    elif value is not None and value > HIGHEST_USER_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")
    policies = ("Never", "PreemptLowerPriority")
    yield from one_of("preemptionPolicy", priority_class.get("preemptionPolicy"), policies)


def _validate_priority_class_change(new: Obj, old: Obj) -> Problems:
    if new.get("value") != old.get("value"):
        yield forbidden("value", "may not be changed in an update.")
    yield from immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


# HorizontalPodAutoscaler


def _default_autoscaler(autoscaler: Obj) -> None:
    spec = mapping(autoscaler, "spec")
    if spec:
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
        fill(spec, minReplicas=1, metrics=[{"type": "Resource", "resource": cpu}])


def _validate_autoscaler(autoscaler: Obj) -> Problems:
    spec = mapping(autoscaler, "spec")
    least, most = integer(spec, "minReplicas"), integer(spec, "maxReplicas")
    if least is not None and least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most is not None and most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    elif least is not None and most is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        yield from check_name(f"spec.scaleTargetRef.{name}", text(spec, "scaleTargetRef", name), path_segment)


def _metric_targets(autoscaler: Obj) -> str:
    """``cpu: 40%/80%`` for each resource metric; other metrics only by their kind."""
    seen = {
        text(metric, "resource", "name"): mapping(metric, "resource", "current")
        for metric in mappings(autoscaler, "status", "currentMetrics")
        if metric.get("type") == "Resource"
    }
    shown = []
    for metric in mappings(autoscaler, "spec", "metrics"):
        if metric.get("type") != "Resource":
            shown.append(f"{UNKNOWN}/{text(metric, 'type')}")
            continue
        name, target = text(metric, "resource", "name"), mapping(metric, "resource", "target")
        current = seen.get(name, {})
        if (share := integer(target, "averageUtilization")) is not None:
            used = integer(current, "averageUtilization")
            shown.append(f"{name}: {UNKNOWN if used is None else f'{used}%'}/{share}%")
        else:
            shown.append(f"{name}: {current.get('averageValue', UNKNOWN)}/{target.get('averageValue', UNKNOWN)}")
    return ", ".join(shown) or NONE


def _reference(autoscaler: Obj) -> str:
    target = mapping(autoscaler, "spec", "scaleTargetRef")
    return f"{text(target, 'kind')}/{text(target, 'name')}"


# Lease


def _validate_lease(lease: Obj) -> Problems:
    spec = mapping(lease, "spec")
    if (seconds := integer(spec, "leaseDurationSeconds")) is not None and seconds <= 0:
        yield invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if (transitions := integer(spec, "leaseTransitions")) is not None and transitions < 0:
        yield invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


# RuntimeClass


def _validate_runtime_class(runtime_class: Obj) -> Problems:
    yield from check_name("handler", runtime_class.get("handler"), dns_label)
    for at, toleration in numbered(runtime_class, "scheduling", "tolerations", at="scheduling.tolerations"):
        yield from one_of(f"{at}.operator", toleration.get("operator"), ("Equal", "Exists"))


def _validate_runtime_class_change(new: Obj, old: Obj) -> Problems:
    yield from immutable("handler", new.get("handler"), old.get("handler"))


RESOURCES = (
    kind(
        "policy/v1",
        "PodDisruptionBudget",
        short_names=("pdb",),
        subresources=("status",),
        columns=(
            NAME,
            column("Min Available", lambda budget: _bound(budget, "minAvailable")),
            column("Max Unavailable", lambda budget: _bound(budget, "maxUnavailable")),
            number_column("Allowed Disruptions", "status", "disruptionsAllowed"),
            AGE,
        ),
        validate=_validate_budget,
    ),
    kind(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        namespaced=False,
        short_names=("pc",),
        columns=(
            NAME,
            number_column("Value", "value"),
            column("Global-Default", lambda c: c.get("globalDefault") is True, type="boolean"),
            AGE,
            column("PreemptionPolicy", lambda c: text(c, "preemptionPolicy")),
        ),
        default=_default_priority_class,
        validate=_validate_priority_class,
        validate_update=_validate_priority_class_change,
    ),
    kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=("status",),
        columns=(
            NAME,
            column("Reference", _reference),
            column("Targets", _metric_targets),
            column("MinPods", lambda a: str(integer(a, "spec", "minReplicas") or "<unset>")),
            number_column("MaxPods", "spec", "maxReplicas"),
            number_column("Replicas", "status", "currentReplicas"),
            AGE,
        ),
        default=_default_autoscaler,
        validate=_validate_autoscaler,
    ),
    kind(
        "coordination.k8s.io/v1",
        "Lease",
        columns=(NAME, column("Holder", lambda lease: text(lease, "spec", "holderIdentity")), AGE),
        validate=_validate_lease,
    ),
    kind(
        "node.k8s.io/v1",
        "RuntimeClass",
        namespaced=False,
        columns=(NAME, column("Handler", lambda runtime_class: text(runtime_class, "handler")), AGE),
        validate=_validate_runtime_class,
        validate_update=_validate_runtime_class_change,
    ),
)
