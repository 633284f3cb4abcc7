"""Rules for pods and pod templates beyond their shape, and what of a pod may still change."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from stratos.apiserver.registry.builtin.container_validation import validate_containers
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    forbidden,
    immutable,
    integer,
    invalid,
    items,
    mapping,
    mappings,
    not_negative,
    numbered,
    one_of,
    required,
)
from stratos.apiserver.registry.builtin.names import (
    check_name,
    dns_label,
    dns_subdomain,
    qualified_name,
    validate_annotations,
    validate_labels,
)
from stratos.apiserver.registry.builtin.scheduling_validation import validate_scheduling
from stratos.apiserver.registry.builtin.volume_validation import validate_volumes, volume_names

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_NAMED = (
    ("serviceAccountName", dns_subdomain),
    ("nodeName", dns_subdomain),
    ("priorityClassName", dns_subdomain),
    ("schedulerName", dns_subdomain),
    ("runtimeClassName", dns_subdomain),
    ("hostname", dns_label),
    ("subdomain", dns_label),
)
_SECONDS_MAX = 2**31 - 1
_NODE_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
_ONLY_THESE_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod_spec(spec: dict[str, Any], field: str) -> Problems:
    yield from validate_volumes(spec, field)
    yield from validate_containers(spec, volume_names(spec), field)
    yield from one_of(f"{field}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from one_of(f"{field}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    yield from one_of(f"{field}.preemptionPolicy", spec.get("preemptionPolicy"), _PREEMPTION_POLICIES)
    if spec.get("dnsPolicy") == "None" and not items(spec, "dnsConfig", "nameservers"):
        yield required(
            f"{field}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
        )
    yield from not_negative(f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    deadline = integer(spec, "activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _SECONDS_MAX:
        yield invalid(f"{field}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    for name, rule in _NAMED:
        yield from check_name(f"{field}.{name}", spec.get(name), rule, needed=False)
    for at, gate in numbered(spec, "readinessGates", at=f"{field}.readinessGates"):
        yield from check_name(f"{at}.conditionType", gate.get("conditionType"), qualified_name)
    for at, alias in numbered(spec, "hostAliases", at=f"{field}.hostAliases"):
        yield from validate_ip(f"{at}.ip", alias.get("ip"))
    yield from not_negative(f"{field}.securityContext.runAsUser", mapping(spec, "securityContext").get("runAsUser"))
    yield from validate_scheduling(spec, field)


def validate_ip(field: str, address: object) -> Problems:
    try:
        ip_address(str(address))
    except ValueError:
        yield invalid(field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def validate_pod_template(template: dict[str, Any], field: str) -> Problems:
    metadata = mapping(template, "metadata")
    yield from validate_labels(metadata.get("labels"), f"{field}.metadata.labels")
    yield from validate_annotations(metadata.get("annotations"), f"{field}.metadata.annotations")
    spec = mapping(template, "spec")
    yield from validate_pod_spec(spec, f"{field}.spec")
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{field}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_pod_change(new: dict[str, Any], old: dict[str, Any]) -> Problems:
    """Almost all of a pod's spec stands still once it exists."""
    spec, before = mapping(new, "spec"), mapping(old, "spec")
    if spec == before:
        return
    yield from _validate_deadline_change(spec, before)
    for part in ("containers", "initContainers"):
        if len(items(spec, part)) != len(items(before, part)):
            yield forbidden(f"spec.{part}", "pod updates may not add or remove containers")
            return
    if not _tolerates_as_before(spec, before):
        yield forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
    gates, gates_before = _names(spec, "schedulingGates"), _names(before, "schedulingGates")
    added = [name for name in gates if name not in gates_before]
    if added:
        yield forbidden(
            "spec.schedulingGates", f"only deletion is allowed, but found new scheduling gates '{added[0]}'"
        )
    if _fixed_part(spec, gated=bool(gates_before)) != _fixed_part(before, gated=bool(gates_before)):
        yield forbidden("spec", _ONLY_THESE_CHANGE)
    elif gates_before:
        yield from _validate_gated_change(spec, before)


def _validate_deadline_change(spec: dict[str, Any], before: dict[str, Any]) -> Problems:
    deadline, deadline_before = integer(spec, "activeDeadlineSeconds"), integer(before, "activeDeadlineSeconds")
    if deadline_before is None:
        return
    if deadline is None:
        yield invalid("spec.activeDeadlineSeconds", None, "must not update from a positive integer to nil value")
    elif deadline > deadline_before:
        yield invalid(
            "spec.activeDeadlineSeconds", deadline, f"must be less than or equal to previous value {deadline_before}"
        )


def _tolerates_as_before(spec: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether each old toleration is still there; how long it tolerates may change."""

    def identities(owner: dict[str, Any]) -> list[tuple[Any, ...]]:
        tolerations = mappings(owner, "tolerations")
        return [(t.get("key"), t.get("operator") or "Equal", t.get("value"), t.get("effect")) for t in tolerations]

    now = identities(spec)
    return all(identity in now for identity in identities(before))


def _names(spec: dict[str, Any], part: str) -> list[Any]:
    return [item.get("name") for item in mappings(spec, part)]


def _fixed_part(spec: dict[str, Any], *, gated: bool) -> dict[str, Any]:
    """The spec without what may change: for a gated pod, also where it may go."""
    fixed = {
        key: value
        for key, value in spec.items()
        if key not in ("activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers")
    }
    for part in ("containers", "initContainers"):
        if part in fixed:
            fixed[part] = [{k: v for k, v in c.items() if k != "image"} for c in mappings(spec, part)]
    if gated:
        fixed.pop("nodeSelector", None)
        affinity = {key: value for key, value in mapping(spec, "affinity").items() if key != "nodeAffinity"}
        fixed["affinity"] = affinity
    return fixed


def _validate_gated_change(spec: dict[str, Any], before: dict[str, Any]) -> Problems:
    """While gates hold a pod back, its place may be narrowed down, never widened."""
    selector, selector_before = mapping(spec, "nodeSelector"), mapping(before, "nodeSelector")
    if any(selector.get(key) != value for key, value in selector_before.items()):
        yield invalid(
            "spec.nodeSelector", selector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        )
    terms = items(spec, "affinity", "nodeAffinity", _NODE_TERMS, "nodeSelectorTerms")
    terms_before = items(before, "affinity", "nodeAffinity", _NODE_TERMS, "nodeSelectorTerms")
    field = f"spec.affinity.nodeAffinity.{_NODE_TERMS}.nodeSelectorTerms"
    if terms_before and len(terms) != len(terms_before):
        yield invalid(field, terms, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for index, (term, term_before) in enumerate(zip(terms, terms_before, strict=False)):
        for part in ("matchExpressions", "matchFields"):
            if items(term, part)[: len(items(term_before, part))] != items(term_before, part):
                yield from immutable(f"{field}[{index}].{part}", term.get(part), term_before.get(part))
