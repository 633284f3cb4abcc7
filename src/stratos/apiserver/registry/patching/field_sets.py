"""Sets of fields in the form of ``fieldsV1``: who owns what, as nested objects.

A set is keyed by ``f:<field>``, ``k:<keys of a map list's item>`` and ``v:<value in a set>``. What stands below a key
says which fields inside are meant; ``{}`` means the field itself, and ``.`` means the field itself too, beside some
inside it. Sets are never changed in place: what does not change is shared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from stratos.apiserver.registry.schema import Node

FieldSet = dict[str, Any]

_ITSELF = "."


def fields_of(node: Node, value: Any) -> FieldSet:
    """Every field that ``value`` sets. Objects and lists that merge are only owned through what they hold."""
    if node.atomic:
        return {}
    if type(value) is dict:
        return {
            f"f:{key}": fields_of(node.child(key), item) if type(item) is dict or type(item) is list else {}
            for key, item in value.items()
        }
    if type(value) is list:
        items = items_by_key(node, value)
        return {key: _fields_of_item(node, key, item) for key, item in items.items()} if items else {}
    return {}


def items_by_key(node: Node, items: list[Any]) -> dict[str, Any] | None:
    """The items of a list that merges, by their key in a set; None if it can only be treated as a whole."""
    if node.list_type == "atomic":
        return None
    if node.list_type == "set":
        keyed = {f"v:{json.dumps(item, separators=(',', ':'), sort_keys=True)}": item for item in items}
    else:
        keyed = {}
        for item in items:
            key = node.key_of(item)
            if key is None:
                return None
            keyed[_written_key(node.map_keys, key)] = item
    # Two items of one key cannot be told apart: such a list is somebody's as a whole.
    return keyed if len(keyed) == len(items) else None


def changes(node: Node, old: Any, new: Any) -> tuple[FieldSet, FieldSet]:
    """What was set or changed between two objects, and what was removed (there ``{}`` means with all inside)."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    for key, value in new.items():
        if key not in old:
            changed[f"f:{key}"] = fields_of(node.child(key), value)
        elif old[key] is not value and old[key] != value:
            _compare(node.child(key), f"f:{key}", old[key], value, changed, removed)
    for key in old:
        if key not in new:
            removed[f"f:{key}"] = {}
    return changed, removed


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Everything in either set."""
    if not left or not right:
        # One side means the field itself, the other (perhaps) some inside it.
        rest = left or right
        return {_ITSELF: {}, **rest} if rest else rest
    result = dict(left)
    for key, below in right.items():
        present = result.get(key)
        result[key] = below if present is None else union(present, below)
    return result


def difference(left: FieldSet, right: FieldSet, *, with_all_inside: bool = False) -> FieldSet | None:
    """``left`` without ``right``; None if nothing is left, and ``left`` itself if nothing was taken.

    With ``with_all_inside``, a field named in ``right`` takes along everything inside it.
    """
    if not right and with_all_inside:
        return None
    taken = is_member(right)
    if not left:
        return None if taken else left
    result: FieldSet | None = None
    if taken and _ITSELF in left:
        result = dict(left)
        del result[_ITSELF]
    for key, below in right.items():
        present = left.get(key)
        if present is None or key == _ITSELF:
            continue
        rest = difference(present, below, with_all_inside=with_all_inside)
        if rest is present:
            continue
        result = dict(left) if result is None else result
        if rest is None:
            del result[key]
        else:
            result[key] = rest
    if result is None:
        return left
    if result.keys() == {_ITSELF}:
        return {}
    return result or None


def intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """What is in both sets; None if nothing is."""
    both = is_member(left) and is_member(right)
    result: FieldSet = {}
    for key, below in left.items():
        other = right.get(key)
        if other is not None and key != _ITSELF:
            common = intersection(below, other)
            if common is not None:
                result[key] = common
    if result and both:
        result[_ITSELF] = {}
    return result if result or both else None


def is_member(fields: FieldSet) -> bool:
    """Whether the field itself is meant, not only some inside it."""
    return not fields or _ITSELF in fields


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The fields of a set as messages name them: ``.spec.containers[name="web"].image``."""
    for key, below in sorted(fields.items()):
        if key == _ITSELF:
            continue
        path = prefix + _written(key)
        if is_member(below):
            yield path
        yield from paths(below, path)


@lru_cache(maxsize=8192)
def _written_key(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    pairs = {name: value for name, value in sorted(zip(names, values, strict=True)) if value is not None}
    return f"k:{json.dumps(pairs, separators=(',', ':'))}"


def _fields_of_item(node: Node, key: str, item: Any) -> FieldSet:
    below = fields_of(node.element, item) if key.startswith("k:") else {}
    return {_ITSELF: {}, **below} if below else below


def _compare(node: Node, key: str, old: Any, new: Any, changed: FieldSet, removed: FieldSet) -> None:
    """Note under ``key`` how two unequal values differ."""
    if type(old) is dict and type(new) is dict and not node.atomic:
        inside = changes(node, old, new)
        emptied = bool(old) and not new
    elif type(old) is list and type(new) is list and not node.atomic:
        before, after = items_by_key(node, old), items_by_key(node, new)
        if before is None or after is None:
            changed[key] = {}
            return
        inside = _changed_items(node, before, after)
        emptied = bool(old) and not new
    else:
        changed[key] = fields_of(node, new)
        if isinstance(old, dict | list):
            removed[key] = {}
        return
    if inside[0] or emptied:
        changed[key] = inside[0]
    if inside[1]:
        removed[key] = inside[1]


def _changed_items(node: Node, before: dict[str, Any], after: dict[str, Any]) -> tuple[FieldSet, FieldSet]:
    changed: FieldSet = {}
    removed: FieldSet = {key: {} for key in before if key not in after}
    for key, item in after.items():
        if key not in before:
            changed[key] = _fields_of_item(node, key, item)
        elif before[key] != item:
            _compare(node.element, key, before[key], item, changed, removed)
    return changed, removed


def _written(key: str) -> str:
    kind, text = key[:2], key[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "k:":
        pairs = json.loads(text)
        return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in pairs.items()) + "]"
    return f"[={text}]" if kind == "v:" else f"[{text}]"
