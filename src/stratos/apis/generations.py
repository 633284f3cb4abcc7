"""What older generations of NodePools wrote elsewhere, put where this one has it.

Everything is understood where it stands, too; an upgrade rewrites what is stored, so that one day it need not be.
"""

from __future__ import annotations

import copy
from typing import Any

from stratos.apis.nodepool import NODE_POOL

Obj = dict[str, Any]


def current_form(kind: str, obj: Obj) -> Obj:
    """The object as one would write it today; the same when it is that already."""
    if kind != NODE_POOL.kind:
        return obj
    pre_warm = (obj.get("spec") or {}).get("preWarm") or {}
    if "imagesToPull" not in pre_warm:
        return obj
    current = copy.deepcopy(obj)
    moved = current["spec"]["preWarm"]
    older = moved.pop("imagesToPull") or []
    moved["images"] = list(dict.fromkeys([*(moved.get("images") or []), *older]))
    return current
