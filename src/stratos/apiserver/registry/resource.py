"""What the server must know to serve a kind: its names, its shape and its rules.

Built-in kinds describe themselves in ``builtin``, custom ones are made from their CustomResourceDefinition; from here
on nothing can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stratos.apiserver.registry.schema import Schema
from stratos.base.errors import FieldProblem

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

Obj = dict[str, Any]
"""A Kubernetes object as decoded JSON. Fields the server does not know are the client's to keep."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the Table output. ``cell`` is given the object and the present time."""

    name: str
    cell: Callable[[Obj, datetime], object]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0  # 0 is always shown, more only with ``-o wide``


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the ``scale`` subresource finds its fields, as JSON paths such as ``.spec.replicas``."""

    spec_replicas: str
    status_replicas: str
    label_selector: str | None = None


def _no_change(_: Obj) -> None:
    return None


def _no_problem(_: Obj) -> tuple[FieldProblem, ...]:
    return ()


def _no_update_problem(_new: Obj, _old: Obj) -> tuple[FieldProblem, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version.

    ``default`` fills in what the schema's own defaults cannot; it runs on every write before validation, in place.
    ``validate`` and ``validate_update`` judge what the schema cannot: they see the whole new object, and the old one.
    ``selectable`` maps the field selector paths beyond ``metadata.name`` and ``metadata.namespace`` to their values.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    schema: Schema
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()  # of: status, scale, eviction, binding, log, token, ephemeralcontainers
    scale: ScalePaths | None = None
    columns: tuple[Column, ...] = ()
    selectable: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    default: Callable[[Obj], None] = _no_change
    validate: Callable[[Obj], tuple[FieldProblem, ...]] = _no_problem
    validate_update: Callable[[Obj, Obj], tuple[FieldProblem, ...]] = _no_update_problem
    verbs: tuple[str, ...] = ALL_VERBS
    created_with_status: bool = False  # the status of a new object is kept, though there is a status subresource
    custom: bool = False  # served from a CustomResourceDefinition: no strategic merge patch

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """The name errors use: ``pods``, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources
