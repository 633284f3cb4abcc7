"""Whatever arrives over the network is answered, never tripped over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apiserver.registry.crd import definition_kind, resources_from_crd
from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.patching import (
    ApplyConflict,
    apply,
    json_patch,
    merge_patch,
    strategic_merge_patch,
    track_update,
)
from stratos.apiserver.registry.schema import load_builtin_schema
from stratos.base.errors import Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD = load_builtin_schema("", "v1", "Pod")

WORDS = [
    *("name", "type", "object", "array", "string", "spec", "metadata", "labels", "containers", "image", "ports"),
    *(
        "$ref",
        "$patch",
        "replace",
        "delete",
        "$retainKeys",
        "$setElementOrder/containers",
        "merge",
        "[",
        "^a",
        "self.a",
    ),
    *("$deleteFromPrimitiveList/finalizers", "finalizers", "managedFields", "fieldsV1", "f:spec", "k:{", "properties"),
    *("allOf", "not", "default", "pattern", "items", "enum", "multipleOf", "x-kubernetes-list-type", "map", "required"),
    *("x-kubernetes-list-map-keys", "x-kubernetes-validations", "rule", "x-kubernetes-int-or-string", "operation"),
]
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | st.sampled_from(WORDS)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=8,
)
junk_objects = st.dictionaries(st.sampled_from(WORDS), junk, max_size=4)

A_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "labels": {"a": "b"},
        "finalizers": ["x/y"],
        "managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:containers": {}}}}],
    },
    "spec": {
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}],
        "tolerations": [{"key": "k"}],
    },
}

FIELD: dict[str, Any] = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "default": [{"name": "a"}],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "size": {"type": "number", "multipleOf": 2}},
        "anyOf": [{"required": ["size"]}, {"properties": {"name": {"maxLength": 3}}}],
        "x-kubernetes-validations": [{"rule": "self.name != 'x'", "message": "no", "fieldPath": ".name"}],
    },
}
A_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["w"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "additionalPrinterColumns": [
                    {"name": "X", "type": "date", "jsonPath": ".spec.list[?(@.name==1)].size"}
                ],
                "subresources": {"scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"list": FIELD}}},
                    }
                },
            }
        ],
    },
}


@st.composite
def spoiled(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """``whole`` with junk in one place, at any depth."""
    result: dict[str, Any] = copy_json(whole)
    target: Any = result
    while True:
        key = draw(st.sampled_from(sorted(target) if isinstance(target, dict) else list(range(len(target)))))
        deeper = isinstance(target[key], dict | list) and target[key]
        if not deeper or draw(st.integers(0, 4)) == 0:
            if isinstance(target, dict) and draw(st.booleans()):
                key = draw(st.sampled_from(WORDS))
            target[key] = draw(junk)
            return result
        target = target[key]


def _with_field(field: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = copy_json(A_DEFINITION)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["list"] = field
    return definition


widgets = st.one_of(
    junk_objects,
    junk.map(lambda value: {"spec": {"list": value}}),
    st.lists(st.fixed_dictionaries({"name": junk, "size": junk}), max_size=3).map(
        lambda items: {"spec": {"list": items}}
    ),
)


@settings(max_examples=200)
@given(spoiled(A_DEFINITION) | spoiled(FIELD).map(_with_field), widgets)
def test_a_spoiled_definition_is_refused_or_can_be_served(definition: dict[str, Any], widget: dict[str, Any]) -> None:
    """What validation lets through must not fail later, in the middle of somebody else's request."""
    kind = definition_kind()
    kind.schema.prune(definition)
    if kind.schema.validate(definition):
        return
    kind.default(definition)
    if kind.validate(definition):
        return
    for resource in resources_from_crd(definition):
        resource.schema.prune(widget)
        resource.schema.default(widget)
        resource.schema.validate(widget)
        resource.schema.validate(widget, widget)
        for column in resource.columns:
            column.cell(widget | {"metadata": {"name": "w", "creationTimestamp": "2026-01-01T00:00:00Z"}}, NOW)


@settings(max_examples=200)
@given(spoiled(A_POD))
def test_a_spoiled_pod_is_judged(pod: dict[str, Any]) -> None:
    """And every complaint names a field."""
    problems = POD.validate(pod)

    assert all(problem.field or not isinstance(pod, dict) for problem in problems)
    POD.prune(pod)
    assert POD.unknown_fields(pod) == []


@settings(max_examples=200)
@given(spoiled(A_POD), junk)
def test_a_patch_of_junk_gives_an_object_or_is_refused(pod: dict[str, Any], patch: Any) -> None:
    """Live objects can be odd too: they may have been stored under an older shape."""
    for attempt in (
        lambda: merge_patch(pod, patch),
        lambda: json_patch(pod, patch),
        lambda: strategic_merge_patch(pod, patch, POD),
        lambda: strategic_merge_patch(pod, {"spec": patch, "metadata": patch}, POD),
    ):
        before = copy_json(pod)
        try:
            attempt()
        except Invalid as refusal:
            assert refusal.message
        assert pod == before


@settings(max_examples=200)
@given(spoiled(A_POD), spoiled(A_POD))
def test_junk_can_be_applied_and_tracked(live: dict[str, Any], new: dict[str, Any]) -> None:
    """Ownership is worked out before the last validation, so it must cope with any JSON."""
    for obj in (live, new):
        if not isinstance(obj.get("metadata"), dict):
            obj["metadata"] = {}
    new_config = copy_json(new)
    new_config["metadata"].pop("managedFields", None)
    track_update(None, live, manager="a", schema=POD, api_version="v1", now=NOW)
    track_update(live, copy_json(new), manager="b", schema=POD, api_version="v1", now=NOW)
    try:
        apply(live, new_config, manager="c", force=False, schema=POD, api_version="v1", now=NOW)
    except ApplyConflict as conflict:
        assert conflict.problems
    forced = apply(live, new_config, manager="c", force=True, schema=POD, api_version="v1", now=NOW)
    again = apply(forced, new_config, manager="c", force=False, schema=POD, api_version="v1", now=NOW)
    assert again == forced
