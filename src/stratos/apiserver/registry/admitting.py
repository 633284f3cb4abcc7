"""How the registry's verbs put a write before admission."""

from __future__ import annotations

from stratos.apiserver.admission.contract import Admission, AdmissionRequest, Operation
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj


def admission_request(
    operation: Operation, target: Target, obj: Obj | None, old_obj: Obj | None, options: WriteOptions
) -> AdmissionRequest:
    return AdmissionRequest(
        operation,
        target.resource,
        target.name,
        target.namespace,
        options.user,
        obj,
        old_obj,
        subresource=target.subresource,
        dry_run=options.dry_run,
        warnings=options.warnings,
    )


async def admit(admission: Admission, request: AdmissionRequest) -> None:
    """Both rounds in one go, for writes that store no object of the request: a Scale, an Eviction, a deletion."""
    await admission.mutate(request)
    await admission.validate(request)
