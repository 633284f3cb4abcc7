"""JSON documents as plain Python values: reading them strictly, copying them, comparing them.

Built for many small documents: the usual path makes one pass in C, and only a document with something wrong is looked
at again to say where.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from stratos.base.errors import Invalid

MAX_DEPTH = 200
"""Deeper documents are refused: every walker here is recursive, and no honest manifest comes near."""


def decode_json(data: bytes) -> tuple[Any, tuple[str, ...]]:
    """The document, and the paths of keys that occur twice in one object (the last one counts)."""
    duplicated = False

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicated
        result = dict(pairs)
        if len(result) != len(pairs):
            duplicated = True
        return result

    try:
        document = json.loads(
            data.decode(), object_pairs_hook=as_dict, parse_constant=_refuse_constant, parse_float=_finite
        )
        if b"\\u" in data:
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except RecursionError:
        raise Invalid(
            "the JSON document is nested too deeply", looked_at=(f"the limit is {MAX_DEPTH} levels",)
        ) from None
    except UnicodeError as error:
        raise Invalid(f"the body is not UTF-8: {error}") from error
    except ValueError as error:
        raise Invalid(f"the body is not JSON: {error}") from error
    if _may_be_deep(data) and _depth(document) > MAX_DEPTH:
        raise Invalid("the JSON document is nested too deeply", looked_at=(f"the limit is {MAX_DEPTH} levels",))
    return document, _duplicate_paths(data) if duplicated else ()


def copy_json(value: Any) -> Any:
    """A copy that shares no object or list with ``value``."""
    if type(value) is dict:
        return {
            key: copy_json(item) if type(item) is dict or type(item) is list else item for key, item in value.items()
        }
    if type(value) is list:
        return [copy_json(item) if type(item) is dict or type(item) is list else item for item in value]
    return value


def equal_json(left: Any, right: Any) -> bool:
    """Equality as JSON means it. Python alone would hold ``true`` equal to ``1``."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal_json(item, right[key]) for key, item in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal_json, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _may_be_deep(data: bytes) -> bool:
    """Counting brackets is much cheaper than walking, and rules out nearly every document."""
    return data.count(b"{") + data.count(b"[") > MAX_DEPTH


def _depth(document: Any) -> int:
    depth = 0
    level = [document]
    while level:
        depth += 1
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = below
    return depth


class _Pairs(list[tuple[str, Any]]):
    """An object read without throwing the repeated keys away."""


def _duplicate_paths(data: bytes) -> tuple[str, ...]:
    found: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, item in value:
                here = f"{path}.{key}" if path else key
                if key in seen:
                    found.append(here)
                seen.add(key)
                walk(item, here)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, f"{path}[{index}]")

    walk(json.loads(data, object_pairs_hook=_Pairs), "")
    return tuple(dict.fromkeys(found))
