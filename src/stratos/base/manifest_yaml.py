"""YAML as Kubernetes reads it: JSON's types and no others, so a date stays text.

The parser recurses in C, and aliases multiply, so a document is looked over before it is built: what is nested beyond
all sense, or would grow by its aliases, is refused while it is still text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 200
"""No honest manifest comes near."""

_SMALLEST_BUDGET = 1000


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def _resolver(tag: str, pattern: re.Pattern[str]) -> tuple[str, re.Pattern[str]]:
    """As PyYAML has it, but for numbers to the base of sixty: to it, the port mapping 22:22 is 1342."""
    return (tag, re.compile(f"(?!.*:){pattern.pattern}", pattern.flags)) if tag in _NUMBERS else (tag, pattern)


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader in C, without the one implicit type that JSON does not have."""

    yaml_implicit_resolvers = {
        letter: [_resolver(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def load_yaml(text: str | bytes) -> object:
    """The one document in ``text``. Raises `yaml.YAMLError`, with the place where it is known."""
    _look_over(text)
    try:
        return _as_json(yaml.load(text, Loader=_Loader))
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error


def load_all_yaml(text: str | bytes) -> Iterator[object]:
    """Each document in ``text``."""
    _look_over(text)
    try:
        yield from map(_as_json, yaml.load_all(text, Loader=_Loader))
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error


def _look_over(text: str | bytes) -> None:
    """Count values, those behind aliases as often as they are named: without aliases there are fewer than letters."""
    budget = max(len(text), _SMALLEST_BUDGET)
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []  # the collections around here: anchor, and the count where they began
    count = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = count - before
            continue
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor or "", 0)
            if any(anchor == event.anchor for anchor, _ in opened):
                raise _refusal(event, "it contains itself")
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                sizes[event.anchor] = 1
            count += 1
        if len(opened) > MAX_DEPTH:
            raise _refusal(event, f"it is nested too deeply: the limit is {MAX_DEPTH} levels")
        if count > budget:
            raise _refusal(event, "its aliases make it too large")


def _refusal(event: Any, problem: str) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _as_json(value: Any, depth: int = 0) -> Any:
    """The value in JSON's types, nothing of it shared."""
    if depth > MAX_DEPTH:
        raise yaml.YAMLError(f"it is nested too deeply: the limit is {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {_key(key): _as_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise yaml.YAMLError(f"{value} is not a number in JSON")
    if value is None or isinstance(value, str | int | float):
        return value
    raise yaml.YAMLError(f"a value of type {type(value).__name__} has no place in JSON")


def _key(key: Any) -> str:
    """Numbers and truth values may stand where JSON has a name, and become one."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise yaml.YAMLError(f"a key of type {type(key).__name__} has no place in JSON")
