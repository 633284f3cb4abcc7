"""The entries of ``managedFields``: which manager set which fields, by which kind of write, and when.

Entries are replaced, never changed, so that they can be shared between the old and the new object.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from stratos.apiserver.registry.patching.field_sets import FieldSet, difference

Obj = dict[str, Any]
Entry = dict[str, Any]


def entries_of(obj: Obj) -> list[Entry]:
    metadata = obj.get("metadata")
    return (metadata.get("managedFields") or []) if isinstance(metadata, dict) else []


def given_entries(old: Obj | None, new: Obj) -> list[Entry]:
    """The entries a write starts from: those it brings itself, if they make sense, else those there were."""
    before = entries_of(old) if old is not None else []
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


def fields_in(entry: Entry) -> FieldSet:
    return entry.get("fieldsV1") or {}


def new_entry(
    manager: str, operation: str, api_version: str, subresource: str, fields: FieldSet, now: datetime
) -> Entry:
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


def identity(manager: str, operation: str, subresource: str, api_version: str | None = None) -> dict[str, str | None]:
    """What makes an entry this manager's. An applier stays the same one when it moves to another version."""
    key: dict[str, str | None] = {"manager": manager, "operation": operation, "subresource": subresource}
    return key if api_version is None else {**key, "apiVersion": api_version}


def split(entries: list[Entry], identity: dict[str, str | None]) -> tuple[Entry | None, list[Entry]]:
    """The entry with this identity, if there is one, and all others."""
    mine: Entry | None = None
    others: list[Entry] = []
    for entry in entries:
        if mine is None and all(entry.get(key, "") == value for key, value in identity.items()):
            mine = entry
        else:
            others.append(entry)
    return mine, others


def lessened(entry: Entry, changed: FieldSet, removed: FieldSet) -> Entry | None:
    """The entry without the fields that others changed and those that were removed; None when none is left."""
    before = fields_in(entry)
    after = difference(before, changed) if changed and before else before
    if after and removed:
        after = difference(after, removed, with_all_inside=True)
    if not after:
        return None
    return entry if after is before else {**entry, "fieldsV1": after}


def put_entries(obj: Obj, entries: Iterable[Entry]) -> None:
    ordered = sorted(entries, key=lambda entry: (entry["operation"], entry.get("time", ""), entry.get("manager", "")))
    metadata = obj.setdefault("metadata", {})
    if ordered:
        metadata["managedFields"] = ordered
    else:
        metadata.pop("managedFields", None)
