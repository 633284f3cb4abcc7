"""Objects as rows of a Table, the way ``kubectl get`` shows them, and objects cut down to their metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from stratos.apiserver.registry.resource import Column, Obj, Resource

_NAME = Column("Name", lambda obj, _now: obj["metadata"]["name"], format="name")
_CREATED = Column("Created At", lambda obj, _now: obj["metadata"].get("creationTimestamp"), type="date")


def table(
    resource: Resource,
    objects: Iterable[Obj],
    *,
    now: datetime,
    metadata: Obj,
    include_object: str,
    with_columns: bool = True,
) -> Obj:
    columns = resource.columns or (_NAME, _CREATED)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": _definitions(columns) if with_columns else None,
        "rows": [_row(columns, obj, now, include_object) for obj in objects],
    }


def metadata_only(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _definitions(columns: Sequence[Column]) -> list[Obj]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]


def _row(columns: Sequence[Column], obj: Obj, now: datetime, include_object: str) -> Obj:
    row: Obj = {"cells": [column.cell(obj, now) for column in columns]}
    if include_object == "Object":
        row["object"] = obj
    elif include_object == "Metadata":
        row["object"] = metadata_only(obj)
    return row
