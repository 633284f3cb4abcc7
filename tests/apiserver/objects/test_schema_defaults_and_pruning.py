"""Defaults fill in what is missing; pruning takes out what nobody knows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.schema import Schema

NAMES = ("a", "b", "c", "d")

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("xyz", max_size=2)
objects = st.dictionaries(
    st.sampled_from(NAMES),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_size=4,
)

leaves: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "default": "x"},
        {"type": "integer", "default": 3},
        {"type": "boolean"},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "default": {"a": "from above"}, "properties": {"a": {"type": "string", "default": "y"}}},
    ]
)


def _objects_of(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    fields = st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    return st.one_of(
        fields.map(lambda properties: {"type": "object", "properties": properties}),
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda extra: {"type": "object", "additionalProperties": extra}),
    )


roots = st.dictionaries(st.sampled_from(NAMES), st.recursive(leaves, _objects_of, max_leaves=6), max_size=4).map(
    lambda properties: Schema({"type": "object", "properties": properties})
)


@given(roots, objects)
def test_after_pruning_nothing_is_unknown(schema: Schema, obj: dict[str, Any]) -> None:
    """What is stored must be what the schema describes, or the next version of the kind inherits rubbish."""
    expected = schema.unknown_fields(obj)

    assert schema.prune(obj) == expected
    assert schema.unknown_fields(obj) == []


@given(roots, objects)
def test_defaulting_twice_is_defaulting_once(schema: Schema, obj: dict[str, Any]) -> None:
    """An object is defaulted on every write; it must not drift."""
    schema.default(obj)
    once = copy_json(obj)

    schema.default(obj)

    assert obj == once


@given(roots, objects)
def test_defaults_only_add(schema: Schema, obj: dict[str, Any]) -> None:
    """What somebody wrote is never replaced, unless it is a null that means nothing."""
    before = copy_json(obj)

    schema.default(obj)

    assert all(key in obj and (obj[key] == value or isinstance(value, dict | list) or value is None)
               for key, value in before.items())  # fmt: skip


def test_a_default_is_filled_in_at_every_depth() -> None:
    """In lists, in maps, and inside a default itself."""
    item = {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}
    schema = Schema(
        {
            "type": "object",
            "properties": {
                "list": {"type": "array", "items": item},
                "map": {"type": "object", "additionalProperties": item},
                "made": {**item, "default": {}},
                "absent": item,
            },
        }
    )
    obj: dict[str, Any] = {"list": [{}, {"size": 7}], "map": {"x": {}}}

    schema.default(obj)

    assert obj == {"list": [{"size": 1}, {"size": 7}], "map": {"x": {"size": 1}}, "made": {"size": 1}}


def test_two_objects_do_not_share_a_default() -> None:
    """Otherwise changing one object would change every other."""
    schema = Schema({"type": "object", "properties": {"l": {"type": "array", "items": {}, "default": []}}})
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    schema.default(first)
    schema.default(second)

    first["l"].append(1)

    assert second == {"l": []}


def test_a_null_gives_way_to_a_default_unless_it_is_allowed() -> None:
    """Clients with typed structs send null for what they left out."""
    schema = Schema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "default": 1},
                "b": {"type": "integer", "default": 1, "nullable": True},
            },
        }
    )
    obj: dict[str, Any] = {"a": None, "b": None}

    schema.default(obj)

    assert obj == {"a": 1, "b": None}


def test_unknown_fields_are_named_by_their_path() -> None:
    """The path is what a person needs to find the typing error."""
    schema = Schema(
        {
            "type": "object",
            "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "open": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"shut": {"type": "object", "properties": {}}},
                },
            },
        }
    )
    obj = {"x": 1, "list": [{"a": "", "b": ""}], "open": {"any": {"thing": 1}, "shut": {"no": 1}}}

    assert schema.prune(obj) == ["x", "list[0].b", "open.shut.no"]
    assert obj == {"list": [{"a": ""}], "open": {"any": {"thing": 1}, "shut": {}}}


def test_an_embedded_object_keeps_what_every_object_has() -> None:
    """A template holds a whole object of some other kind, with metadata this schema does not describe."""
    from stratos.apiserver.registry.schema import builtin_definitions
    from stratos.apiserver.registry.schema.nodes import Definitions

    template = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
    schema = Schema(
        {"type": "object", "properties": {"template": template}}, Definitions({}, base=builtin_definitions())
    )
    obj: dict[str, Any] = {"template": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "nam": 1}, "y": 1}}

    assert schema.prune(obj) == ["template.y", "template.metadata.nam"]
