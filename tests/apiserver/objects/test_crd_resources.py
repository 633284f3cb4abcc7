"""From a CustomResourceDefinition to a kind that can be served."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stratos.apis.crds import custom_resource_definitions
from stratos.apiserver.registry.crd import convert, definition_kind, resources_from_crd
from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.resource import Resource

Obj = dict[str, Any]

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def widgets(**version: Any) -> list[Resource]:
    schema = {
        "type": "object",
        "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}},
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}},
        },
    }
    first = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}} | version
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names}
    later = {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": {"type": "object"}}}
    hidden = {"name": "v0", "served": False, "storage": False, "schema": {"openAPIV3Schema": {"type": "object"}}}
    return resources_from_crd({"spec": {**spec, "versions": [first, later, hidden]}})


def a_widget(**fields: Any) -> Obj:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}} | fields


def test_every_served_version_becomes_a_kind() -> None:
    """And the others cannot be reached."""
    kinds = widgets()

    assert [(kind.group_version, kind.plural, kind.singular) for kind in kinds] == [
        ("example.com/v1", "widgets", "widget"),
        ("example.com/v2", "widgets", "widget"),
    ]
    assert all(kind.custom and kind.namespaced for kind in kinds)
    assert (kinds[0].short_names, kinds[0].categories) == (("wd",), ("all",))


def test_every_object_has_metadata_whatever_its_schema_says() -> None:
    """Definitions say nothing about labels, and labels must neither be pruned nor be of any type."""
    kind = widgets()[0]
    widget = a_widget(extra=1)
    widget["metadata"] |= {"labels": {"a": "b"}, "creationTimestamp": None, "nonsense": 1}

    assert kind.schema.prune(widget) == ["extra", "metadata.nonsense"]
    assert widget["metadata"] == {"name": "w", "labels": {"a": "b"}}
    widget["metadata"]["labels"] = {"a": 1}
    (problem,) = kind.schema.validate(widget)
    assert problem.field == "metadata.labels.a"


def test_a_definition_may_limit_the_name() -> None:
    """The one thing about metadata it may say."""
    (problem,) = widgets()[0].schema.validate({**a_widget(), "metadata": {"name": "too-long"}})

    assert (problem.field, problem.reason) == ("metadata.name", "FieldValueTooLong")


def test_labels_follow_the_rules_of_all_kinds() -> None:
    """What holds for a Pod's labels holds for a custom kind's."""
    (problem,) = widgets()[0].validate({**a_widget(), "metadata": {"name": "w", "labels": {"a b": "c"}}})

    assert problem.field == "metadata.labels"


def test_columns_show_values_by_their_type() -> None:
    """Ages for dates, JSON for what is neither text nor number, and nothing for what is missing or of another type."""
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1, "description": "How big."},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Zones", "type": "string", "jsonPath": ".spec.zones"},
        {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "Odd", "type": "integer", "jsonPath": ".spec.on"},
        {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
        {"name": "Since", "type": "date", "jsonPath": ".status.since"},
        {"name": "Broken", "type": "date", "jsonPath": ".spec.day"},
        {"name": "Missing", "type": "string", "jsonPath": ".spec.missing"},
    ]
    kind = widgets(additionalPrinterColumns=columns)[0]
    widget = a_widget(
        spec={"size": 3, "zones": ["a", "b"], "on": True, "ratio": 0.5, "day": "someday"},
        status={"conditions": [{"type": "Ready", "status": "True"}], "since": "2026-01-01T00:00:00Z"},
    )

    cells = {column.name: column.cell(widget, NOW) for column in kind.columns}

    assert cells == {
        "Name": "w",
        "Size": 3,
        "Ready": "True",
        "Zones": '["a","b"]',
        "On": True,
        "Odd": None,
        "Ratio": 0.5,
        "Since": "60m",
        "Broken": "<invalid>",
        "Missing": None,
    }
    assert (kind.columns[1].priority, kind.columns[1].description) == (1, "How big.")


def test_without_columns_of_its_own_a_kind_shows_name_and_age() -> None:
    """As `kubectl get` has always done."""
    assert [column.name for column in widgets()[0].columns] == ["Name", "Age"]


def test_subresources_and_selectable_fields_are_those_asked_for() -> None:
    """A scale subresource knows where the replicas are."""
    kind, other = widgets(
        subresources={
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
        selectableFields=[{"jsonPath": ".spec.size"}, {"jsonPath": ".spec.on"}],
    )

    assert kind.subresources == {"status", "scale"}
    assert kind.scale is not None
    assert (kind.scale.spec_replicas, kind.scale.label_selector) == (".spec.size", None)
    widget = a_widget(spec={"size": 3, "on": True})
    assert {path: value(widget) for path, value in kind.selectable.items()} == {"spec.size": "3", "spec.on": "true"}
    assert kind.selectable["spec.size"](a_widget()) == ""
    assert (other.subresources, other.scale) == (frozenset(), None)


def test_conversion_changes_the_version_and_nothing_else() -> None:
    """Versions without a conversion differ in name only."""
    first, second = widgets()
    widget = a_widget(spec={"size": 3})

    assert convert(widget, second) == {**widget, "apiVersion": "example.com/v2"}
    assert convert(convert(widget, second), first) == widget


def test_our_own_definitions_are_fine() -> None:
    """They are generated from types, and served through this same path."""
    kind = definition_kind()
    for crd in map(copy_json, custom_resource_definitions()):
        kind.default(crd)

        assert kind.schema.unknown_fields(crd) == []
        assert (kind.schema.validate(crd), kind.validate(crd)) == ((), ())
        assert [resource.kind for resource in resources_from_crd(crd)] == [crd["spec"]["names"]["kind"]]
