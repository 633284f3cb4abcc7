"""Collect garbage: watch the metadata of all kinds, custom ones included, and carry out what the graph says.

Kinds come and go with CustomResourceDefinitions, so the collector runs caches of its own beside those it shares with
the workload controllers. Events are left out: they own nothing, nothing owns them, and there are many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stratos.apis.meta import Kind, KubeObject
from stratos.base.errors import NotFound, StratosError
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.client import PatchType
from stratos.kube.controller import Controller, Requeue
from stratos.telemetry.logs import get_logger
from stratos.workloads.discovery import served_kinds
from stratos.workloads.garbage.graph import FOREGROUND, KEEP, ORPHAN, Graph, Item, judge
from stratos.workloads.shared import Shared

_KindKey = tuple[str, str]  # api version and plural
_DEFINITIONS: _KindKey = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
_REDISCOVER_SECONDS = 0.2  # a new definition is served a moment after it appears
_RETRY_DISCOVERY_SECONDS = 30.0

log = get_logger(__name__)


class GarbageCollector:
    """One key of its queue is one uid."""

    def __init__(self, shared: Shared) -> None:
        self.name = "garbage-collector"
        self._shared = shared
        self._graph = Graph()
        self._kinds: dict[tuple[str, str], Kind[Any]] = {}  # by api version and kind, as references name them
        self._borrowed: dict[_KindKey, Cache[Any]] = {_key(cache.kind): cache for cache in shared.caches}
        self._followed: dict[_KindKey, Cache[Any]] = {}
        self._rediscover = asyncio.Event()
        self._controller: Controller = shared.controller(self.name, self.reconcile, workers=8)

    async def run(self) -> None:
        """Work until cancelled. Nothing is judged before everything that exists has been seen."""
        tasks: dict[_KindKey, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                await self._discover(group, tasks)
                for cache in self._followed.values():
                    await cache.wait_synced()
                group.create_task(self._controller.run(), name=self.name)
                while True:
                    await self._wait_for_new_definitions()
                    await self._discover(group, tasks)
        finally:
            self._followed.clear()  # caches that nobody runs any more

    async def _wait_for_new_definitions(self) -> None:
        await self._rediscover.wait()
        await asyncio.sleep(_REDISCOVER_SECONDS)
        self._rediscover.clear()

    async def _discover(self, group: asyncio.TaskGroup, tasks: dict[_KindKey, asyncio.Task[None]]) -> None:
        """Follow the kinds that are new, and stop following those that are gone."""
        try:
            served = await served_kinds(self._shared.client)
        except StratosError as error:
            log.warning("cannot discover the kinds to collect", reason=error.message)
            asyncio.get_running_loop().call_later(_RETRY_DISCOVERY_SECONDS, self._rediscover.set)
            return
        found: set[_KindKey] = set()
        for each in served:
            key = _key(each.kind)
            if each.kind.plural == "events" or not {"list", "watch", "delete"} <= each.verbs:
                continue
            found.add(key)
            self._kinds[(each.kind.api_version, each.kind.kind)] = each.kind
            if key not in self._followed:
                cache = self._borrowed.get(key)
                if cache is None:
                    cache = Cache(self._shared.client, each.kind, rng=self._shared.rng)
                    tasks[key] = group.create_task(cache.run(), name=cache.name)
                self._followed[key] = cache
                cache.subscribe(self._seen_by(key, cache.kind))
        for key in sorted(set(tasks) - found):
            tasks.pop(key).cancel()
            for obj in self._followed.pop(key):
                self._forget(obj.metadata.uid)

    def _seen_by(self, key: _KindKey, kind: Kind[Any]) -> Callable[[CacheEvent[Any]], None]:
        def seen(event: CacheEvent[Any]) -> None:
            obj = event.object
            if key == _DEFINITIONS:
                self._rediscover.set()
            if event.change is Change.DELETED:
                self._forget(obj.metadata.uid)
                return
            before = self._graph.get(obj.metadata.uid)
            self._graph.put(kind, obj)
            item = Item(kind, obj.metadata)
            if obj.metadata.owner_references and (
                before is None or before.metadata.owner_references != obj.metadata.owner_references
            ):
                self._controller.enqueue(obj.metadata.uid)
            if item.waits_for_dependents or item.orphans_dependents:
                self._controller.enqueue(obj.metadata.uid)
            if before is not None and not before.leaving and item.leaving:
                self._enqueue_owners(item)

        return seen

    def _forget(self, uid: str) -> None:
        """What it owned is to be judged again, and an owner that waits for it may now go."""
        item = self._graph.get(uid)
        dependents = self._graph.dependents(uid)
        self._graph.remove(uid)
        for dependent in dependents:
            self._controller.enqueue(dependent.metadata.uid)
        if item is not None:
            self._enqueue_owners(item)

    def _enqueue_owners(self, item: Item) -> None:
        for reference in item.metadata.owner_references:
            owner = self._graph.get(reference.uid)
            if owner is not None and owner.waits_for_dependents:
                self._controller.enqueue(reference.uid)

    async def reconcile(self, uid: str) -> Requeue | None:
        item = self._graph.get(uid)
        if item is None:
            return None
        if item.orphans_dependents:
            for dependent in self._graph.dependents(uid):
                await self._drop_references(dependent, (uid,))
            await self._remove_finalizer(item, ORPHAN)
        elif item.waits_for_dependents:
            await self._end_in_foreground(item)
        else:
            await self._collect(item)
        return None

    async def _end_in_foreground(self, item: Item) -> None:
        uid = item.metadata.uid
        for dependent in self._graph.dependents(uid):
            if not dependent.leaving:
                self._controller.enqueue(dependent.metadata.uid)
        if not self._graph.blocking(uid):
            await self._remove_finalizer(item, FOREGROUND)

    async def _collect(self, item: Item) -> None:
        verdict = judge(item, self._graph, await self._absent_owners(item))
        if verdict == KEEP:
            return
        if verdict.delete is None:
            await self._drop_references(item, verdict.drop)
            return
        log.info("collect", kind=item.kind.kind, key=item.metadata.key, propagation=verdict.delete)
        try:
            await self._shared.client.delete(
                item.kind,
                item.metadata.key,
                uid=item.metadata.uid,
                # Somebody may give it a new owner at this moment: then it is no garbage.
                resource_version=item.metadata.resource_version,
                propagation=verdict.delete,
            )
        except NotFound:
            return

    async def _absent_owners(self, item: Item) -> Mapping[str, bool]:
        """Ask the server about owners we have not seen. A kind it does not serve cannot be judged by."""
        absent = dict[str, bool]()
        for reference in item.metadata.owner_references:
            if self._graph.get(reference.uid) is not None:
                continue
            kind = self._kinds.get((reference.api_version, reference.kind))
            if kind is None or (kind.namespaced and not item.metadata.namespace):
                absent[reference.uid] = False
                continue
            key = f"{item.metadata.namespace}/{reference.name}" if kind.namespaced else reference.name
            try:
                owner: KubeObject = await self._shared.client.get(kind, key)
                absent[reference.uid] = owner.metadata.uid != reference.uid
            except NotFound:
                absent[reference.uid] = True
        return absent

    async def _drop_references(self, item: Item, uids: Sequence[str]) -> None:
        if not uids:
            return
        kept = [each for each in item.metadata.owner_references if each.uid not in uids]
        await self._patch_metadata(item, {"ownerReferences": kept or None})

    async def _remove_finalizer(self, item: Item, finalizer: str) -> None:
        await self._patch_metadata(
            item, {"finalizers": [each for each in item.metadata.finalizers if each != finalizer] or None}
        )

    async def _patch_metadata(self, item: Item, change: dict[str, Any]) -> None:
        """Lists are written whole, so they must still be those that were looked at; else there is a next time."""
        metadata = {"resourceVersion": item.metadata.resource_version, "uid": item.metadata.uid, **change}
        try:
            await self._shared.client.patch(item.kind, item.metadata.key, {"metadata": metadata}, type=PatchType.MERGE)
        except NotFound:
            return


def _key(kind: Kind[Any]) -> _KindKey:
    return (kind.api_version, kind.plural)
