"""What makes a CustomResourceDefinition acceptable, and what it leaves for the server to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratos.apiserver.registry.builtin.fields import (
    Problems,
    duplicate,
    immutable,
    invalid,
    items,
    mapping,
    mappings,
    not_supported,
    numbered,
    one_of,
    required,
    text,
)
from stratos.apiserver.registry.builtin.names import check_name, dns_1035_label, dns_subdomain
from stratos.apiserver.registry.crd.columns import COLUMN_TYPES
from stratos.apiserver.registry.crd.json_path import JsonPath
from stratos.apiserver.registry.crd.structure import check_structure
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import Invalid

_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE_MAX = 8


def default_definition(crd: Obj) -> None:
    """Fill in, in place, the names and settings that follow from the others."""
    spec = mapping(crd, "spec")
    names = mapping(spec, "names")
    if kind := text(names, "kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = f"{kind}List"
    if spec and not spec.get("conversion"):
        spec["conversion"] = {"strategy": "None"}


def validate_definition(crd: Obj) -> Problems:
    """Everything wrong with a definition whose fields have the right types."""
    spec = mapping(crd, "spec")
    names = mapping(spec, "names")
    group, plural = text(spec, "group"), text(names, "plural")
    if group and plural and text(crd, "metadata", "name") != f"{plural}.{group}":
        yield invalid("metadata.name", text(crd, "metadata", "name"), 'must be spec.names.plural+"."+spec.group')
    yield from check_name("spec.group", group, dns_subdomain)
    if group and "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    yield from one_of("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"), needed=True)
    yield from _validate_names(names)
    yield from _validate_conversion(spec)
    if spec.get("preserveUnknownFields"):
        yield invalid("spec.preserveUnknownFields", True, "must be false")
    yield from _validate_versions(spec)


def validate_definition_update(new: Obj, old: Obj) -> Problems:
    """What may not change, because objects are stored under it."""
    for field in ("group", "scope"):
        yield from immutable(f"spec.{field}", new["spec"].get(field), old["spec"].get(field))
    for field in ("kind", "plural"):
        yield from immutable(f"spec.names.{field}", new["spec"]["names"].get(field), old["spec"]["names"].get(field))
    defined = {text(version, "name") for version in mappings(new, "spec", "versions")}
    for index, stored in enumerate(items(old, "status", "storedVersions")):
        if stored not in defined:
            yield invalid(f"status.storedVersions[{index}]", stored, "must appear in spec.versions")


def _validate_names(names: Mapping[str, Any]) -> Problems:
    yield from check_name("spec.names.plural", names.get("plural"), dns_1035_label)
    yield from check_name("spec.names.singular", names.get("singular"), dns_1035_label, needed=False)
    for field in ("kind", "listKind"):
        name = text(names, field)
        if not name:
            yield required(f"spec.names.{field}")
        elif problem := dns_1035_label(name.lower()):
            yield invalid(f"spec.names.{field}", name, f"may have mixed case, but should otherwise match: {problem}")
    if text(names, "kind") and names.get("kind") == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")
    for field in ("shortNames", "categories"):
        for index, name in enumerate(items(names, field)):
            yield from check_name(f"spec.names.{field}[{index}]", name, dns_1035_label)


def _validate_conversion(spec: Mapping[str, Any]) -> Problems:
    strategy = mapping(spec, "conversion").get("strategy")
    if strategy not in (None, "None"):
        # Webhook conversion is a promise this server cannot keep; better to say so than to store what nobody converts.
        yield not_supported("spec.conversion.strategy", strategy, ("None",))


def _validate_versions(spec: Mapping[str, Any]) -> Problems:
    versions = mappings(spec, "versions")
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    seen: set[str] = set()
    for at, version in numbered(spec, "versions", at="spec.versions"):
        name = text(version, "name")
        yield from check_name(f"{at}.name", name, dns_1035_label)
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        yield from _validate_version(version, at)
    stored = [text(version, "name") for version in versions if version.get("storage")]
    if len(stored) != 1:
        yield invalid("spec.versions", stored, "must have exactly one version marked as storage version")


def _validate_version(version: Mapping[str, Any], at: str) -> Problems:
    root = mapping(version, "schema").get("openAPIV3Schema")
    if not isinstance(root, dict):
        yield required(f"{at}.schema.openAPIV3Schema", "schemas are required")
        root = {}
    else:
        yield from check_structure(root, f"{at}.schema.openAPIV3Schema")
    yield from _validate_columns(version, at)
    yield from _validate_scale(version, at)
    yield from _validate_selectable(version, root, at)


def _validate_columns(version: Mapping[str, Any], at: str) -> Problems:
    for column_at, column in numbered(version, "additionalPrinterColumns", at=f"{at}.additionalPrinterColumns"):
        if not column.get("name"):
            yield required(f"{column_at}.name")
        yield from one_of(f"{column_at}.type", column.get("type"), COLUMN_TYPES, needed=True)
        yield from one_of(f"{column_at}.format", column.get("format"), _FORMATS)
        yield from _validate_path(f"{column_at}.jsonPath", column.get("jsonPath"))


def _validate_path(at: str, path: object) -> Problems:
    if not isinstance(path, str) or not path:
        yield required(at)
        return
    try:
        JsonPath(path)
    except Invalid as error:
        yield invalid(at, path, f"is an invalid path: {error.message}")


def _validate_scale(version: Mapping[str, Any], at: str) -> Problems:
    scale = mapping(version, "subresources").get("scale")
    if not isinstance(scale, dict):
        return
    homes = {
        "specReplicasPath": (".spec",),
        "statusReplicasPath": (".status",),
        "labelSelectorPath": (".spec", ".status"),
    }
    for field, roots in homes.items():
        path, path_at = text(scale, field), f"{at}.subresources.scale.{field}"
        if not path and field == "labelSelectorPath":
            continue
        problems = list(_validate_path(path_at, path))
        yield from problems
        if not problems and (JsonPath(path).fields is None or not path.startswith(tuple(f"{root}." for root in roots))):
            yield invalid(path_at, path, f"should be a json path under {' or '.join(roots)}")


def _validate_selectable(version: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Problems:
    fields = list(numbered(version, "selectableFields", at=f"{at}.selectableFields"))
    if len(fields) > _SELECTABLE_MAX:
        yield invalid(f"{at}.selectableFields", len(fields), f"must have at most {_SELECTABLE_MAX} items")
    for field_at, field in fields:
        path = text(field, "jsonPath")
        problems = list(_validate_path(f"{field_at}.jsonPath", path))
        yield from problems
        if not problems and _type_at(root, JsonPath(path).fields) not in ("boolean", "integer", "string"):
            yield invalid(f"{field_at}.jsonPath", path, "must point to a field of type string, boolean or integer")


def _type_at(root: Mapping[str, Any], fields: tuple[str, ...] | None) -> str:
    for field in fields or ():
        root = mapping(root, "properties", field)
    return text(root, "type") if fields else ""
