"""The JSON paths of printer columns, scale subresources and selectable fields.

Of JSONPath this is the part such paths use: fields (``.spec.replicas``, ``['a.b']``, with ``\\.`` for a dot inside a
name), list positions (``[0]``, ``[-1]``, ``[*]``) and filters (``[?(@.type=="Ready")]``).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from stratos.base.errors import Invalid

_TOKEN = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\]\\\s])+)
      | \[(?P<index>-?\d+|\*)\]
      | \[(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\]
      | \[\?\(\s*@(?P<left>(?:\.[^\s=!<>()\[\]]+)+)\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>[^()]+?)\s*\)\]""",
    re.VERBOSE,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_Step = Callable[[Any], Iterator[Any]]


class JsonPath:
    """A compiled path. ``fields`` are its names when it is made of nothing but fields, else None."""

    __slots__ = ("_steps", "fields", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps: list[_Step] = []
        fields: list[str] | None = []
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise Invalid(
                    f"{text!r} is not a JSON path: {text[position:]!r} does not read",
                    hint='write it like .spec.replicas or .status.conditions[?(@.type=="Ready")].status',
                )
            position = token.end()
            step, name = _step(token)
            self._steps.append(step)
            fields = [*fields, name] if fields is not None and name is not None else None
        if not self._steps:
            raise Invalid("a JSON path may not be empty", hint="write it like .spec.replicas")
        self.fields = None if fields is None else tuple(fields)

    def find(self, document: Any) -> list[Any]:
        """Everything at the path, in order."""
        found = [document]
        for step in self._steps:
            found = [inner for value in found for inner in step(value)]
        return found

    def first(self, document: Any) -> Any:
        """The first value at the path, or None."""
        found = self.find(document)
        return found[0] if found else None


def _step(token: re.Match[str]) -> tuple[_Step, str | None]:
    name, index, quoted = token["name"], token["index"], token["quoted"]
    if quoted is not None:
        name = quoted[1:-1]
    if name is not None:
        name = re.sub(r"\\(.)", r"\1", name)
        return _field(name), None if name == "*" else name
    if index is not None:
        return _items(None if index == "*" else int(index)), None
    return _filter(token["left"], token["operator"], token["right"]), None


def _field(name: str) -> _Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    def every(value: Any) -> Iterator[Any]:
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()

    return every if name == "*" else step


def _items(index: int | None) -> _Step:
    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        if index is None:
            yield from value
        elif -len(value) <= index < len(value):
            yield value[index]

    return step


def _filter(left: str, comparison: str, right: str) -> _Step:
    path = JsonPath(left)
    compare = _COMPARE[comparison]
    wanted = _literal(right)

    def matches(item: Any) -> bool:
        try:
            return any(compare(found, wanted) for found in path.find(item))
        except TypeError:
            return False  # values of different types have no order

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from filter(matches, value)

    return step


def _literal(text: str) -> Any:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid(f"{text!r} in a JSON path is neither a number nor quoted text") from error
