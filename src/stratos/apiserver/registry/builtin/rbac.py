"""Roles and bindings. What they allow is decided in ``auth``; here only whether they make sense."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.columns import AGE, CREATED_AT, NAME, column, joined
from stratos.apiserver.registry.builtin.fields import (
    Problems,
    invalid,
    items,
    mapping,
    mappings,
    not_supported,
    numbered,
    required,
    text,
)
from stratos.apiserver.registry.builtin.kinds import kind
from stratos.apiserver.registry.builtin.names import (
    check_name,
    dns_subdomain,
    path_segment,
    validate_label_selector,
)
from stratos.apiserver.registry.builtin.pod_defaults import fill
from stratos.apiserver.registry.resource import Column, Obj

RBAC_GROUP = "rbac.authorization.k8s.io"
_SUBJECT_KINDS = ("Group", "ServiceAccount", "User")


def _default_role(role: Obj) -> None:
    role.setdefault("rules", [])


def _validate_rules(role: Obj, *, namespaced: bool) -> Problems:
    for at, rule in numbered(role, "rules", at="rules"):
        if not items(rule, "verbs"):
            yield required(f"{at}.verbs", "verbs must contain at least one value")
        if items(rule, "nonResourceURLs"):
            if namespaced:
                yield invalid(
                    f"{at}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                )
            if any(items(rule, part) for part in ("apiGroups", "resources", "resourceNames")):
                yield invalid(
                    f"{at}.nonResourceURLs",
                    rule["nonResourceURLs"],
                    "rules cannot apply to both regular resources and non-resource URLs",
                )
            continue
        if not items(rule, "apiGroups"):
            yield required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not items(rule, "resources"):
            yield required(f"{at}.resources", "resource rules must supply at least one resource")


def _validate_cluster_role(role: Obj) -> Problems:
    yield from _validate_rules(role, namespaced=False)
    if (aggregation := role.get("aggregationRule")) is not None:
        field = "aggregationRule.clusterRoleSelectors"
        if not items(aggregation, "clusterRoleSelectors"):
            yield required(field, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        for at, selector in numbered(aggregation, "clusterRoleSelectors", at=field):
            yield from validate_label_selector(selector, at)


def _default_binding(binding: Obj) -> None:
    if reference := mapping(binding, "roleRef"):
        fill(reference, apiGroup=RBAC_GROUP)
    for subject in mappings(binding, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup=RBAC_GROUP)


def _validate_binding(binding: Obj, *, role_kinds: tuple[str, ...]) -> Problems:
    reference = mapping(binding, "roleRef")
    if reference.get("apiGroup") != RBAC_GROUP:
        yield not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (RBAC_GROUP,))
    if reference.get("kind") not in role_kinds:
        yield not_supported("roleRef.kind", reference.get("kind", ""), role_kinds)
    yield from check_name("roleRef.name", reference.get("name"), path_segment)
    for at, subject in numbered(binding, "subjects", at="subjects"):
        yield from _validate_subject(subject, at)


def _validate_subject(subject: dict[str, Any], field: str) -> Problems:
    group = subject.get("apiGroup") or ""
    if not subject.get("name"):
        yield required(f"{field}.name")
    match subject.get("kind"):
        case "ServiceAccount":
            yield from check_name(f"{field}.name", subject.get("name"), dns_subdomain, needed=False)
            if group:
                yield not_supported(f"{field}.apiGroup", group, ("",))
            if not subject.get("namespace"):
                yield required(f"{field}.namespace")
        case "User" | "Group":
            if group != RBAC_GROUP:
                yield not_supported(f"{field}.apiGroup", group, (RBAC_GROUP,))
        case other:
            yield not_supported(f"{field}.kind", other or "", _SUBJECT_KINDS)


def _validate_binding_change(new: Obj, old: Obj) -> Problems:
    if new.get("roleRef") != old.get("roleRef"):
        yield invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _subjects(kind_name: str) -> Column:
    def names(binding: Obj) -> str:
        found = [s for s in mappings(binding, "subjects") if s.get("kind") == kind_name]
        if kind_name == "ServiceAccount":
            return joined((f"{text(s, 'namespace')}/{text(s, 'name')}" for s in found), empty="")
        return joined((text(s, "name") for s in found), empty="")

    return column(f"{kind_name}s", names, wide=True)


_BINDING_COLUMNS = (
    NAME,
    column("Role", lambda b: f"{text(b, 'roleRef', 'kind')}/{text(b, 'roleRef', 'name')}"),
    AGE,
    _subjects("User"),
    _subjects("Group"),
    _subjects("ServiceAccount"),
)

RESOURCES = (
    kind(
        f"{RBAC_GROUP}/v1",
        "Role",
        columns=(NAME, CREATED_AT),
        name_rule=path_segment,
        default=_default_role,
        validate=lambda role: _validate_rules(role, namespaced=True),
    ),
    kind(
        f"{RBAC_GROUP}/v1",
        "ClusterRole",
        namespaced=False,
        columns=(NAME, CREATED_AT),
        name_rule=path_segment,
        default=_default_role,
        validate=_validate_cluster_role,
    ),
    kind(
        f"{RBAC_GROUP}/v1",
        "RoleBinding",
        columns=_BINDING_COLUMNS,
        name_rule=path_segment,
        default=_default_binding,
        validate=lambda binding: _validate_binding(binding, role_kinds=("ClusterRole", "Role")),
        validate_update=_validate_binding_change,
    ),
    kind(
        f"{RBAC_GROUP}/v1",
        "ClusterRoleBinding",
        namespaced=False,
        columns=_BINDING_COLUMNS,
        name_rule=path_segment,
        default=_default_binding,
        validate=lambda binding: _validate_binding(binding, role_kinds=("ClusterRole",)),
        validate_update=_validate_binding_change,
    ),
)
