"""OpenAPI v2 out of v3, for clients that still ask for it.

v2 says less: no alternatives, no null. What it cannot say is left out, and a client lets such fields pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratos.apiserver.registry.openapi.schemas import REFERENCE

_UNSAID = frozenset({"allOf", "anyOf", "not", "nullable", "oneOf", "x-kubernetes-validations"})


def swagger(title: str, version: str, documents: list[Mapping[str, Any]]) -> dict[str, Any]:
    """All v3 documents in one of v2."""
    paths: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for document in documents:
        paths |= {path: _path_item(item) for path, item in document["paths"].items()}
        definitions |= {name: _schema(source) for name, source in document["components"]["schemas"].items()}
    return {
        "swagger": "2.0",
        "info": {"title": title, "version": version},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
    }


def _path_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: list(map(_parameter, value)) if key == "parameters" else _operation(value) for key, value in item.items()
    }


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in operation.items() if key != "requestBody"}
    result["parameters"] = list(map(_parameter, operation["parameters"]))
    result["produces"] = ["application/json"]
    if body := operation.get("requestBody"):
        result["consumes"] = sorted(body["content"])
        (schema, *_) = (content["schema"] for content in body["content"].values())
        result["parameters"].append(
            {"name": "body", "in": "body", "required": body["required"], "schema": _schema(schema)}
        )
    result["responses"] = {code: _response(response) for code, response in operation["responses"].items()}
    return result


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in parameter.items() if key != "schema"}, **parameter["schema"]}


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"description": response["description"]}
    for content in response.get("content", {}).values():
        result["schema"] = _schema(content["schema"])
    return result


def _schema(source: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in source:
        return {"$ref": "#/definitions/" + source["$ref"].removeprefix(REFERENCE)}
    wrapped: list[Mapping[str, Any]] = source.get("allOf") or []
    if len(wrapped) == 1 and "$ref" in wrapped[0]:
        return _schema(wrapped[0]) | {
            key: value for key, value in source.items() if key.startswith("x-kubernetes-patch")
        }
    result = {key: value for key, value in source.items() if key not in _UNSAID}
    if source.get("oneOf") and "type" not in source:
        result["type"] = "string"  # a quantity, or a number that may be written as text
    if properties := source.get("properties"):
        result["properties"] = {name: _schema(child) for name, child in properties.items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(source.get(keyword), Mapping):
            result[keyword] = _schema(source[keyword])
    return result
