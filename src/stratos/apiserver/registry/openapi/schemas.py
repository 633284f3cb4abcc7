"""The shapes of kinds as OpenAPI v3 components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stratos.apiserver.registry.resource import Resource
from stratos.apiserver.registry.schema import builtin_definitions

REFERENCE = "#/components/schemas/"

LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"

Component = dict[str, Any]


def group_version_kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def component_name(resource: Resource) -> str:
    """Built-in kinds keep the name of their definition; others are named for their group, written backwards."""
    name = resource.schema.source.get("$ref")
    if isinstance(name, str):
        return name
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_name(resource: Resource) -> str:
    return f"{component_name(resource)}List"


def reference(name: str) -> Component:
    return {"$ref": f"{REFERENCE}{name}"}


def components(resources: Iterable[Resource]) -> dict[str, Component]:
    """The shapes of the kinds and of all they are made of, by name."""
    found: dict[str, Component] = {}
    waiting = [DELETE_OPTIONS, LIST_META, STATUS]
    for resource in resources:
        name = component_name(resource)
        if "$ref" in resource.schema.source:
            waiting.append(name)
        else:
            found[name] = {
                **_published(resource.schema.source, waiting),
                "x-kubernetes-group-version-kind": [group_version_kind(resource)],
            }
        found[list_name(resource)] = _list_component(resource)
    definitions = builtin_definitions().sources
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _published(definitions[name], waiting)
    return dict(sorted(found.items()))


def _list_component(resource: Resource) -> Component:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text,
            "kind": text,
            "metadata": reference(LIST_META),
            "items": {"type": "array", "items": reference(component_name(resource))},
        },
        "x-kubernetes-group-version-kind": [
            {"group": resource.group, "kind": f"{resource.kind}List", "version": resource.version}
        ],
    }


def _published(source: Mapping[str, Any], waiting: list[str]) -> Component:
    """A schema as others may read it; the names it refers to are added to ``waiting``."""
    result = {key: value for key, value in source.items() if key != "$ref"}
    if "$ref" in source:
        waiting.append(source["$ref"])
        if not result:
            return reference(source["$ref"])
        # Beside a reference nothing else counts, so what stands beside it is put around it.
        result["allOf"] = [reference(source["$ref"]), *(result.get("allOf") or ())]
    if result.get("x-kubernetes-int-or-string") and result.get("format") == "int-or-string":
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    if result.get("format") == "quantity":
        del result["format"]
    if properties := result.get("properties"):
        result["properties"] = {name: _published(child, waiting) for name, child in properties.items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(result.get(keyword), Mapping):
            result[keyword] = _published(result[keyword], waiting)
    return result
