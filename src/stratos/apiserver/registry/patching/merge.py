"""JSON merge patch (RFC 7386): objects merge, null removes, everything else replaces."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.json_values import copy_json


def merge_patch(document: Any, patch: Any) -> Any:
    """``document`` with ``patch`` merged in."""
    if type(patch) is not dict:
        return copy_json(patch)
    result = dict(document) if type(document) is dict else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        elif type(change) is dict:
            result[key] = merge_patch(result.get(key), change)
        else:
            result[key] = copy_json(change)
    for key, value in result.items():
        if key not in patch:
            result[key] = copy_json(value)
    return result
