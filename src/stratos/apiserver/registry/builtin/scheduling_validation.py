"""Rules for where a pod may go: node selectors, affinity, tolerations, spread and gates. Taints are here too."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    forbidden,
    integer,
    invalid,
    mapping,
    not_supported,
    numbered,
    one_of,
    repeated,
    required,
    text,
)
from stratos.apiserver.registry.builtin.names import (
    check_name,
    dns_label,
    label_value,
    qualified_name,
    validate_label_selector,
    validate_labels,
)

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SPREAD_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_HONOR_POLICIES = ("Honor", "Ignore")


def validate_scheduling(spec: dict[str, Any], field: str) -> Problems:
    """Everything in a pod spec that the scheduler reads, but for resources."""
    yield from validate_labels(spec.get("nodeSelector"), f"{field}.nodeSelector")
    yield from _validate_affinity(mapping(spec, "affinity"), f"{field}.affinity")
    yield from _validate_tolerations(spec, field)
    yield from _validate_topology_spread(spec, field)
    gates = list(numbered(spec, "schedulingGates", at=f"{field}.schedulingGates"))
    for at, gate in gates:
        yield from check_name(f"{at}.name", gate.get("name"), qualified_name)
    yield from repeated((at, gate.get("name")) for at, gate in gates)
    if gates and spec.get("nodeName"):
        yield forbidden(f"{field}.nodeName", "cannot be set until all schedulingGates have been cleared")


def _validate_tolerations(spec: dict[str, Any], field: str) -> Problems:
    for at, toleration in numbered(spec, "tolerations", at=f"{field}.tolerations"):
        key, operator = text(toleration, "key"), toleration.get("operator")
        value, effect = text(toleration, "value"), toleration.get("effect")
        if key:
            yield from check_name(f"{at}.key", key, qualified_name)
        elif operator != "Exists":
            yield invalid(
                f"{at}.operator",
                operator or "",
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(f"{at}.effect", effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set")
        match operator:
            case None | "" | "Equal":
                if problem := label_value(value):
                    yield invalid(f"{at}.operator", value, problem)
            case "Exists":
                if value:
                    yield invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'")
            case _:
                yield not_supported(f"{at}.operator", operator, ("Equal", "Exists"))
        yield from one_of(f"{at}.effect", effect, _EFFECTS)


def validate_taints(spec: dict[str, Any], field: str) -> Problems:
    """The taints of a node: each well formed, and no key and effect twice."""
    seen: set[tuple[str, str]] = set()
    for at, taint in numbered(spec, "taints", at=f"{field}.taints"):
        key, effect = text(taint, "key"), text(taint, "effect")
        yield from check_name(f"{at}.key", key, qualified_name)
        if problem := label_value(text(taint, "value")):
            yield invalid(f"{at}.value", taint.get("value"), problem)
        yield from one_of(f"{at}.effect", effect, _EFFECTS, needed=True)
        if (key, effect) in seen:
            yield duplicate(at, {"key": key, "effect": effect})
        seen.add((key, effect))


def _validate_affinity(affinity: dict[str, Any], field: str) -> Problems:
    node = mapping(affinity, "nodeAffinity")
    wanted = f"{field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    if isinstance(selector := node.get("requiredDuringSchedulingIgnoredDuringExecution"), dict):
        yield from validate_node_selector(selector, wanted)
    liked = f"{field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"
    for at, term in numbered(node, "preferredDuringSchedulingIgnoredDuringExecution", at=liked):
        yield from _validate_weight(term, at)
        yield from _validate_node_selector_term(mapping(term, "preference"), f"{at}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = mapping(affinity, kind)
        wanted = f"{field}.{kind}.requiredDuringSchedulingIgnoredDuringExecution"
        for at, term in numbered(terms, "requiredDuringSchedulingIgnoredDuringExecution", at=wanted):
            yield from _validate_pod_affinity_term(term, at)
        liked = f"{field}.{kind}.preferredDuringSchedulingIgnoredDuringExecution"
        for at, term in numbered(terms, "preferredDuringSchedulingIgnoredDuringExecution", at=liked):
            yield from _validate_weight(term, at)
            yield from _validate_pod_affinity_term(mapping(term, "podAffinityTerm"), f"{at}.podAffinityTerm")


def _validate_weight(term: dict[str, Any], field: str) -> Problems:
    weight = integer(term, "weight")
    if weight is not None and not 1 <= weight <= 100:
        yield invalid(f"{field}.weight", weight, "must be in the range 1-100")


def validate_node_selector(selector: dict[str, Any], field: str) -> Problems:
    if not selector.get("nodeSelectorTerms"):
        yield required(f"{field}.nodeSelectorTerms", "must have at least one node selector term")
    for at, term in numbered(selector, "nodeSelectorTerms", at=f"{field}.nodeSelectorTerms"):
        yield from _validate_node_selector_term(term, at)


def _validate_node_selector_term(term: dict[str, Any], field: str) -> Problems:
    for part in ("matchExpressions", "matchFields"):
        for at, expression in numbered(term, part, at=f"{field}.{part}"):
            yield from _validate_node_requirement(expression, at, fields=part == "matchFields")


def _validate_node_requirement(expression: dict[str, Any], field: str, *, fields: bool) -> Problems:
    key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or []
    if fields:
        if key != "metadata.name":
            yield invalid(f"{field}.key", key or "", "not a valid field selector key")
        if operator not in ("In", "NotIn"):
            yield invalid(f"{field}.operator", operator or "", "not a valid selector operator")
        if len(values) != 1:
            yield required(
                f"{field}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        return
    match operator:
        case "In" | "NotIn":
            if not values:
                yield required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                yield forbidden(f"{field}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case "Gt" | "Lt":
            if len(values) != 1:
                yield required(f"{field}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        case _:
            yield invalid(f"{field}.operator", operator or "", "not a valid selector operator")
    yield from check_name(f"{field}.key", key, qualified_name)
    for index, value in enumerate(values):
        if isinstance(value, str) and (problem := label_value(value)):
            yield invalid(f"{field}.values[{index}]", value, problem)


def _validate_pod_affinity_term(term: dict[str, Any], field: str) -> Problems:
    yield from validate_label_selector(term.get("labelSelector"), f"{field}.labelSelector")
    yield from validate_label_selector(term.get("namespaceSelector"), f"{field}.namespaceSelector")
    for index, namespace in enumerate(term.get("namespaces") or []):
        if isinstance(namespace, str) and (problem := dns_label(namespace)):
            yield invalid(f"{field}.namespaces[{index}]", namespace, problem)
    yield from _validate_topology_key(term, field)


def _validate_topology_key(term: dict[str, Any], field: str) -> Problems:
    if not term.get("topologyKey"):
        yield required(f"{field}.topologyKey", "can not be empty")
    else:
        yield from check_name(f"{field}.topologyKey", term["topologyKey"], qualified_name)


def _validate_topology_spread(spec: dict[str, Any], field: str) -> Problems:
    seen: set[tuple[str, str]] = set()
    for at, constraint in numbered(spec, "topologySpreadConstraints", at=f"{field}.topologySpreadConstraints"):
        skew, domains = integer(constraint, "maxSkew"), integer(constraint, "minDomains")
        action = constraint.get("whenUnsatisfiable")
        if skew is None or skew <= 0:
            yield invalid(f"{at}.maxSkew", skew or 0, "must be greater than zero")
        yield from _validate_topology_key(constraint, at)
        yield from one_of(f"{at}.whenUnsatisfiable", action, _SPREAD_ACTIONS, needed=True)
        if domains is not None and domains <= 0:
            yield invalid(f"{at}.minDomains", domains, "must be greater than zero")
        elif domains is not None and action != "DoNotSchedule":
            yield invalid(
                f"{at}.minDomains", domains, f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            )
        pair = text(constraint, "topologyKey"), str(action)
        if pair in seen:
            yield duplicate(at, "{" + f"{pair[0]}, {pair[1]}" + "}")
        seen.add(pair)
        yield from one_of(f"{at}.nodeAffinityPolicy", constraint.get("nodeAffinityPolicy"), _HONOR_POLICIES)
        yield from one_of(f"{at}.nodeTaintsPolicy", constraint.get("nodeTaintsPolicy"), _HONOR_POLICIES)
        yield from validate_label_selector(constraint.get("labelSelector"), f"{at}.labelSelector")
