"""Server-side apply, and the bookkeeping it rests on: which manager set which field.

`apply` merges what a manager declares into the live object. Fields another manager owns with another value are
conflicts; fields this manager declared before and no longer does go away, unless somebody else owns them too.
`track_update` keeps the books for every other kind of write. Entries are replaced, never changed, so that they can be
shared between the old and the new object.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
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
from stratos.apiserver.registry.patching.ordering import interleave
from stratos.apiserver.registry.patching.problems import MalformedPatch
from stratos.apiserver.registry.schema import Node, Schema
from stratos.base.errors import Conflict, FieldProblem, Invalid

Obj = dict[str, Any]
Entry = dict[str, Any]

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
    if _entries(applied):
        raise MalformedPatch("metadata.managedFields must be nil")
    if subresource == "status":
        applied = {"status": applied["status"]} if "status" in applied else {}
    root = schema.root
    declared = fields_of(root, _tracked(applied))
    entries = _entries(live) if live is not None else []
    mine, others = _split(entries, _same(manager, "Apply", subresource))
    result: Obj
    if live is None:
        result = copy_json(applied)
    else:
        result = copy_json(live)
        _merge(root, result, applied)
        changed, _ = changes(root, _tracked(live), _tracked(result))
        settled = _applied_by_client(root, live) if manager == _KUBECTL and not force else None
        others = _without_conflicts(others, changed, settled, force=force)
        if mine is not None and _fields(mine) != declared:
            owned: FieldSet = {}
            for entry in others:
                owned = union(owned, _fields(entry)) if owned and _fields(entry) else owned or _fields(entry)
            # The metadata itself always stays: it holds the identity, which nobody owns.
            _release(root, result, before=_fields(mine), still={"f:metadata": {}, **declared}, owned=owned)
    same = mine is not None and _fields(mine) == declared and mine.get("apiVersion") == api_version
    if declared and not same:
        mine = _entry(manager, "Apply", api_version, subresource, declared, now)
    _put_entries(result, [*others, *([mine] if mine is not None and declared else [])])
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
    entries = _given_entries(old, new)
    changed, removed = changes(schema.root, _tracked(old) if old is not None else {}, _tracked(new))
    if not changed and not removed:
        _put_entries(new, entries)
        return
    mine, others = _split(entries, _same(manager, operation, subresource, api_version))
    kept = [entry for entry in (_lessened(entry, changed, removed) for entry in others) if entry is not None]
    before = _fields(mine) if mine is not None else {}
    owned = difference(before, removed, with_all_inside=True) if before and removed else before
    owned = union(owned, changed) if owned and changed else owned or changed
    if mine is not None and owned == before:
        kept.append(mine)
    elif owned:
        kept.append(_entry(manager, operation, api_version, subresource, owned, now))
    _put_entries(new, kept)


def _tracked(obj: Obj) -> Obj:
    """The object without what nobody owns: its identity and what the server itself keeps."""
    tracked = {key: value for key, value in obj.items() if key not in _UNTRACKED}
    metadata = tracked.get("metadata")
    if isinstance(metadata, dict):
        tracked["metadata"] = {key: value for key, value in metadata.items() if key not in _UNTRACKED_METADATA}
    if not tracked.get("metadata"):
        tracked.pop("metadata", None)
    return tracked


# -- entries of managedFields ------------------------------------------------------------------------------------------


def _entries(obj: Obj) -> list[Entry]:
    metadata = obj.get("metadata")
    return (metadata.get("managedFields") or []) if isinstance(metadata, dict) else []


def _given_entries(old: Obj | None, new: Obj) -> list[Entry]:
    before = _entries(old) if old is not None else []
    given = (new.get("metadata") or {}).get("managedFields")
    if old is None or not isinstance(given, list) or given == before:
        return before
    if not any(given):
        return []  # the customary ways to start afresh: no entry, or one that is empty
    return given if all(map(_makes_sense, given)) else before


def _makes_sense(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("operation") in ("Apply", "Update")
        and isinstance(entry.get("manager", ""), str)
        and _is_field_set(entry.get("fieldsV1", {}))
    )


def _is_field_set(fields: Any) -> bool:
    return isinstance(fields, dict) and all(_is_field_set(below) for below in fields.values())


def _fields(entry: Entry) -> FieldSet:
    return entry.get("fieldsV1") or {}


def _entry(manager: str, operation: str, api_version: str, subresource: str, fields: FieldSet, now: datetime) -> Entry:
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def _same(manager: str, operation: str, subresource: str, api_version: str | None = None) -> dict[str, str | None]:
    """What makes an entry this manager's. An applier stays the same one when it moves to another version."""
    identity: dict[str, str | None] = {"manager": manager, "operation": operation, "subresource": subresource}
    return identity if api_version is None else {**identity, "apiVersion": api_version}


def _split(entries: list[Entry], identity: dict[str, str | None]) -> tuple[Entry | None, list[Entry]]:
    mine: Entry | None = None
    others: list[Entry] = []
    for entry in entries:
        if mine is None and all(entry.get(key, "") == value for key, value in identity.items()):
            mine = entry
        else:
            others.append(entry)
    return mine, others


def _lessened(entry: Entry, changed: FieldSet, removed: FieldSet) -> Entry | None:
    before = _fields(entry)
    after = difference(before, changed) if changed and before else before
    if after and removed:
        after = difference(after, removed, with_all_inside=True)
    if not after:
        return None
    return entry if after is before else {**entry, "fieldsV1": after}


def _put_entries(obj: Obj, entries: Iterable[Entry]) -> None:
    ordered = sorted(entries, key=lambda entry: (entry["operation"], entry.get("time", ""), entry.get("manager", "")))
    metadata = obj.setdefault("metadata", {})
    if ordered:
        metadata["managedFields"] = ordered
    else:
        metadata.pop("managedFields", None)


# -- conflicts ---------------------------------------------------------------------------------------------------------


def _without_conflicts(others: list[Entry], changed: FieldSet, settled: FieldSet | None, *, force: bool) -> list[Entry]:
    """The other managers' entries, less what was taken over; without force, any overlap not ``settled`` is an error."""
    if not changed:
        return others
    overlaps = [(entry, intersection(_fields(entry), changed)) for entry in others if _fields(entry)]
    if not any(overlap for _, overlap in overlaps):
        return others
    if not force:
        open_ones = [
            (entry, difference(overlap, settled) if overlap and settled else overlap) for entry, overlap in overlaps
        ]
        conflicts = [(_described(entry), path) for entry, overlap in open_ones if overlap for path in paths(overlap)]
        if conflicts:
            raise _conflict(conflicts)
    return [entry for entry in (_lessened(entry, changed, {}) for entry in others) if entry is not None]


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
