"""What is wrong with a field, in the words of the real API server.

A path is kept as nested pairs while an object is walked, ``((None, "spec"), "replicas")``, and only written out when
there is something to report: nearly every object is fine.
"""

from __future__ import annotations

import json
from typing import Any

from stratos.base.errors import FieldProblem

Path = tuple[Any, str | int] | None
"""The parent's path and the last step; None is the object itself."""


def written(path: Path) -> str:
    """The path as people write it: ``spec.containers[0].image``."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def shown(value: Any) -> str:
    """A value as messages quote it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_type(value: Any) -> str:
    """The JSON type of a value, by the names messages use."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float) and not value.is_integer():
        return "number"
    names: tuple[tuple[type, str], ...] = (
        (str, "string"),
        (int, "integer"),
        (float, "integer"),
        (dict, "object"),
        (list, "array"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def required(path: Path) -> FieldProblem:
    return FieldProblem(written(path), "FieldValueRequired", "Required value")


def wrong_type(path: Path, expected: str, value: Any) -> FieldProblem:
    """Of a type (or format) other than the schema's."""
    where = written(path)
    found = json_type(value)
    quoted = shown(value) if found == expected else shown(found)
    return FieldProblem(
        where,
        "FieldValueTypeInvalid",
        f"Invalid value: {quoted}: {where} in body must be of type {expected}: {shown(found)}",
    )


def invalid(path: Path, value: Any, detail: str) -> FieldProblem:
    """Of the right type, with a value that will not do."""
    return FieldProblem(written(path), "FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}")


def invalid_in_body(path: Path, value: Any, demand: str) -> FieldProblem:
    """As `invalid`, with the field named again in the detail, as the schema's own messages do."""
    return invalid(path, value, f"{written(path)} in body {demand}")


def not_supported(path: Path, value: Any, supported: tuple[Any, ...]) -> FieldProblem:
    return FieldProblem(
        written(path),
        "FieldValueNotSupported",
        f"Unsupported value: {shown(value)}: supported values: {', '.join(map(shown, supported))}",
    )


def duplicate(path: Path, value: Any) -> FieldProblem:
    return FieldProblem(written(path), "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def too_long(path: Path, limit: int) -> FieldProblem:
    return FieldProblem(written(path), "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(path: Path, actual: int, limit: int) -> FieldProblem:
    return FieldProblem(written(path), "FieldValueTooMany", f"Too many: {actual}: must have at most {limit} items")
