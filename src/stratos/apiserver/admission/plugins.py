"""What every built-in admission plugin looks like, and how it refuses."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.admission.contract import AdmissionRefused, AdmissionRequest, Operation


class Plugin:
    """Changes or refuses writes. Changing must be safe to repeat: it happens again after webhooks have their say."""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change ``request.obj``, or refuse the write."""

    async def validate(self, request: AdmissionRequest) -> None:
        """Refuse the write as it will be stored, or let it pass."""


def concerns(request: AdmissionRequest, group_resource: str, *operations: Operation) -> bool:
    """Whether the request writes a whole object of that kind, not a subresource, with one of the operations."""
    return (
        request.operation in operations
        and not request.subresource
        and request.obj is not None
        and request.resource.group_resource == group_resource
    )


def refuse(request: AdmissionRequest, why: str) -> AdmissionRefused:
    """``pods "web" is forbidden: …``"""
    details: dict[str, Any] = {"name": request.name, "kind": request.resource.plural}
    if request.resource.group:
        details["group"] = request.resource.group
    subject = f'{request.resource.group_resource} "{request.name}"'
    return AdmissionRefused(f"{subject} is forbidden: {why}", details=details)
