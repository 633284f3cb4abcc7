"""Namespaces: nothing is created in one that is missing or going, and three of them stay."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.admission.contract import AdmissionRefused, AdmissionRequest, Operation
from stratos.apiserver.admission.plugins import Plugin, refuse
from stratos.apiserver.observed import ObservedObjects

_IMMORTAL = ("default", "kube-public", "kube-system")


class NamespaceLifecycle(Plugin):
    """The first to look: what is wrong with the namespace makes everything else moot."""

    def __init__(self, objects: ObservedObjects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is Operation.CREATE and request.resource.namespaced and not request.subresource:
            self._check_open(request)
        goes = request.operation is Operation.DELETE and request.resource.group_resource == "namespaces"
        if goes and request.name in _IMMORTAL:
            raise refuse(request, "this namespace may not be deleted")

    def _check_open(self, request: AdmissionRequest) -> None:
        namespace = self._objects.get("namespaces", "", request.namespace)
        if namespace is None:
            details: dict[str, Any] = {"name": request.namespace, "kind": "namespaces"}
            message = f'namespaces "{request.namespace}" not found'
            raise AdmissionRefused(message, code=404, reason="NotFound", details=details)
        if "deletionTimestamp" in namespace["metadata"]:
            refusal = refuse(
                request,
                f"unable to create new content in namespace {request.namespace} because it is being terminated",
            )
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {request.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise AdmissionRefused(refusal.message, details={**refusal.details, "causes": [cause]})
