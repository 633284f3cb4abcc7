"""Strategic merge patch: a merge patch that knows which lists are maps in disguise.

The schema says how a list merges (``x-kubernetes-patch-strategy`` and ``-merge-key``). Beside values, a patch may hold
directives: ``$patch: replace|delete|merge`` on an object, ``$retainKeys`` naming the only keys that stay,
``$deleteFromPrimitiveList/<field>`` and ``$setElementOrder/<field>`` beside a list.
"""

from __future__ import annotations

import json
from typing import Any

from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.patching.ordering import interleave
from stratos.apiserver.registry.patching.problems import MalformedPatch, PatchFailed
from stratos.apiserver.registry.schema import Node, Schema

_PATCH, _RETAIN_KEYS = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"

_Object = dict[str, Any]


def strategic_merge_patch(document: _Object, patch: Any, schema: Schema) -> _Object:
    """``document`` with ``patch`` merged in as its schema says."""
    if not isinstance(patch, dict):
        raise MalformedPatch("a strategic merge patch must be an object")
    return _merge_object(schema.root, copy_json(document), patch)


def _merge_object(node: Node, target: _Object, patch: _Object) -> _Object:
    """Merge into ``target`` and return it, or what takes its place."""
    directive = _directive(patch)
    if directive == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    _retain(target, patch)
    orders = {key.removeprefix(_ORDER): change for key, change in patch.items() if key.startswith(_ORDER)}
    before = {name: target.get(name) for name in orders}
    for key, change in patch.items():
        if key.startswith(_DELETE_FROM):
            _delete_primitives(target, key.removeprefix(_DELETE_FROM), change)
        elif key in (_PATCH, _RETAIN_KEYS) or key.startswith(_ORDER):
            continue
        elif change is None:
            target.pop(key, None)
        else:
            target[key] = _merged(node.child(key), target.get(key), change, key)
    for key, order in orders.items():
        if isinstance(target.get(key), list):
            target[key] = _in_order(node.child(key), target[key], before[key], order, key)
    return target


def _merged(node: Node, value: Any, change: Any, name: str) -> Any:
    if isinstance(change, dict):
        if "replace" in node.patch_strategies:
            return copy_json(change)
        return _merge_object(node, value if isinstance(value, dict) else {}, change)
    if isinstance(change, list) and "merge" in node.patch_strategies:
        present = value if isinstance(value, list) else []
        if node.merge_key is None:
            return present + [copy_json(item) for item in change if item not in present]
        return _merge_list(node, node.merge_key, present, change, name)
    return copy_json(change)


def _merge_list(node: Node, merge_key: str, target: list[Any], patch: list[Any], name: str) -> list[Any]:
    if any(isinstance(item, dict) and _directive(item) == "replace" for item in patch):
        return [copy_json(item) for item in patch if not (isinstance(item, dict) and _PATCH in item)]
    result = list(target)
    for item in patch:
        key = _key(item, merge_key, name)
        at = [index for index, present in enumerate(result) if _has_key(present, merge_key, key)]
        if _directive(item) == "delete":
            result = [present for index, present in enumerate(result) if index not in at]
        elif at:
            result[at[0]] = _merge_object(node.element, result[at[0]], item)
        else:
            result.append(_merge_object(node.element, {}, item))
    return result


def _key(item: Any, merge_key: str, name: str) -> Any:
    if not isinstance(item, dict):
        raise MalformedPatch(f"the items of {name!r} must be objects, {item!r} is not")
    if merge_key not in item:
        raise PatchFailed(f"an item of {name!r} does not contain the merge key {merge_key!r}")
    return item[merge_key]


def _has_key(item: Any, merge_key: str, key: Any) -> bool:
    return isinstance(item, dict) and bool(item.get(merge_key) == key)


def _directive(patch: _Object) -> str:
    directive = patch.get(_PATCH, "merge")
    if directive not in ("merge", "replace", "delete"):
        raise MalformedPatch(f"unknown patch directive {directive!r}", hint="$patch is replace, delete or merge")
    return str(directive)


def _retain(target: _Object, patch: _Object) -> None:
    retained = patch.get(_RETAIN_KEYS)
    if retained is None:
        return
    if not isinstance(retained, list):
        raise MalformedPatch(f"{_RETAIN_KEYS} must be a list of keys")
    for key in [key for key in target if key not in retained]:
        del target[key]


def _delete_primitives(target: _Object, name: str, doomed: Any) -> None:
    if not isinstance(doomed, list):
        raise MalformedPatch(f"{_DELETE_FROM}{name} must be a list of values")
    if isinstance(target.get(name), list):
        target[name] = [item for item in target[name] if item not in doomed]


def _in_order(node: Node, items: list[Any], before: Any, order: Any, name: str) -> list[Any]:
    """The items in the order asked for. Those the order does not name stay where they stood among those of before."""
    if not isinstance(order, list):
        raise MalformedPatch(f"{_ORDER}{name} must be a list")
    merge_key = node.merge_key

    def identity(item: Any) -> str:
        return json.dumps(item.get(merge_key) if merge_key and isinstance(item, dict) else item, sort_keys=True)

    by_identity: dict[str, list[Any]] = {}
    for item in items:
        by_identity.setdefault(identity(item), []).append(item)
    wanted = [key for key in dict.fromkeys(map(identity, order)) if key in by_identity]
    former = before if isinstance(before, list) else []
    present = [key for key in dict.fromkeys(map(identity, former)) if key in by_identity]
    unnamed = [key for key in by_identity if key not in present and key not in wanted]
    return [item for key in interleave(wanted, present + unnamed) for item in by_identity[key]]
