"""What makes a CustomResourceDefinition acceptable, complaint by complaint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratos.apiserver.registry.crd import default_definition, definition_kind
from stratos.apiserver.registry.json_values import copy_json

Obj = dict[str, Any]


def a_definition(**spec_fields: Obj) -> Obj:
    """A valid definition of widgets; ``spec_fields`` describe the fields of a widget's spec."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": spec_fields}},
                        }
                    },
                }
            ],
        },
    }


def complaints(crd: Obj) -> list[tuple[str, str]]:
    """As the server finds them: first the shape, then the rules."""
    kind = definition_kind()
    return [(p.field, p.message) for p in kind.schema.validate(crd) or kind.validate(crd)]


def test_a_plain_definition_is_fine() -> None:
    """The other tests here break it in one place each."""
    assert complaints(a_definition(size={"type": "integer"})) == []


def _set(path: str, value: Any) -> Callable[[Obj], None]:
    def change(crd: Obj) -> None:
        *parents, last = path.split(".")
        target: Any = crd
        for step in parents:
            target = target[int(step)] if isinstance(target, list) else target[step]
        target[last] = value

    return change


VERSION = "spec.versions.0"
AT = "spec.versions[0]"
AT_SPEC = f"{AT}.schema.openAPIV3Schema.properties[spec]"


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        ("metadata.name", "gadgets.example.com", "metadata.name", 'must be spec.names.plural+"."+spec.group'),
        ("spec.scope", "Galaxy", "spec.scope", 'supported values: "Cluster", "Namespaced"'),
        ("spec.scope", "", "spec.scope", "Required value"),
        ("spec.names.plural", "Widgets", "metadata.name", "must be spec.names.plural"),
        ("spec.names.kind", "", "spec.names.kind", "Required value"),
        ("spec.names.kind", "Wid get", "spec.names.kind", "may have mixed case"),
        ("spec.names.listKind", "Widget", "spec.names.listKind", "kind and listKind may not be the same"),
        ("spec.names.shortNames", ["W"], "spec.names.shortNames[0]", "DNS-1035 label"),
        ("spec.names.categories", ["all", "x y"], "spec.names.categories[1]", "DNS-1035 label"),
        ("spec.versions", [], "spec.versions", "Required value"),
        ("spec.versions", "v1", "spec.versions", "must be of type array"),
        ("spec.conversion", {"strategy": "Webhook"}, "spec.conversion.strategy", 'supported values: "None"'),
        ("spec.preserveUnknownFields", True, "spec.preserveUnknownFields", "must be false"),
        (f"{VERSION}.name", "1", f"{AT}.name", "DNS-1035 label"),
        (f"{VERSION}.storage", False, "spec.versions", "must have exactly one version marked as storage version"),
        (f"{VERSION}.schema", {}, f"{AT}.schema.openAPIV3Schema", "schemas are required"),
        (f"{VERSION}.schema.openAPIV3Schema.type", "array", f"{AT}.schema.openAPIV3Schema.type", "must be object"),
        (f"{VERSION}.schema.openAPIV3Schema.type", None, f"{AT}.schema.openAPIV3Schema.type", "must not be empty"),
        (f"{VERSION}.schema.openAPIV3Schema.nullable", True, f"{AT}.schema.openAPIV3Schema.nullable", "at the root"),
        (
            f"{VERSION}.schema.openAPIV3Schema.properties.metadata",
            {"type": "object", "properties": {"labels": {"type": "object"}}},
            f"{AT}.schema.openAPIV3Schema.properties[metadata]",
            "must not specify anything other than name and generateName",
        ),
        (
            f"{VERSION}.additionalPrinterColumns",
            [{"name": "X", "type": "text", "jsonPath": ".spec.x"}],
            f"{AT}.additionalPrinterColumns[0].type",
            'Unsupported value: "text"',
        ),
        (
            f"{VERSION}.additionalPrinterColumns",
            [{"name": "X", "type": "string", "jsonPath": "spec.x"}],
            f"{AT}.additionalPrinterColumns[0].jsonPath",
            "is an invalid path",
        ),
        (
            f"{VERSION}.subresources",
            {"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": ".status.n"}},
            f"{AT}.subresources.scale.specReplicasPath",
            "should be a json path under .spec",
        ),
        (
            f"{VERSION}.subresources",
            {"scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n[0]"}},
            f"{AT}.subresources.scale.statusReplicasPath",
            "should be a json path under .status",
        ),
        (
            f"{VERSION}.selectableFields",
            [{"jsonPath": ".spec.nothing"}],
            f"{AT}.selectableFields[0].jsonPath",
            "must point to a field of type",
        ),
    ],
)
def test_a_definition_with_one_mistake_is_told_which(path: str, value: Any, field: str, message: str) -> None:
    """Nothing is stored that could not be served."""
    crd = a_definition()
    _set(path, value)(crd)

    assert any(where == field and message in what for where, what in complaints(crd)), complaints(crd)


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, "type", "must not be empty for specified object fields"),
        ({"type": "strng"}, "type", 'Unsupported value: "strng"'),
        ({"type": "array"}, "items", "must be specified"),
        ({"type": "array", "items": {}}, "items.type", "must not be empty for specified array items"),
        ({"type": "object", "additionalProperties": {}}, "additionalProperties.type", "must not be empty"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
            "additionalProperties",
            "mutual exclusive",
        ),
        ({"type": "string", "pattern": "["}, "pattern", "must be a valid regular expression"),
        ({"type": "integer", "default": "x"}, "default", "must be of type integer"),
        ({"type": "integer", "default": 1, "minimum": 2}, "default", "greater than or equal to 2"),
        ({"type": "object", "properties": {}, "default": {"a": 1}}, "default.a", "must be a known field"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems", "cannot be set to true"),
        ({"$ref": "#/x", "type": "string"}, "$ref", "$ref is not supported"),
        ({"type": "object", "definitions": {"a": {"type": "string"}}}, "definitions", "is not supported"),
        ({"type": "integer", "x-kubernetes-int-or-string": True}, "type", "must be empty"),
        ({"type": "string", "x-kubernetes-list-type": "set"}, "type", "must be array"),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "bag"},
            "x-kubernetes-list-type",
            "bag",
        ),
        (
            {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"},
            "x-kubernetes-list-map-keys",
            "Required value",
        ),
        (
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
                "items": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
            "items.properties[a].default",
            "must have a default or be a required property",
        ),
        (
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["b"],
                "items": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
            "x-kubernetes-list-map-keys[0]",
            "must be the name of a property",
        ),
        ({"type": "object", "x-kubernetes-embedded-resource": True}, "properties", "must not be empty"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "anyOf[0].type", "must be empty to be structural"),
        ({"type": "string", "allOf": [{"default": "x"}]}, "allOf[0].default", "must be undefined to be structural"),
        ({"type": "string", "maxLength": "3"}, "maxLength", "must be of type integer"),
    ],
)
def test_a_schema_that_is_not_structural_is_told_where(schema: Obj, field: str, message: str) -> None:
    """Only what is structural can be pruned, defaulted and explained."""
    found = complaints(a_definition(f=schema))

    assert any(where.endswith(f"properties[f].{field}") or _by_shape(where, field) for where, _ in found), found
    assert any(message in what for _, what in found), found


def _by_shape(where: str, field: str) -> bool:
    """Where the shape itself is wrong, the path is that of the document, not of the schema in it."""
    return where.endswith(f"properties.f.{field}")


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"rule": ""}, "rule", "rule is not specified"),
        ({"rule": "self.x <="}, "rule", "compilation failed"),
        ({"rule": "foo(self)"}, "rule", "undeclared reference to 'foo'"),
        ({"rule": "true", "messageExpression": "'a' +"}, "messageExpression", "compilation failed"),
        ({"rule": "true", "message": " "}, "message", "must be non-empty"),
        ({"rule": "true", "reason": "Because"}, "reason", 'Unsupported value: "Because"'),
        ({"rule": "true", "fieldPath": ".nowhere"}, "fieldPath", "must be a valid path"),
        ({"rule": "true", "optionalOldSelf": True}, "optionalOldSelf", "oldSelf is not used"),
    ],
)
def test_a_rule_that_cannot_work_makes_the_definition_invalid(rule: Obj, field: str, message: str) -> None:
    """Found out now, by the author, and not later by every user of the kind."""
    spec = {"type": "object", "properties": {"x": {"type": "integer"}}, "x-kubernetes-validations": [rule]}

    assert [(where, message in what) for where, what in complaints(a_definition(f=spec))] == [
        (f"{AT_SPEC}.properties[f].x-kubernetes-validations[0].{field}", True)
    ]


def test_names_that_follow_from_the_kind_are_filled_in() -> None:
    """Most definitions leave them out."""
    crd = a_definition()
    del crd["spec"]["names"]["singular"], crd["spec"]["names"]["listKind"]

    default_definition(crd)

    assert crd["spec"]["names"]["singular"] == "widget"
    assert crd["spec"]["names"]["listKind"] == "WidgetList"
    assert crd["spec"]["conversion"] == {"strategy": "None"}


def test_what_objects_are_stored_under_cannot_change() -> None:
    """They could no longer be found, or no longer be read."""
    old = a_definition()
    old["status"] = {"storedVersions": ["v1"]}
    new = copy_json(old)
    new["spec"]["scope"] = "Cluster"
    new["spec"]["names"]["kind"] = "Gadget"
    new["spec"]["versions"][0]["name"] = "v2"

    found = [(p.field, p.message) for p in definition_kind().validate_update(new, old)]

    assert found == [
        ("spec.scope", 'Invalid value: "Cluster": field is immutable'),
        ("spec.names.kind", 'Invalid value: "Gadget": field is immutable'),
        ("status.storedVersions[0]", 'Invalid value: "v1": must appear in spec.versions'),
    ]
