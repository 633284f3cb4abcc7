"""The Table columns kinds have in common, and how ages and lists are printed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from stratos.apiserver.registry.builtin.fields import integer, mapping, mappings, text
from stratos.apiserver.registry.resource import Column, Obj
from stratos.base.duration import human_duration

NONE = "<none>"
UNKNOWN = "<unknown>"

Cell = Callable[[Obj], object]


def seconds_since(timestamp: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(timestamp)).total_seconds()


def age(timestamp: object, now: datetime) -> str:
    """How long ago, or ``<unknown>`` without a time."""
    if not isinstance(timestamp, str) or not timestamp:
        return UNKNOWN
    return human_duration(seconds_since(timestamp, now))


def column(name: str, cell: Cell, *, type: str = "string", wide: bool = False) -> Column:
    """A column whose cell does not depend on the time."""
    return Column(name, lambda obj, _: cell(obj), type=type, priority=1 if wide else 0)


def number_column(name: str, *path: str) -> Column:
    """A column with the whole number at ``path``, 0 where there is none yet."""
    return column(name, lambda obj: integer(obj, *path) or 0, type="integer")


def _name(obj: Obj, _: datetime) -> str:
    return text(obj, "metadata", "name")


def _age(obj: Obj, now: datetime) -> str:
    return age(mapping(obj, "metadata").get("creationTimestamp"), now)


NAME = Column("Name", _name, format="name")
AGE = Column("Age", _age)
CREATED_AT = column("Created At", lambda obj: text(obj, "metadata", "creationTimestamp"))


def joined(values: Iterable[object], empty: str = NONE) -> str:
    return ",".join(str(value) for value in values) or empty


def map_text(labels: object) -> str:
    """``a=1,b=2``, the way labels and node selectors are printed."""
    return joined(f"{key}={value}" for key, value in sorted(mapping(labels).items()))


def selector_text(selector: object) -> str:
    """A ``LabelSelector`` in query syntax."""
    if selector is None:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted(mapping(selector, "matchLabels").items())]
    for expression in sorted(mappings(selector, "matchExpressions"), key=lambda item: str(item.get("key"))):
        key, values = expression.get("key"), ",".join(sorted(map(str, expression.get("values") or [])))
        match expression.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "DoesNotExist":
                parts.append(f"!{key}")
            case _:
                parts.append(str(key))
    return joined(parts, empty=NONE)


def template_columns(*path: str, selector: bool = True) -> tuple[Column, ...]:
    """The wide columns of a kind with a pod template: its containers, their images and what it selects."""
    columns = (
        column("Containers", lambda obj: joined(text(c, "name") for c in _containers(obj, path)), wide=True),
        column("Images", lambda obj: joined(text(c, "image") for c in _containers(obj, path)), wide=True),
    )
    if not selector:
        return columns
    spec = path[:-1]  # the selector stands beside the template
    return (*columns, column("Selector", lambda obj: selector_text(mapping(obj, *spec).get("selector")), wide=True))


def _containers(obj: Obj, path: tuple[str, ...]) -> list[Obj]:
    return mappings(obj, *path, "spec", "containers")
