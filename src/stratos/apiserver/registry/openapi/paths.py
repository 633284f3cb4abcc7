"""The paths of a kind and the operations on them, as OpenAPI v3."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.openapi.schemas import (
    DELETE_OPTIONS,
    STATUS,
    component_name,
    group_version_kind,
    list_name,
    reference,
)
from stratos.apiserver.registry.resource import Resource

PathItem = dict[str, Any]

SCALE = {"group": "autoscaling", "kind": "Scale", "version": "v1"}

_BOOLEAN, _INTEGER, _STRING = "boolean", "integer", "string"
_WRITING = (("dryRun", _STRING), ("fieldManager", _STRING), ("fieldValidation", _STRING))
_PATCHING = (*_WRITING, ("force", _BOOLEAN))
_LISTING = (
    ("allowWatchBookmarks", _BOOLEAN),
    ("continue", _STRING),
    ("fieldSelector", _STRING),
    ("labelSelector", _STRING),
    ("limit", _INTEGER),
    ("resourceVersion", _STRING),
    ("resourceVersionMatch", _STRING),
    ("sendInitialEvents", _BOOLEAN),
    ("timeoutSeconds", _INTEGER),
    ("watch", _BOOLEAN),
)
_DELETING = (
    ("dryRun", _STRING),
    ("gracePeriodSeconds", _INTEGER),
    ("orphanDependents", _BOOLEAN),
    ("propagationPolicy", _STRING),
)
_POSTED_SUBRESOURCES = frozenset({"binding", "eviction", "token"})


def group_version_path(resource: Resource) -> str:
    """``api/v1``, ``apis/apps/v1``: what the index of documents calls a group version."""
    return f"apis/{resource.group_version}" if resource.group else f"api/{resource.version}"


def paths_of(resource: Resource) -> dict[str, PathItem]:
    """Every path of a kind."""
    root = f"/{group_version_path(resource)}"
    collection = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else None
    everywhere = f"{root}/{resource.plural}"
    one = f"{collection or everywhere}/{{name}}"
    paths = {collection or everywhere: _collection(resource), one: _single(resource)}
    if collection is not None:
        paths[everywhere] = {"get": _list(resource, "ForAllNamespaces")}
    for subresource in sorted(resource.subresources):
        paths[f"{one}/{subresource}"] = _subresource(resource, subresource)
    for path, item in paths.items():
        item["parameters"] = [_in_path(name) for name in ("name", "namespace") if f"{{{name}}}" in path]
    return paths


def _collection(resource: Resource) -> PathItem:
    shape = component_name(resource)
    return {
        "get": _list(resource),
        "post": _operation(resource, "create", _WRITING, body=_json(shape), answer=shape),
        "delete": _operation(resource, "deleteCollection", _LISTING + _DELETING, answer=STATUS),
    }


def _list(resource: Resource, suffix: str = "") -> dict[str, Any]:
    return _operation(resource, "list", _LISTING, answer=list_name(resource), suffix=suffix)


def _single(resource: Resource) -> PathItem:
    shape = component_name(resource)
    return {
        "get": _operation(resource, "read", (), answer=shape),
        "put": _operation(resource, "replace", _WRITING, body=_json(shape), answer=shape),
        "patch": _operation(resource, "patch", _PATCHING, body=_patches(resource), answer=shape),
        "delete": _operation(resource, "delete", _DELETING, body=_json(DELETE_OPTIONS), answer=STATUS),
    }


def _subresource(resource: Resource, name: str) -> PathItem:
    suffix = name.capitalize()
    if name in _POSTED_SUBRESOURCES:
        return {"post": _operation(resource, "create", _WRITING, body=_any_json(), suffix=suffix)}
    if name == "log":
        return {"get": _operation(resource, "read", (("container", _STRING), ("follow", _BOOLEAN)), suffix=suffix)}
    shape = None if name == "scale" else component_name(resource)
    body = _json(shape) if shape else _any_json()
    item = {
        "get": _operation(resource, "read", (), answer=shape, suffix=suffix),
        "put": _operation(resource, "replace", _WRITING, body=body, answer=shape, suffix=suffix),
        "patch": _operation(resource, "patch", _PATCHING, body=_patches(resource), answer=shape, suffix=suffix),
    }
    if name == "scale":
        for operation in item.values():
            operation["x-kubernetes-group-version-kind"] = SCALE
    return item


def _operation(
    resource: Resource,
    action: str,
    parameters: tuple[tuple[str, str], ...],
    *,
    body: dict[str, Any] | None = None,
    answer: str | None = None,
    suffix: str = "",
) -> dict[str, Any]:
    group = resource.group.split(".")[0].capitalize() or "Core"
    scope = "Namespaced" if resource.namespaced and suffix != "ForAllNamespaces" else ""
    operation: dict[str, Any] = {
        "operationId": f"{action}{group}{resource.version.capitalize()}{scope}{resource.kind}{suffix}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": kind}} for name, kind in parameters],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": {"read": "get", "create": "post", "replace": "put"}.get(action, action.lower()),
        "x-kubernetes-group-version-kind": group_version_kind(resource),
    }
    if answer is not None:
        operation["responses"]["200"]["content"] = _json(answer)
    if body is not None:
        operation["requestBody"] = {"content": body, "required": action != "delete"}
    return operation


def _json(component: str) -> dict[str, Any]:
    return {"application/json": {"schema": reference(component)}}


def _any_json() -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}}}


def _patches(resource: Resource) -> dict[str, Any]:
    """The kinds of patches it takes. Custom kinds do not say how their lists merge, so there is no strategic one."""
    kinds = ["apply-patch+yaml", "json-patch+json", "merge-patch+json"]
    if not resource.custom:
        kinds.append("strategic-merge-patch+json")
    return {f"application/{kind}": {"schema": {"type": "object"}} for kind in kinds}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
