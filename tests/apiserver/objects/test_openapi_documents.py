"""The published documents answer what kubectl asks of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stratos.apiserver.registry.builtin import builtin_resources
from stratos.apiserver.registry.crd import resources_from_crd
from stratos.apiserver.registry.openapi import OpenApi
from stratos.apiserver.registry.resource import Resource

BUILTIN = builtin_resources()


def widgets(field: str = "size") -> Resource:
    schema = {
        "type": "object",
        "description": "A widget.",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {field: {"type": "integer", "description": "How big.", "nullable": True}},
            }
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {
        "group": "example.com",
        "scope": "Cluster",
        "names": names,
        "versions": [version | {"subresources": {"status": {}}}],
    }
    return resources_from_crd({"spec": spec})[0]


def the_documents(*resources: Resource) -> OpenApi:
    documents = OpenApi("v1.32.0")
    documents.serve(resources)
    return documents


def v3(documents: OpenApi, path: str) -> dict[str, Any]:
    body = documents.document(path)
    assert body is not None
    document: dict[str, Any] = json.loads(body)
    return document


def references(value: Any) -> Iterator[str]:
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(item)
    if isinstance(value, dict) and isinstance(value.get("$ref"), str):
        yield value["$ref"]


def test_every_reference_leads_somewhere() -> None:
    """A client that follows one into nothing gives up on the whole document."""
    documents = the_documents(*BUILTIN, widgets())
    for path in json.loads(documents.index())["paths"]:
        document = v3(documents, path)
        schemas = document["components"]["schemas"]
        assert {name.removeprefix("#/components/schemas/") for name in references(document)} <= schemas.keys()
    swagger = json.loads(documents.swagger())
    assert {name.removeprefix("#/definitions/") for name in references(swagger)} <= swagger["definitions"].keys()


@pytest.mark.parametrize(
    ("document", "kind", "strategic"),
    [("api/v1", "Pod", True), ("apis/apps/v1", "Deployment", True), ("apis/example.com/v1", "Widget", False)],
)
def test_kubectl_learns_from_the_patch_operation_what_the_server_can_do(
    document: str, kind: str, strategic: bool
) -> None:
    """It looks there for field validation, and for strategic merge patches before it sends one."""
    paths = v3(the_documents(*BUILTIN, widgets()), document)["paths"]
    patches = [
        item["patch"]
        for item in paths.values()
        if "patch" in item and item["patch"]["x-kubernetes-group-version-kind"]["kind"] == kind
    ]

    assert patches
    for operation in patches:
        assert "fieldValidation" in [parameter["name"] for parameter in operation["parameters"]]
        content = operation["requestBody"]["content"]
        assert ("application/strategic-merge-patch+json" in content) is strategic
        assert "application/apply-patch+yaml" in content


def test_kubectl_explain_finds_the_kind_by_its_path_and_its_fields_by_the_kind() -> None:
    """With the descriptions a definition's author wrote."""
    document = v3(the_documents(*BUILTIN, widgets()), "apis/example.com/v1")

    gvk = {"group": "example.com", "version": "v1", "kind": "Widget"}
    assert document["paths"]["/apis/example.com/v1/widgets"]["get"]["x-kubernetes-group-version-kind"] == gvk
    shape = document["components"]["schemas"]["com.example.v1.Widget"]
    assert shape["x-kubernetes-group-version-kind"] == [gvk]
    assert shape["description"] == "A widget."
    assert shape["properties"]["spec"]["properties"]["size"]["description"] == "How big."


def test_merge_keys_are_published() -> None:
    """`kubectl apply` computes its patch from them."""
    schemas = v3(the_documents(*BUILTIN), "api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]

    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"


def test_paths_say_what_is_namespaced_and_which_subresources_there_are() -> None:
    """A cluster-scoped kind has no namespace in its paths."""
    documents = the_documents(*BUILTIN, widgets())

    assert set(v3(documents, "apis/example.com/v1")["paths"]) == {
        "/apis/example.com/v1/widgets",
        "/apis/example.com/v1/widgets/{name}",
        "/apis/example.com/v1/widgets/{name}/status",
    }
    core = v3(documents, "api/v1")["paths"]
    assert {"/api/v1/pods", "/api/v1/namespaces/{namespace}/pods/{name}/status", "/api/v1/nodes/{name}"} <= core.keys()
    ids = [
        operation["operationId"] for item in core.values() for verb, operation in item.items() if verb != "parameters"
    ]
    assert len(ids) == len(set(ids))


def test_the_second_version_leaves_out_what_it_cannot_say() -> None:
    """Clients of v2 refuse a document with words they do not know."""
    swagger = json.loads(the_documents(*BUILTIN, widgets()).swagger())

    size = swagger["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]["size"]
    assert size == {"type": "integer", "description": "How big."}
    quantity = swagger["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity == {"type": "string"}
    body = swagger["paths"]["/apis/example.com/v1/widgets"]["post"]["parameters"][-1]
    assert body == {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": {"$ref": "#/definitions/com.example.v1.Widget"},
    }


def test_only_what_changes_gets_a_new_hash() -> None:
    """The hash in the address is what lets a client keep its copy."""
    documents = the_documents(*BUILTIN, widgets())
    before = json.loads(documents.index())["paths"]
    pods = documents.document("api/v1")

    documents.serve([*BUILTIN, widgets("width")])

    after = json.loads(documents.index())["paths"]
    assert [path for path in after if after[path] != before[path]] == ["apis/example.com/v1"]
    assert documents.document("api/v1") is pods
    assert "width" in str(documents.document("apis/example.com/v1"))

    documents.serve(BUILTIN)
    assert documents.document("apis/example.com/v1") is None
    assert "apis/example.com/v1" not in json.loads(documents.index())["paths"]
