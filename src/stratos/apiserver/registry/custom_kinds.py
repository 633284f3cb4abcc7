"""Custom kinds come and go with their CustomResourceDefinitions.

A definition is served from the moment its creation is acknowledged: its status is settled in the write that stores it,
and the kinds are registered as the write is published. Only deletion takes time, as the objects have to go first.
"""

from __future__ import annotations

import asyncio

from stratos.apiserver.registry.codec import decode, timestamp
from stratos.apiserver.registry.crd import resources_from_crd
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.registry import Registry, key_prefix
from stratos.apiserver.registry.requests import THE_SERVER, DeleteOptions, ListOptions, Target, WriteOptions
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.writing import Writer
from stratos.apiserver.storage.contract import Event, Storage
from stratos.base.clock import Clock

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_PREFIX = "/registry/apiextensions.k8s.io/customresourcedefinitions/"
_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class DefinitionStatus:
    """Settles the status of a definition, as its writes are about to be stored."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def complete(self, crd: Obj) -> None:
        spec, status = crd["spec"], crd.setdefault("status", {})
        if "deletionTimestamp" in crd["metadata"]:
            self._set(
                status, "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
            )
            return
        finalizers = crd["metadata"].setdefault("finalizers", [])
        if _CLEANUP not in finalizers:
            finalizers.append(_CLEANUP)
        taken = self._name_taken(crd)
        if taken:
            self._set(status, "NamesAccepted", "False", "NamesConflict", taken)
            self._set(status, "Established", "False", "NotAccepted", "not all names are accepted")
            return
        status["acceptedNames"] = spec["names"]
        stored = [version["name"] for version in spec["versions"] if version.get("storage")]
        status["storedVersions"] = list(dict.fromkeys([*(status.get("storedVersions") or ()), *stored]))
        self._set(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
        self._set(status, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted")

    def _name_taken(self, crd: Obj) -> str:
        """Which of the names another kind of the group already has; empty if none."""
        spec = crd["spec"]
        for other in self._registry.all():
            if other.group != spec["group"] or other.plural == spec["names"]["plural"]:
                continue
            if other.kind == spec["names"]["kind"]:
                return f'"{other.kind}" is already in use'
            if (other.singular or other.kind.lower()) == spec["names"].get("singular"):
                return f'"{other.singular}" is already in use'
        return ""

    def _set(self, status: Obj, type_: str, value: str, reason: str, message: str) -> None:
        conditions = status.get("conditions") or []
        before = next((one for one in conditions if one["type"] == type_), None)
        since = before["lastTransitionTime"] if before and before["status"] == value else timestamp(self._clock.now())
        condition = {
            "type": type_,
            "status": value,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
        status["conditions"] = [*(one for one in conditions if one["type"] != type_), condition]


class CustomKinds:
    """Keeps the registry in step with the definitions, and clears up after those that are deleted."""

    def __init__(self, registry: Registry, storage: Storage, reader: Reader, writer: Writer, deleter: Deleter) -> None:
        self._registry = registry
        self._storage = storage
        self._reader = reader
        self._writer = writer
        self._deleter = deleter
        self._clearing: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Serve what is defined, and follow the changes."""
        for stored in (await self._storage.list(_PREFIX)).items:
            self._serve(decode(stored.value, stored.revision))
        self._storage.observe(_PREFIX, self._definition_changed)

    async def stop(self) -> None:
        for task in self._clearing.values():
            task.cancel()
        await asyncio.gather(*self._clearing.values(), return_exceptions=True)

    def _definition_changed(self, event: Event) -> None:
        if event.value is not None:
            self._serve(decode(event.value, event.revision))
        elif event.previous is not None:
            spec = decode(event.previous.value, event.revision)["spec"]
            self._registry.remove(spec["group"], spec["names"]["plural"])

    def _serve(self, crd: Obj) -> None:
        spec, metadata = crd["spec"], crd["metadata"]
        if _is_established(crd):
            self._registry.replace(spec["group"], spec["names"]["plural"], resources_from_crd(crd))
        name = metadata["name"]
        going = "deletionTimestamp" in metadata and _CLEANUP in (metadata.get("finalizers") or ())
        if going and name not in self._clearing:
            self._clearing[name] = asyncio.create_task(self._clear(crd), name=f"clear {name}")
            self._clearing[name].add_done_callback(lambda _: self._clearing.pop(name, None))

    async def _clear(self, crd: Obj) -> None:
        """Delete every object of the kind, wait until the last one is gone, then let the definition go."""
        spec, options = crd["spec"], WriteOptions(THE_SERVER)
        resource = self._registry.find_any_version(spec["group"], spec["names"]["plural"])
        while resource is not None:
            everywhere = Target(resource)
            await self._deleter.delete_all(everywhere, ListOptions(), DeleteOptions(), options)
            left = await self._storage.list(key_prefix(resource))
            if not left.items:
                break
            watch = self._storage.watch(key_prefix(resource), after=left.revision)
            try:
                await watch.next()
            finally:
                watch.close()
        definitions = self._registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        assert definitions is not None
        await self._writer.amend(Target(definitions, "", crd["metadata"]["name"]), _let_go, options)


def _is_established(crd: Obj) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _let_go(crd: Obj) -> None:
    metadata = crd["metadata"]
    metadata["finalizers"] = [name for name in metadata.get("finalizers") or () if name != _CLEANUP]
