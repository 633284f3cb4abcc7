"""CEL rules of custom kinds: what they see, when they run, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from stratos.apiserver.registry.schema import Schema
from stratos.apiserver.registry.schema.rules import compile_rule
from stratos.base.errors import Invalid


def a_schema(*rules: dict[str, Any], **fields: dict[str, Any]) -> Schema:
    spec = {"type": "object", "properties": fields, "x-kubernetes-validations": list(rules)}
    return Schema({"type": "object", "properties": {"spec": spec}})


INTEGER = {"type": "integer"}
STRING = {"type": "string"}


def problems(schema: Schema, spec: Any, old: Any = None) -> list[tuple[str, str, str]]:
    former = {"spec": old} if old is not None else None
    return [(p.field, p.reason, p.message) for p in schema.validate({"spec": spec}, former)]


def test_a_rule_that_fails_gives_its_message_at_its_field() -> None:
    """The person who wrote the object never sees the rule, only this."""
    rule = {"rule": "self.standby <= self.size", "message": "standby exceeds size", "fieldPath": ".standby"}
    schema = a_schema(rule, standby=INTEGER, size=INTEGER)

    assert problems(schema, {"standby": 1, "size": 2}) == []
    assert problems(schema, {"standby": 3, "size": 2}) == [
        ("spec.standby", "FieldValueInvalid", 'Invalid value: "object": standby exceeds size')
    ]


def test_without_a_message_the_rule_itself_is_shown() -> None:
    """Better than nothing to go by."""
    schema = a_schema({"rule": "self.a > 1"}, a=INTEGER)

    assert problems(schema, {"a": 1}) == [
        ("spec", "FieldValueInvalid", 'Invalid value: "object": failed rule: self.a > 1')
    ]


def test_a_message_can_be_made_from_the_values() -> None:
    """And a message expression that fails does not hide the failure of the rule."""
    good = {"rule": "self.a > 1", "messageExpression": "'a is ' + string(self.a)"}
    bad = {"rule": "self.a > 1", "messageExpression": "self.nothing", "message": "a is small"}

    found = problems(a_schema(good, bad, a=INTEGER), {"a": 1})

    assert [message for _, _, message in found] == [
        'Invalid value: "object": a is 1',
        'Invalid value: "object": a is small',
    ]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FieldValueForbidden", "Forbidden: no"),
        ("FieldValueRequired", "Required value: no"),
        ("FieldValueDuplicate", 'Duplicate value: "object"'),
        ("FieldValueInvalid", 'Invalid value: "object": no'),
    ],
)
def test_a_rule_chooses_the_reason(reason: str, message: str) -> None:
    """Clients act on the reason."""
    schema = a_schema({"rule": "false", "message": "no", "reason": reason})

    assert problems(schema, {}) == [("spec", reason, message)]


def test_a_transition_rule_only_runs_on_updates() -> None:
    """``oldSelf`` means nothing on a new object."""
    schema = a_schema({"rule": "self.a == oldSelf.a", "message": "a is immutable"}, a=INTEGER)

    assert problems(schema, {"a": 1}) == []
    assert problems(schema, {"a": 1}, {"a": 1}) == []
    assert problems(schema, {"a": 2}, {"a": 1}) == [
        ("spec", "FieldValueInvalid", 'Invalid value: "object": a is immutable')
    ]


def test_a_rule_may_ask_whether_there_is_an_old_value() -> None:
    """With ``optionalOldSelf`` one rule covers creation and change."""
    rule = {"rule": "oldSelf.hasValue() ? self.a == oldSelf.value().a : self.a == 0", "optionalOldSelf": True}
    schema = a_schema({**rule, "message": "starts at 0 and stays"}, a=INTEGER)

    assert problems(schema, {"a": 0}) == []
    assert problems(schema, {"a": 5}, {"a": 5}) == []
    assert len(problems(schema, {"a": 1})) == 1
    assert len(problems(schema, {"a": 1}, {"a": 2})) == 1


def test_items_of_a_map_list_are_compared_with_the_item_of_the_same_key() -> None:
    """Whatever their order; in other lists nobody can tell which item is which, so nothing is compared."""
    rule = {"rule": "self.size >= oldSelf.size", "message": "cannot shrink"}
    item = {"type": "object", "properties": {"name": STRING, "size": INTEGER}, "x-kubernetes-validations": [rule]}
    disks = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    loose = {"type": "array", "items": item}
    old = [{"name": "a", "size": 2}, {"name": "b", "size": 1}]
    new = [{"name": "b", "size": 1}, {"name": "a", "size": 1}, {"name": "c", "size": 0}]

    assert [field for field, _, _ in problems(a_schema(disks=disks), {"disks": new}, {"disks": old})] == [
        "spec.disks[1]"
    ]
    assert problems(a_schema(disks=loose), {"disks": new}, {"disks": old}) == []


def test_rules_are_not_asked_of_objects_of_the_wrong_shape() -> None:
    """A rule about numbers has nothing to say about text."""
    schema = a_schema({"rule": "self.a > 1"}, a=INTEGER)

    (problem,) = schema.validate({"spec": {"a": "x"}})

    assert "must be of type integer" in problem.message


def test_a_rule_that_cannot_be_evaluated_fails() -> None:
    """A missing field is a gap in the rule, and a gap must not let everything through."""
    schema = a_schema({"rule": "self.a > 1"}, a=INTEGER)

    ((field, _, message),) = problems(schema, {})

    assert field == "spec"
    assert "rule evaluation error" in message


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ({"type": "number"}, 5, "self.f / 2.0 == 2.5"),
        ({"type": "integer"}, 5.0, "self.f % 2 == 1"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z", "self.f.getFullYear() == 2026"),
        ({"type": "string", "format": "duration"}, "90m", "self.f > duration('1h')"),
        ({"type": "string"}, "a,b", "self.f.split(',').size() == 2"),
        ({"type": "string"}, "abc12", "self.f.find('[0-9]+') == '12'"),
        ({"type": "string"}, "1Gi", "quantity(self.f).isGreaterThan(quantity('500Mi'))"),
        ({"type": "string"}, "1Gx", "!isQuantity(self.f)"),
        ({"type": "string"}, "1k", "quantity(self.f).asInteger() == 1000"),
        ({"type": "string"}, "1k", "quantity(self.f).compareTo(quantity('1000')) == 0"),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2, 3], "self.f.isSorted() && self.f.sum() == 6"),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"a-b": "x"},
            "self.f.all(k, self.f[k] == 'x')",
        ),
        ({"x-kubernetes-int-or-string": True}, "50%", "type(self.f) == string ? self.f == '50%' : self.f > 0"),
    ],
)
def test_a_rule_sees_values_as_cel_types(field: dict[str, Any], value: Any, rule: str) -> None:
    """Numbers are doubles, times are times, and the functions Kubernetes adds are there."""
    assert problems(a_schema({"rule": rule}, f=field), {"f": value}) == []


def test_awkward_field_names_are_escaped() -> None:
    """``namespace`` is a word of the language, and dashes and dots are operators."""
    rule = {"rule": "self.__namespace__ == 'x' && self.a__dash__b == 'y' && self.c__dot__d == 'z'"}
    schema = a_schema(rule, **{"namespace": STRING, "a-b": STRING, "c.d": STRING})

    assert problems(schema, {"namespace": "x", "a-b": "y", "c.d": "z"}) == []


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("self.a <=", "compilation failed"),
        ("frobnicate(self)", "undeclared reference to 'frobnicate'"),
        ("selv.a > 1", "undeclared reference to 'selv'"),
    ],
)
def test_a_rule_that_does_not_compile_says_why_in_one_line(expression: str, complaint: str) -> None:
    """It ends up in the message about the definition."""
    with pytest.raises(Invalid, match=complaint) as caught:
        compile_rule(expression)
    assert "\n" not in caught.value.message
