"""Server-side apply, and the bookkeeping it rests on: which manager set which field.

`apply` merges what a manager declares into the live object. Fields another manager owns with another value are
conflicts; fields this manager declared before and no longer does go away, unless somebody else owns them too.
`track_update` keeps the books for every other kind of write.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stratos.apiserver.registry.json_values import copy_json, decode_json
from stratos.apiserver.registry.patching.field_sets import (
    FieldSet,
    changes,
    difference,
    fields_of,
    intersection,
    items_by_key,
    paths,
    union,
)
from stratos.apiserver.registry.patching.managed_fields import (
    Entry,
    Obj,
    entries_of,
    fields_in,
    given_entries,
    identity,
    lessened,
    new_entry,
    put_entries,
    split,
)
from stratos.apiserver.registry.patching.ordering import interleave
from stratos.apiserver.registry.patching.problems import MalformedPatch
from stratos.apiserver.registry.schema import Node, Schema
from stratos.base.errors import Conflict, FieldProblem, Invalid

_KUBECTL = "kubectl"  # what it calls itself when it applies on the server, unless it is told another name
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_UNTRACKED = frozenset({"apiVersion", "kind"})
_UNTRACKED_METADATA = frozenset(
    {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "name"}
    | {"namespace", "resourceVersion", "selfLink", "uid"}
)


class ApplyConflict(Conflict):
    """Other managers own fields that an apply would change. ``problems`` names each, with its owner."""

    def __init__(self, message: str, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__(message, hint="leave the fields out, agree on their values, or take them over with force")
        self.problems = problems


def apply(
    live: Obj | None,
    applied: Obj,
    *,
    manager: str,
    force: bool,
    schema: Schema,
    api_version: str,
    subresource: str = "",
    now: datetime,
) -> Obj:
    """The live object as it is after ``manager`` has declared ``applied``.

    What the main endpoint is not for (the status, where there is an endpoint for it) must be gone from ``applied``
    already; of what is applied to a status, only the status counts.
    """
    if entries_of(applied):
        raise MalformedPatch("metadata.managedFields must be nil")
    if subresource == "status":
        applied = {"status": applied["status"]} if "status" in applied else {}
    root = schema.root
    declared = fields_of(root, _tracked(applied))
    entries = entries_of(live) if live is not None else []
    mine, others = split(entries, identity(manager, "Apply", subresource))
    result: Obj
    if live is None:
        result = copy_json(applied)
    else:
        result = copy_json(live)
        _merge(root, result, applied)
        changed, _ = changes(root, _tracked(live), _tracked(result))
        settled = _applied_by_client(root, live) if manager == _KUBECTL and not force else None
        others = _without_conflicts(others, changed, settled, force=force)
        if mine is not None and fields_in(mine) != declared:
            # The metadata itself always stays: it holds the identity, which nobody owns.
            still = {"f:metadata": {}, **declared}
            _release(root, result, before=fields_in(mine), still=still, owned=_owned_by(others))
    if declared:
        if mine is None or fields_in(mine) != declared or mine.get("apiVersion") != api_version:
            mine = new_entry(manager, "Apply", api_version, subresource, declared, now)
        others = [*others, mine]
    put_entries(result, others)
    return result


def track_update(
    old: Obj | None,
    new: Obj,
    *,
    manager: str,
    operation: str = "Update",
    schema: Schema,
    api_version: str,
    subresource: str = "",
    now: datetime,
) -> None:
    """Credit ``manager`` with what it changed between ``old`` and ``new``, in ``new``'s managed fields.

    The manager comes to own what it set; whoever owned it before does no more, and nobody owns what was removed.
    A writer may replace the entries, or clear them with an empty list; entries that make no sense are ignored.
    """
    entries = given_entries(old, new)
    changed, removed = changes(schema.root, _tracked(old) if old is not None else {}, _tracked(new))
    if not changed and not removed:
        put_entries(new, entries)
        return
    mine, others = split(entries, identity(manager, operation, subresource, api_version))
    kept = [entry for entry in (lessened(entry, changed, removed) for entry in others) if entry is not None]
    before = fields_in(mine) if mine is not None else {}
    owned = difference(before, removed, with_all_inside=True) if before and removed else before
    owned = union(owned, changed) if owned and changed else owned or changed
    if mine is not None and owned == before:
        kept.append(mine)
    elif owned:
        kept.append(new_entry(manager, operation, api_version, subresource, owned, now))
    put_entries(new, kept)


def _owned_by(entries: list[Entry]) -> FieldSet:
    owned: FieldSet = {}
    for fields in filter(None, map(fields_in, entries)):
        owned = union(owned, fields) if owned else fields
    return owned


def _tracked(obj: Obj) -> Obj:
    """The object without what nobody owns: its identity and what the server itself keeps."""
    tracked = {key: value for key, value in obj.items() if key not in _UNTRACKED}
    metadata = tracked.get("metadata")
    if isinstance(metadata, dict):
        tracked["metadata"] = {key: value for key, value in metadata.items() if key not in _UNTRACKED_METADATA}
    if not tracked.get("metadata"):
        tracked.pop("metadata", None)
    return tracked


# -- conflicts ---------------------------------------------------------------------------------------------------------


def _without_conflicts(others: list[Entry], changed: FieldSet, settled: FieldSet | None, *, force: bool) -> list[Entry]:
    """The other managers' entries, less what was taken over; without force, any overlap not ``settled`` is an error."""
    if not changed:
        return others
    overlaps = [(entry, intersection(fields_in(entry), changed)) for entry in others if fields_in(entry)]
    if not any(overlap for _, overlap in overlaps):
        return others
    if not force:
        open_ones = [
            (entry, difference(overlap, settled) if overlap and settled else overlap) for entry, overlap in overlaps
        ]
        conflicts = [(_described(entry), path) for entry, overlap in open_ones if overlap for path in paths(overlap)]
        if conflicts:
            raise _conflict(conflicts)
    return [entry for entry in (lessened(entry, changed, {}) for entry in others) if entry is not None]


def _applied_by_client(root: Node, live: Obj) -> FieldSet | None:
    """What kubectl applied by itself and nobody has changed since: applying on the server, it may take that over."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    try:
        declared, _ = decode_json(annotations.get(_LAST_APPLIED, "").encode())
    except Invalid:
        return None
    if not isinstance(declared, dict):
        return None
    changed, removed = changes(root, _tracked(declared), _tracked(live))
    fields: FieldSet | None = fields_of(root, _tracked(declared))
    for gone in (changed, removed):
        if fields and gone:
            fields = difference(fields, gone, with_all_inside=True)
    return fields


def _conflict(conflicts: list[tuple[str, str]]) -> ApplyConflict:
    problems = tuple(
        FieldProblem(path, "FieldManagerConflict", f"conflict with {owner}") for owner, path in sorted(conflicts)
    )
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        return ApplyConflict(f"Apply failed with 1 conflict: conflict with {owner}: {path}", problems)
    lines: list[str] = []
    for owner in sorted({owner for owner, _ in conflicts}):
        lines.append(f"conflicts with {owner}:")
        lines.extend(f"- {path}" for one, path in conflicts if one == owner)
    return ApplyConflict(f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines), problems)


def _described(entry: Entry) -> str:
    described = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        described += f' with subresource "{entry["subresource"]}"'
    if entry["operation"] == "Update":
        described += f" using {entry.get('apiVersion', '')}"
    return described


# -- merging and letting go --------------------------------------------------------------------------------------------


def _merge(node: Node, target: Obj, applied: Obj) -> None:
    for key, value in applied.items():
        if type(value) is dict or type(value) is list:
            target[key] = _merged(node.child(key), target.get(key), value)
        else:
            target[key] = value


def _merged(node: Node, value: Any, applied: Any) -> Any:
    """``applied`` merged into ``value``, which is ours to change."""
    if type(applied) is dict and type(value) is dict and not node.atomic:
        _merge(node, value, applied)
        return value
    if type(applied) is list and type(value) is list and not node.atomic:
        present, wanted = items_by_key(node, value), items_by_key(node, applied)
        if present is not None and wanted is not None:
            order = interleave(wanted, list(present))
            merged = {key: _merged(node.element, present.get(key), item) for key, item in wanted.items()}
            return [merged[key] if key in merged else present[key] for key in order]
    return copy_json(applied)


def _release(node: Node, value: Any, *, before: FieldSet, still: FieldSet, owned: FieldSet) -> None:
    """Take out of ``value`` what was declared ``before``, is not ``still``, and is not ``owned`` by others."""
    parts = _parts(node, value)
    gone: set[str] = set()
    for key, below in before.items():
        if key not in parts:
            continue
        child, item = parts[key]
        if key in still:
            _release(child, item, before=below, still=still[key], owned=owned.get(key, {}))
        elif key in owned:
            _keep_only(child, item, owned[key])
        else:
            gone.add(key)
    _drop(node, value, gone)


def _keep_only(node: Node, value: Any, owned: FieldSet) -> None:
    """Take out of ``value`` everything nobody owns. Owning a field as a whole keeps all of it."""
    if not owned:
        return
    parts = _parts(node, value)
    for key, (child, item) in parts.items():
        if key in owned:
            _keep_only(child, item, owned[key])
    _drop(node, value, parts.keys() - owned.keys())


def _parts(node: Node, value: Any) -> dict[str, tuple[Node, Any]]:
    """What is inside a value that merges, under the keys that field sets use."""
    if type(value) is dict and not node.atomic:
        return {f"f:{key}": (node.child(key), item) for key, item in value.items()}
    if type(value) is list and not node.atomic:
        return {key: (node.element, item) for key, item in (items_by_key(node, value) or {}).items()}
    return {}


def _drop(node: Node, value: Any, gone: Iterable[str]) -> None:
    doomed = set(gone)
    if not doomed:
        return
    if type(value) is dict:
        for key in doomed:
            del value[key[2:]]
    else:
        kept = [item for key, item in (items_by_key(node, value) or {}).items() if key not in doomed]
        value[:] = kept
