"""Walking objects and naming what is wrong with them, in the words a real server uses.

Validation may meet any JSON, so the walkers answer with something empty where the shape is not what it should be: the
schema has already said so, and one complaint is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from stratos.base.errors import FieldProblem

Problems = Iterator[FieldProblem]


def mapping(value: object, *path: str) -> dict[str, Any]:
    """The object at ``path`` under ``value``, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def mappings(value: object, *path: str) -> list[dict[str, Any]]:
    """The objects of the list at ``path`` under ``value``."""
    return [item for item in items(value, *path) if isinstance(item, dict)]


def items(value: object, *path: str) -> list[Any]:
    """The list at ``path`` under ``value``, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def text(value: object, *path: str) -> str:
    """The string at ``path`` under ``value``, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def integer(value: object, *path: str) -> int | None:
    """The whole number at ``path`` under ``value``, if there is one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def numbered(value: object, *path: str, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a list with its field path: ``spec.containers[0]``, …"""
    for index, item in enumerate(items(value, *path)):
        if isinstance(item, dict):
            yield f"{at}[{index}]", item


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def required(field: str, detail: str = "") -> FieldProblem:
    return FieldProblem(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: object, detail: str) -> FieldProblem:
    return FieldProblem(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def not_supported(field: str, value: object, supported: Iterable[str]) -> FieldProblem:
    values = ", ".join(_shown(name) for name in sorted(supported))
    return FieldProblem(
        field, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {values}"
    )


def duplicate(field: str, value: object) -> FieldProblem:
    return FieldProblem(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def forbidden(field: str, detail: str) -> FieldProblem:
    return FieldProblem(field, "FieldValueForbidden", f"Forbidden: {detail}")


def not_found(field: str, value: object) -> FieldProblem:
    return FieldProblem(field, "FieldValueNotFound", f"Not found: {_shown(value)}")


def too_long(field: str, limit_bytes: int) -> FieldProblem:
    return FieldProblem(field, "FieldValueTooLong", f"Too long: may not be more than {limit_bytes} bytes")


def one_of(field: str, value: object, supported: Iterable[str], *, needed: bool = False) -> Problems:
    """Complain when a value is none of the supported ones; an empty one only matters when it is needed."""
    names = frozenset(supported)
    if value in (None, ""):
        if needed:
            yield required(field)
    elif value not in names:
        yield not_supported(field, value, names)


def not_negative(field: str, value: object) -> Problems:
    if isinstance(value, int) and value < 0:
        yield invalid(field, value, "must be greater than or equal to 0")


def immutable(field: str, new: object, old: object) -> Problems:
    if new != old:
        yield invalid(field, new, "field is immutable")


def repeated(found: Iterable[tuple[str, object]]) -> Problems:
    """Complain about each value that was seen before; an empty one is somebody else's complaint."""
    seen: set[object] = set()
    for field, value in found:
        if value in (None, ""):
            continue
        if value in seen:
            yield duplicate(field, value)
        seen.add(value)
