"""The verbs delete and deletecollection.

Deleting is asking: an object with finalizers, or a pod with a grace period, is only marked, and goes when whoever it
waits for is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from stratos.apiserver.admission.contract import Admission, Operation
from stratos.apiserver.registry.admitting import admission_request, admit
from stratos.apiserver.registry.codec import decode_as, encode, timestamp
from stratos.apiserver.registry.metadata import finalizers, may_go
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.requests import DeleteOptions, ListOptions, Target, WriteOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.status import ApiError, conflict, invalid, not_found
from stratos.apiserver.storage.contract import Storage, Stored
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, FieldProblem, NotFound

_ATTEMPTS = 8
_DEFAULT_POD_GRACE_SECONDS = 30
_PROPAGATION_FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}
_POLICIES = ("Background", "Foreground", "Orphan")


class Deleter:
    """``completions`` are the same as a `Writer` has."""

    def __init__(
        self,
        storage: Storage,
        reader: Reader,
        clock: Clock,
        admission: Admission,
        completions: Mapping[str, Callable[[Obj], None]],
    ) -> None:
        self._completions = completions
        self._storage = storage
        self._reader = reader
        self._clock = clock
        self._admission = admission

    async def delete(self, target: Target, options: DeleteOptions, caller: WriteOptions) -> tuple[Stored, bool]:
        """The object as it was last, and whether it is gone."""
        _check_options(options)
        for attempt in range(_ATTEMPTS):
            stored = await self._storage.get(target.key, for_update=True)
            if stored is None:
                raise not_found(target.resource, target.name)
            try:
                return await self._delete(target, stored, options, caller)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise conflict(target.resource, target.name) from None
            except NotFound:
                raise not_found(target.resource, target.name) from None
        raise AssertionError("the last attempt returns or raises")

    async def delete_all(
        self, target: Target, selection: ListOptions, options: DeleteOptions, caller: WriteOptions
    ) -> list[Stored]:
        """Delete what the selection lists; what somebody else deletes meanwhile is fine too."""
        page = await self._reader.list(target, selection)
        deleted: list[Stored] = []
        for stored in page.items:
            metadata = decode_as(target.resource, stored)["metadata"]
            one = replace(target, namespace=metadata.get("namespace", ""), name=metadata["name"])
            try:
                deleted.append((await self.delete(one, options, caller))[0])
            except ApiError as error:
                if error.code != 404:
                    raise
        return deleted

    async def _delete(
        self, target: Target, stored: Stored, options: DeleteOptions, caller: WriteOptions
    ) -> tuple[Stored, bool]:
        live = decode_as(target.resource, stored)
        _check_preconditions(target, live, options)
        # An eviction comes here too; what admission is asked about then is the pod, as in every deletion.
        whole = replace(target, subresource="")
        await admit(self._admission, admission_request(Operation.DELETE, whole, None, live, caller))
        marked = decode_as(target.resource, stored)
        self._mark(target.resource, marked, options)
        if may_go(marked):
            if not caller.dry_run:
                stored = replace(stored, revision=await self._storage.delete(target.key, expected=stored.revision))
            return stored, True
        complete = self._completions.get(target.resource.group_resource)
        if complete is not None:
            complete(marked)
        value = encode(marked)
        if caller.dry_run or value == stored.value:
            return replace(stored, value=value), False
        return await self._storage.update(target.key, value, expected=stored.revision), False

    def _mark(self, resource: Resource, obj: Obj, options: DeleteOptions) -> None:
        """Note that the object is going, when, and who has a say in it."""
        metadata = obj["metadata"]
        grace = _grace_seconds(resource, obj, options)
        now = self._clock.now()
        if "deletionTimestamp" not in metadata:
            if "generation" in metadata:
                metadata["generation"] += 1
            metadata["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
        elif grace < metadata.get("deletionGracePeriodSeconds", 0):  # a second deletion may only hurry
            metadata["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
        if options.propagation_policy is not None:
            kept = [name for name in finalizers(obj) if name not in _PROPAGATION_FINALIZERS.values()]
            wanted = _PROPAGATION_FINALIZERS.get(options.propagation_policy)
            metadata["finalizers"] = [*kept, wanted] if wanted else kept
            if not metadata["finalizers"]:
                del metadata["finalizers"]
        if resource.kind == "Namespace" and not resource.group:
            obj.setdefault("status", {})["phase"] = "Terminating"


def _grace_seconds(resource: Resource, obj: Obj, options: DeleteOptions) -> int:
    """Only pods are given time, and only those that run somewhere."""
    if resource.kind != "Pod" or resource.group:
        return 0
    spec = obj.get("spec", {})
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace_period_seconds is not None:
        return options.grace_period_seconds
    asked: int = spec.get("terminationGracePeriodSeconds", _DEFAULT_POD_GRACE_SECONDS)
    return asked


def _check_options(options: DeleteOptions) -> None:
    problems = []
    if options.propagation_policy is not None and options.propagation_policy not in _POLICIES:
        listed = ", ".join(f'"{policy}"' for policy in _POLICIES)
        message = f'Unsupported value: "{options.propagation_policy}": supported values: {listed}'
        problems.append(FieldProblem("propagationPolicy", "FieldValueNotSupported", message))
    if options.grace_period_seconds is not None and options.grace_period_seconds < 0:
        message = f"Invalid value: {options.grace_period_seconds}: must be greater than or equal to 0"
        problems.append(FieldProblem("gracePeriodSeconds", "FieldValueInvalid", message))
    if problems:
        raise invalid("meta.k8s.io", "DeleteOptions", "", problems)


def _check_preconditions(target: Target, live: Obj, options: DeleteOptions) -> None:
    metadata = live["metadata"]
    for what, wanted, found in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
    ):
        if wanted is not None and wanted != found:
            why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            raise conflict(target.resource, target.name, why)
