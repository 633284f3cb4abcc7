"""The schema engine says what is wrong in the words of the real API server."""

from __future__ import annotations

from typing import Any

import pytest

from stratos.apiserver.registry.schema import Schema

Case = tuple[dict[str, Any], Any, list[tuple[str, str]]]


def a_schema(**fields: dict[str, Any]) -> Schema:
    return Schema({"type": "object", "properties": fields})


CASES: dict[str, Case] = {
    "wrong type": (
        {"type": "integer"},
        "x",
        [("f", 'Invalid value: "string": f in body must be of type integer: "string"')],
    ),
    "boolean is no integer": (
        {"type": "integer"},
        True,
        [("f", 'Invalid value: "boolean": f in body must be of type integer: "boolean"')],
    ),
    "whole float is an integer": ({"type": "integer"}, 3.0, []),
    "broken float is none": (
        {"type": "integer"},
        3.5,
        [("f", 'Invalid value: "number": f in body must be of type integer: "number"')],
    ),
    "integer is a number": ({"type": "number"}, 3, []),
    "null": ({"type": "string"}, None, [("f", 'Invalid value: "null": f in body must be of type string: "null"')]),
    "null where allowed": ({"type": "string", "nullable": True}, None, []),
    "int-or-string takes text": ({"x-kubernetes-int-or-string": True}, "50%", []),
    "int-or-string takes a number": ({"x-kubernetes-int-or-string": True}, 50, []),
    "int-or-string takes no list": (
        {"x-kubernetes-int-or-string": True},
        [],
        [("f", 'Invalid value: "array": f in body must be of type int-or-string: "array"')],
    ),
    "int32 overflow": (
        {"type": "integer", "format": "int32"},
        2**31,
        [("f", 'Invalid value: "integer": f in body must be of type int32: "integer"')],
    ),
    "enum": (
        {"type": "string", "enum": ["a", "b"]},
        "x",
        [("f", 'Unsupported value: "x": supported values: "a", "b"')],
    ),
    "minimum": (
        {"type": "integer", "minimum": 3},
        2,
        [("f", "Invalid value: 2: f in body should be greater than or equal to 3")],
    ),
    "exclusive minimum": (
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
        3,
        [("f", "Invalid value: 3: f in body should be greater than 3")],
    ),
    "maximum": (
        {"type": "number", "maximum": 1},
        1.5,
        [("f", "Invalid value: 1.5: f in body should be less than or equal to 1")],
    ),
    "exclusive maximum": (
        {"type": "integer", "maximum": 3, "exclusiveMaximum": True},
        3,
        [("f", "Invalid value: 3: f in body should be less than 3")],
    ),
    "multiple": ({"type": "number", "multipleOf": 0.1}, 0.3, []),
    "no multiple": (
        {"type": "integer", "multipleOf": 5},
        7,
        [("f", "Invalid value: 7: f in body should be a multiple of 5")],
    ),
    "too short": (
        {"type": "string", "minLength": 2},
        "x",
        [("f", 'Invalid value: "x": f in body should be at least 2 chars long')],
    ),
    "too long": ({"type": "string", "maxLength": 2}, "xyz", [("f", "Too long: may not be more than 2 bytes")]),
    "pattern": (
        {"type": "string", "pattern": "^[a-z]+$"},
        "A",
        [("f", "Invalid value: \"A\": f in body should match '^[a-z]+$'")],
    ),
    "a line end does not satisfy the end of a pattern": (
        {"type": "string", "pattern": "^[a-z]+$"},
        "a\n",
        [("f", "Invalid value: \"a\\n\": f in body should match '^[a-z]+$'")],
    ),
    "pattern anywhere": ({"type": "string", "pattern": "b"}, "abc", []),
    "too few items": (
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        [],
        [("f", "Invalid value: 0: f in body should have at least 1 items")],
    ),
    "too many items": (
        {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        ["a", "b"],
        [("f", "Too many: 2: must have at most 1 items")],
    ),
    "item of the wrong type": (
        {"type": "array", "items": {"type": "string"}},
        ["a", 1],
        [("f[1]", 'Invalid value: "integer": f[1] in body must be of type string: "integer"')],
    ),
    "too few properties": (
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        {},
        [("f", "Invalid value: 0: f in body should have at least 1 properties")],
    ),
    "too many properties": (
        {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1},
        {"a": "1", "b": "2"},
        [("f", "Too many: 2: must have at most 1 items")],
    ),
    "additional property of the wrong type": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"a": 1},
        [("f.a", 'Invalid value: "integer": f.a in body must be of type string: "integer"')],
    ),
    "required": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {},
        [("f.a", "Required value")],
    ),
    "repeated items": (
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        [1, 1],
        [("f", "Invalid value: [1,1]: shouldn't contain duplicates")],
    ),
    "repeated item of a set": (
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ["a", "b", "a"],
        [("f[2]", 'Duplicate value: "a"')],
    ),
    "repeated key of a map list": (
        {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
            },
        },
        [{"port": 1}, {"port": 1, "protocol": "UDP"}, {"port": 1, "protocol": "TCP"}],
        [("f[2]", 'Duplicate value: {"port":1,"protocol":"TCP"}')],
    ),
    "all of": (
        {"type": "integer", "allOf": [{"minimum": 1}, {"maximum": 3}]},
        4,
        [("f", "Invalid value: 4: f in body should be less than or equal to 3")],
    ),
    "any of": (
        {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]},
        3,
        [
            ("f", 'Invalid value: 3: "f" must validate at least one schema (anyOf)'),
            ("f", "Invalid value: 3: f in body should be greater than or equal to 5"),
        ],
    ),
    "one of, none": (
        {"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {},
        [
            ("f", 'Invalid value: {}: "f" must validate one and only one schema (oneOf). Found none valid'),
            ("f.a", "Required value"),
        ],
    ),
    "one of, both": (
        {"type": "integer", "oneOf": [{"minimum": 1}, {"maximum": 3}]},
        2,
        [("f", 'Invalid value: 2: "f" must validate one and only one schema (oneOf). Found 2 valid alternatives')],
    ),
    "not": (
        {"type": "integer", "not": {"minimum": 3}},
        3,
        [("f", 'Invalid value: 3: "f" must not validate the schema (not)')],
    ),
    "embedded object": (
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        {"kind": "Pod"},
        [("f.apiVersion", "Required value")],
    ),
}


@pytest.mark.parametrize(("field", "value", "expected"), CASES.values(), ids=CASES.keys())
def test_a_value_is_judged_by_its_schema(field: dict[str, Any], value: Any, expected: list[tuple[str, str]]) -> None:
    """Tools match on these messages, and people search the web for them: they are the real server's."""
    problems = a_schema(f=field).validate({"f": value})

    assert [(problem.field, problem.message) for problem in problems] == expected


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2026-02-28T23:59:60Z", "2026-02-30T00:00:00Z"),
        ("date-time", "2026-01-01T00:00:00.123+02:00", "2026-01-01 00:00:00"),
        ("date", "2026-01-01", "20260101"),
        ("duration", "1h30m", "soon"),
        ("byte", "aGk=", "a*"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("mac", "00:11:22:33:44:55", "00:11:22"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("hostname", "a.example", "-a.example"),
        ("email", "a@example.com", "a@"),
        ("uri", "https://example.com/x", "not a uri"),
    ],
)
def test_a_format_tells_good_text_from_bad(name: str, good: str, bad: str) -> None:
    """A format that lets anything pass is worse than none: it promises a check."""
    schema = a_schema(f={"type": "string", "format": name})

    assert schema.validate({"f": good}) == ()
    (problem,) = schema.validate({"f": bad})
    assert problem.field == "f"
    assert f"must be of type {name}" in problem.message


def test_an_unknown_format_is_a_note_for_people() -> None:
    """Real servers ignore formats they do not know, and published definitions rely on it."""
    assert a_schema(f={"type": "string", "format": "poem"}).validate({"f": "x"}) == ()


def test_a_definition_may_refer_to_itself() -> None:
    """The schema of schemas does, and so do trees of any kind."""
    from stratos.apiserver.registry.schema.nodes import Definitions

    tree = {"type": "object", "properties": {"value": {"type": "integer"}, "left": {"$ref": "tree"}}}
    schema = Schema({"$ref": "tree"}, Definitions({"tree": tree}))

    (problem,) = schema.validate({"value": 1, "left": {"left": {"value": "x"}}})

    assert problem.field == "left.left.value"


def test_every_problem_is_reported_not_only_the_first() -> None:
    """Somebody fixing a manifest wants one round, not five."""
    schema = a_schema(a={"type": "string"}, b={"type": "integer"}, c={"type": "boolean"})

    assert [problem.field for problem in schema.validate({"a": 1, "b": "x", "c": None})] == ["a", "b", "c"]
