"""Turn a valid CustomResourceDefinition into the kinds it defines, one for each served version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stratos.apiserver.registry.builtin.names import validate_metadata
from stratos.apiserver.registry.crd.columns import printer_columns
from stratos.apiserver.registry.crd.json_path import JsonPath
from stratos.apiserver.registry.resource import Obj, Resource, ScalePaths
from stratos.apiserver.registry.schema import Schema, builtin_definitions
from stratos.apiserver.registry.schema.nodes import OBJECT_META, Definitions
from stratos.base.errors import FieldProblem


def resources_from_crd(crd: Obj) -> list[Resource]:
    """The kinds of a definition that `validate_definition` finds nothing wrong with, in its order of versions."""
    return [_resource(crd["spec"], version) for version in crd["spec"]["versions"] if version.get("served")]


def convert(obj: Obj, resource: Resource) -> Obj:
    """The object in another version of its kind. Nothing but the name of the version changes."""
    return {**obj, "apiVersion": resource.group_version}


def schema_of(version: Mapping[str, Any]) -> Schema:
    """The shape of one version, with the fields every object has."""
    source = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    properties = source.get("properties") or {}
    metadata: dict[str, Any] = {"$ref": OBJECT_META}
    if limits := (properties.get("metadata") or {}).get("properties"):
        metadata["allOf"] = [{"properties": limits}]
    text = {"type": "string"}
    whole = {**source, "properties": {**properties, "apiVersion": text, "kind": text, "metadata": metadata}}
    return Schema(whole, Definitions({}, base=builtin_definitions()))


def _resource(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Resource:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        schema=schema_of(version),
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for name in ("status", "scale") if subresources.get(name) is not None),
        scale=_scale_paths(scale) if scale is not None else None,
        columns=printer_columns(version),
        selectable=_selectable(version),
        validate=_validate_metadata,
        custom=True,
    )


def _validate_metadata(obj: Obj) -> tuple[FieldProblem, ...]:
    return tuple(validate_metadata(obj))


def _scale_paths(scale: Mapping[str, Any]) -> ScalePaths:
    return ScalePaths(
        spec_replicas=scale["specReplicasPath"],
        status_replicas=scale["statusReplicasPath"],
        label_selector=scale.get("labelSelectorPath"),
    )


def _selectable(version: Mapping[str, Any]) -> dict[str, Callable[[Obj], str]]:
    return {
        field["jsonPath"].removeprefix("."): _field_text(JsonPath(field["jsonPath"]))
        for field in version.get("selectableFields") or ()
    }


def _field_text(path: JsonPath) -> Callable[[Obj], str]:
    def text(obj: Obj) -> str:
        value = path.first(obj)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return text
