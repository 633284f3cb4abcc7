"""The value constraints of one schema: lengths, bounds, patterns, formats, uniqueness.

Each keyword becomes one small function, made when the schema is compiled. A constraint judges only values of its own
JSON type and passes all others: telling types apart is the node's affair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from stratos.apiserver.registry.schema.formats import INTEGER_RANGES, STRING_FORMATS, is_integral
from stratos.apiserver.registry.schema.problems import (
    Path,
    invalid,
    invalid_in_body,
    too_long,
    too_many,
    wrong_type,
)
from stratos.base.errors import FieldProblem

Constraint = Callable[[Any, Path], FieldProblem | None]


def constraints_of(source: Mapping[str, Any]) -> tuple[Constraint, ...]:
    """The constraints of one schema, in a fixed order, without those of its children."""
    return tuple(make(source[keyword], source) for keyword, make in _MAKERS.items() if _asks(source.get(keyword)))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The server's patterns are RE2: they match anywhere, and ``$`` is the very end of the text."""
    return re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\$(?=$|\)|\|)", r"\1\\Z", pattern).replace(r"\z", r"\Z"))


def _asks(setting: Any) -> bool:
    return setting is not None and setting is not False


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _min_length(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is str and len(value) < limit:
            return invalid_in_body(path, value, f"should be at least {limit} chars long")
        return None

    return check


def _max_length(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        return too_long(path, limit) if type(value) is str and len(value) > limit else None

    return check


def _pattern(pattern: str, _: Mapping[str, Any]) -> Constraint:
    search = compile_pattern(pattern).search

    def check(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is str and search(value) is None:
            return invalid_in_body(path, value, f"should match '{pattern}'")
        return None

    return check


def _format(name: str, source: Mapping[str, Any]) -> Constraint:
    if name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[name]

        def check_range(value: Any, path: Path) -> FieldProblem | None:
            outside = _is_number(value) and is_integral(value) and not low <= value <= high
            return wrong_type(path, name, value) if outside else None

        return check_range
    accepts = STRING_FORMATS.get(name)

    def check_text(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is str and accepts is not None and not accepts(value):
            return invalid_in_body(path, value, f"must be of type {name}: {json.dumps(value, ensure_ascii=False)}")
        return None

    return check_text


def _minimum(limit: float, source: Mapping[str, Any]) -> Constraint:
    exclusive = bool(source.get("exclusiveMinimum"))

    def check(value: Any, path: Path) -> FieldProblem | None:
        if _is_number(value) and (value <= limit if exclusive else value < limit):
            demand = "should be greater than" if exclusive else "should be greater than or equal to"
            return invalid_in_body(path, value, f"{demand} {limit}")
        return None

    return check


def _maximum(limit: float, source: Mapping[str, Any]) -> Constraint:
    exclusive = bool(source.get("exclusiveMaximum"))

    def check(value: Any, path: Path) -> FieldProblem | None:
        if _is_number(value) and (value >= limit if exclusive else value > limit):
            demand = "should be less than" if exclusive else "should be less than or equal to"
            return invalid_in_body(path, value, f"{demand} {limit}")
        return None

    return check


def _multiple_of(step: float, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        # The quotient is compared, not the remainder: 0.3 is a multiple of 0.1 to everyone but a float.
        if _is_number(value) and abs(value / step - round(value / step)) > 1e-9:
            return invalid_in_body(path, value, f"should be a multiple of {step}")
        return None

    return check


def _min_items(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is list and len(value) < limit:
            return invalid_in_body(path, len(value), f"should have at least {limit} items")
        return None

    return check


def _max_items(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        return too_many(path, len(value), limit) if type(value) is list and len(value) > limit else None

    return check


def _unique_items(_: bool, __: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is list and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
            return invalid(path, value, "shouldn't contain duplicates")
        return None

    return check


def _min_properties(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        if type(value) is dict and len(value) < limit:
            return invalid_in_body(path, len(value), f"should have at least {limit} properties")
        return None

    return check


def _max_properties(limit: int, _: Mapping[str, Any]) -> Constraint:
    def check(value: Any, path: Path) -> FieldProblem | None:
        return too_many(path, len(value), limit) if type(value) is dict and len(value) > limit else None

    return check


_MAKERS: dict[str, Callable[[Any, Mapping[str, Any]], Constraint]] = {
    "format": _format,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minItems": _min_items,
    "maxItems": _max_items,
    "uniqueItems": _unique_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
}
