"""What there has to be before the first request: the objects the server looks at itself, and what all clusters have."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stratos.apiserver.observed import OBSERVED_RESOURCES, ObservedObjects
from stratos.apiserver.registry.codec import decode
from stratos.apiserver.registry.registry import Registry, key_prefix
from stratos.apiserver.registry.requests import THE_SERVER, Target, WriteOptions
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.writing import Writer
from stratos.apiserver.storage.contract import Event, Storage


async def observe_deciding_kinds(registry: Registry, storage: Storage, observed: ObservedObjects) -> None:
    """Keep ``observed`` in step with what is stored, from before the first request."""
    for group_resource in OBSERVED_RESOURCES:
        plural, _, group = group_resource.partition(".")
        resource = registry.find_any_version(group, plural)
        if resource is None:
            continue
        prefix = key_prefix(resource)
        for stored in (await storage.list(prefix)).items:
            observed.put(group_resource, decode(stored.value, stored.revision))
        storage.observe(prefix, _observer(observed, group_resource))


def _observer(observed: ObservedObjects, group_resource: str) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        if event.value is not None:
            observed.put(group_resource, decode(event.value, event.revision))
        else:
            *_, namespace, name = event.key.split("/")
            observed.remove(group_resource, namespace if event.key.count("/") == 5 else "", name)

    return observe


async def create_missing(registry: Registry, storage: Storage, writer: Writer, objects: Iterable[Obj]) -> None:
    """Create what is not there yet. What is there is the administrator's to change."""
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = next(
            one for one in registry.all() if (one.group, one.version, one.kind) == (group, version, obj["kind"])
        )
        metadata = obj["metadata"]
        target = Target(resource, metadata.get("namespace", ""), metadata["name"])
        if await storage.get(target.key) is None:
            await writer.create(target, obj, WriteOptions(THE_SERVER, field_manager="stratos"))
