"""The Table columns a CustomResourceDefinition asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from stratos.apiserver.registry.builtin.columns import AGE, NAME, age
from stratos.apiserver.registry.crd.json_path import JsonPath
from stratos.apiserver.registry.resource import Column, Obj

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")


def printer_columns(version: Mapping[str, Any]) -> tuple[Column, ...]:
    """The name, and the columns of one version; without any of its own, the age."""
    wanted = version.get("additionalPrinterColumns")
    return (NAME, *map(_column, wanted)) if wanted else (NAME, AGE)


def _column(source: Mapping[str, Any]) -> Column:
    path = JsonPath(source["jsonPath"])
    show = _SHOWN_AS[source["type"]]

    def cell(obj: Obj, now: datetime) -> object:
        value = path.first(obj)
        return None if value is None else show(value, now)

    return Column(
        name=source["name"],
        cell=cell,
        type=source["type"],
        format=source.get("format", ""),
        description=source.get("description", ""),
        priority=source.get("priority", 0),
    )


def _text(value: Any, _: datetime) -> object:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _whole_number(value: Any, _: datetime) -> object:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(value: Any, _: datetime) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any, _: datetime) -> object:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> object:
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"


_SHOWN_AS: dict[str, Callable[[Any, datetime], object]] = {
    "boolean": _boolean,
    "date": _date,
    "integer": _whole_number,
    "number": _number,
    "string": _text,
}
