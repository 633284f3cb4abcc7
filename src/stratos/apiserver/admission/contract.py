"""What the registry's verbs ask of admission.

A verb builds one `AdmissionRequest` for each write and calls ``mutate`` once the object is decoded, defaulted and (for
an update) merged, then validates the object itself, then calls ``validate`` and commits. ``mutate`` changes
``request.obj`` in place or puts another in its place: read it back, default it again and validate that. A refusal is
raised as `AdmissionRefused`. Warnings for the client gather in ``request.warnings``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from stratos.apiserver.auth.contract import User
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.base.errors import StratosError


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(slots=True)
class AdmissionRequest:
    """One write on its way in.

    A patch is an UPDATE, or a CREATE when it makes the object. For a subresource that has a kind of its own (``scale``,
    ``eviction``, ``binding``), ``obj`` is that kind. On DELETE ``obj`` is `None` and ``old_obj`` the one to go.
    """

    operation: Operation
    resource: Resource
    name: str  # may be empty on CREATE with generateName
    namespace: str  # empty for cluster-scoped kinds
    user: User
    obj: Obj | None
    old_obj: Obj | None = None
    subresource: str = ""
    dry_run: bool = False
    options: Obj = field(default_factory=dict)  # the CreateOptions, UpdateOptions, PatchOptions or DeleteOptions
    warnings: list[str] = field(default_factory=list)

    @property
    def object_kind(self) -> tuple[str, str, str]:
        """Group, version and kind of the object in the request: the resource's own, but for some subresources."""
        subject = self.obj or self.old_obj or {}
        group_version, kind = str(subject.get("apiVersion", "")), str(subject.get("kind", ""))
        if not kind:
            return self.resource.group, self.resource.version, self.resource.kind
        group, _, version = group_version.rpartition("/")
        return group, version, kind


class AdmissionRefused(StratosError):
    """The write is not admitted. ``code``, ``reason`` and ``details`` are for the `Status` object of the answer."""

    def __init__(
        self, message: str, *, code: int = 403, reason: str = "Forbidden", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details or {}


class Admission(Protocol):
    async def mutate(self, request: AdmissionRequest) -> None:
        """Let plugins, then webhooks, change ``request.obj``. Raises `AdmissionRefused`."""
        ...

    async def validate(self, request: AdmissionRequest) -> None:
        """Let plugins, then webhooks, refuse the write as it will be stored. Raises `AdmissionRefused`."""
        ...
