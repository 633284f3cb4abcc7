"""What the loops share: the caches, and the writes that all of them make in the same way.

Nobody acts twice on an old sight: what we create or patch is put into the cache at once, and a pod that we have asked
to be deleted counts as leaving from then on, whatever the cache still shows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.namespace import NAMESPACE
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.errors import Forbidden, NotFound, NotReady
from stratos.base.selectors import LabelSelector
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.client import Client, PatchType
from stratos.kube.controller import Controller, Manager, Reconcile, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.telemetry.metrics import ControllerMetrics
from stratos.workloads.matching import BY_ANCHOR, BY_LABEL, SelectorOf, anchor_values, label_values, selecting
from stratos.workloads.ownership import claim
from stratos.workloads.pods import controller_reference

T = TypeVar("T", bound=KubeObject)

BY_CONTROLLER = "controller"
BY_NAMESPACE = "namespace"
BY_NODE = "node"
UNOWNED = "unowned"

_TOGETHER = 64  # writes under way at once


class Shared:
    def __init__(
        self,
        manager: Manager,
        *,
        clock: Clock,
        rng: random.Random,
        recorder: EventRecorder,
        metrics: ControllerMetrics | None,
    ) -> None:
        self.client: Client = manager.client
        self.clock = clock
        self.rng = rng
        self.recorder = recorder
        self.caches: list[Cache[Any]] = []
        self._manager = manager
        self._metrics = metrics
        self.pods = self.cache(POD, indexes={BY_NODE: _node, BY_LABEL: label_values})
        self._namespaces = self.cache(NAMESPACE)
        self._leaving = set[str]()  # uids of pods we have asked to be deleted
        self.pods.subscribe(self._forget_leaving)

    def cache(self, kind: Kind[T], indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None) -> Cache[T]:
        """The one cache of a kind, indexed by controller, by namespace, and by namespace for what nobody owns."""
        usual = {BY_CONTROLLER: _controller, BY_NAMESPACE: _namespace, UNOWNED: _unowned}
        cache = self._manager.cache(kind, indexes={**usual, **(indexes or {})})
        if cache not in self.caches:
            self.caches.append(cache)
        return cache

    def cache_of_suitors(self, kind: Kind[T], selector_of: SelectorOf[T]) -> Cache[T]:
        """The one cache of a kind that selects pods, or what else it controls."""
        return self.cache(kind, indexes={BY_ANCHOR: anchor_values(selector_of)})

    def cache_of_name(self, kind: Kind[T], name: str) -> Cache[T]:
        """Only the objects of one name, in all namespaces."""
        return self._manager.cache(kind, field_selector=f"metadata.name={name}")

    def controller(
        self, name: str, reconcile: Reconcile, *, workers: int = 4, resync_seconds: float | None = None
    ) -> Controller:
        async def reconcile_patiently(key: str) -> Requeue | None:
            # What goes away while we work on it is no failure: its deletion is on its way to us.
            try:
                return await reconcile(key)
            except NotFound as error:
                raise NotReady(error.message) from error
            except Forbidden as error:
                if self._is_in_leaving_namespace(key):
                    raise NotReady(error.message) from error
                raise

        return Controller(
            name,
            reconcile_patiently,
            clock=self.clock,
            rng=self.rng,
            workers=workers,
            resync_seconds=resync_seconds,
            metrics=self._metrics,
        )

    def _is_in_leaving_namespace(self, key: str) -> bool:
        namespace = self._namespaces.get(key.partition("/")[0])
        return namespace is not None and namespace.metadata.deletion_timestamp is not None

    # Looking

    def as_seen(self, pod: Pod) -> Pod:
        """The pod, shown as leaving if we have asked for its deletion."""
        if pod.metadata.deletion_timestamp is not None or pod.metadata.uid not in self._leaving:
            return pod
        metadata = msgspec.structs.replace(pod.metadata, deletion_timestamp=self.clock.now())
        return msgspec.structs.replace(pod, metadata=metadata)

    def pods_of(self, owner: KubeObject) -> tuple[Pod, ...]:
        return tuple(self.as_seen(pod) for pod in self.pods.by_index(BY_CONTROLLER, owner.metadata.uid))

    async def claim(self, kind: Kind[Any], owner: KubeObject, selector: LabelSelector | None, of: Cache[T]) -> list[T]:
        """What ``owner`` controls, after adopting what its selector matches and releasing what it does not."""
        candidates = (
            *of.by_index(BY_CONTROLLER, owner.metadata.uid),
            *of.by_index(UNOWNED, owner.metadata.namespace),
        )
        claims = claim(owner, selector, candidates)
        owned = list(claims.owned)
        for each in claims.adopt:
            reference = controller_reference(kind, owner)
            if (adopted := await self._set_owner(of, each, reference)) is not None:
                owned.append(adopted)
        for each in claims.release:
            await self._set_owner(of, each, {"$patch": "delete", "uid": owner.metadata.uid})
        return owned

    async def claim_pods(self, kind: Kind[Any], owner: KubeObject, selector: LabelSelector | None) -> list[Pod]:
        return [self.as_seen(pod) for pod in await self.claim(kind, owner, selector, self.pods)]

    async def _set_owner(self, of: Cache[T], obj: T, reference: dict[str, Any]) -> T | None:
        """Naming the uid makes the server refuse should the name mean another object by now."""
        patch = {"metadata": {"uid": obj.metadata.uid, "ownerReferences": [reference]}}
        try:
            changed = await self.client.patch(of.kind, obj.metadata.key, patch, type=PatchType.STRATEGIC)
        except NotFound:
            return None
        of.observe(changed)
        return changed

    # Writing

    async def create(self, of: Cache[T], body: Mapping[str, Any]) -> T:
        created = await self.client.create(of.kind, body)
        of.observe(created)
        return created

    async def create_pods(self, kind: Kind[Any], owner: KubeObject, bodies: Sequence[Mapping[str, Any]]) -> None:
        """First one, then ever more at a time: a quota that refuses them is asked once, not a thousand times.

        Raises the first failure after those under way have ended.
        """
        done, together = 0, 1
        while done < len(bodies):
            batch = bodies[done : done + together]
            results = await asyncio.gather(*(self.create(self.pods, body) for body in batch), return_exceptions=True)
            for result in results:
                if isinstance(result, Pod):
                    self.recorder.normal(kind, owner, "SuccessfulCreate", f"Created pod: {result.metadata.name}")
            if failure := next((result for result in results if isinstance(result, BaseException)), None):
                self.recorder.warning(kind, owner, "FailedCreate", f"Error creating: {failure}")
                raise failure
            done, together = done + together, min(2 * together, _TOGETHER)

    async def delete_pods(self, kind: Kind[Any], owner: KubeObject, pods: Sequence[Pod]) -> None:
        for start in range(0, len(pods), _TOGETHER):
            batch = pods[start : start + _TOGETHER]
            for pod, deleted in zip(batch, await asyncio.gather(*map(self.delete_pod, batch)), strict=True):
                if deleted:
                    self.recorder.normal(kind, owner, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

    async def delete_pod(self, pod: Pod, *, grace_seconds: int | None = None) -> bool:
        """Ask for the deletion of exactly this pod. False when it is gone already."""
        deleted = await self.delete(POD, pod, grace_seconds=grace_seconds)
        seen = self.pods.get(pod.metadata.key)
        if deleted and seen is not None and seen.metadata.uid == pod.metadata.uid:
            self._leaving.add(pod.metadata.uid)
        return deleted

    async def mark_disrupted(self, pod: Pod, reason: str, message: str, *, phase: str | None = None) -> None:
        """Say on the pod itself that it was ended for a reason outside of it."""
        condition = Condition(
            type="DisruptionTarget",
            status="True",
            reason=reason,
            message=message,
            last_transition_time=self.clock.now(),
        )
        status: dict[str, Any] = {"conditions": [msgspec.to_builtins(condition)]}
        if phase is not None:
            status["phase"] = phase
        await self.patch_pod_status(pod, status)

    async def patch_pod_status(self, pod: Pod, status: Mapping[str, Any]) -> None:
        """Change what is named; conditions of other types stay. A pod that is gone needs no status."""
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        try:
            changed = await self.client.patch(
                POD, pod.metadata.key, patch, type=PatchType.STRATEGIC, subresource="status"
            )
        except NotFound:
            return
        self.pods.observe(changed)

    async def delete(
        self, kind: Kind[Any], obj: KubeObject, *, grace_seconds: int | None = None, propagation: str | None = None
    ) -> bool:
        key, uid = obj.metadata.key, obj.metadata.uid
        try:
            await self.client.delete(kind, key, uid=uid, grace_seconds=grace_seconds, propagation=propagation)
        except NotFound:
            return False
        return True

    async def patch(self, of: Cache[T], obj: KubeObject, patch: Mapping[str, Any]) -> T:
        changed = await self.client.patch(of.kind, obj.metadata.key, patch)
        of.observe(changed)
        return changed

    async def write_status(self, of: Cache[T], obj: T, before: Struct, status: Struct) -> None:
        """Write a status that differs from the one seen."""
        if status != before:
            patch = {"status": complete(status)}
            of.observe(await self.client.patch(of.kind, obj.metadata.key, patch, subresource="status"))

    def _forget_leaving(self, event: CacheEvent[Pod]) -> None:
        if event.change is Change.DELETED or event.object.metadata.deletion_timestamp is not None:
            self._leaving.discard(event.object.metadata.uid)


def complete(status: Struct) -> dict[str, Any]:
    """Every field of a status, also those with their default: in a merge patch, silence would keep the old value."""
    return {
        field.encode_name: msgspec.to_builtins(getattr(status, field.name)) for field in msgspec.structs.fields(status)
    }


def again(seconds: float | None) -> Requeue | None:
    return None if seconds is None else Requeue(seconds)


def keys_of_controller(kind: Kind[Any]) -> Callable[[KubeObject], Iterable[str]]:
    """For `Controller.watch`: the key of the controller of an object, if that is of ``kind``."""

    def keys(obj: KubeObject) -> Iterable[str]:
        controller = obj.metadata.controller
        if controller is None or controller.kind != kind.kind or controller.api_version != kind.api_version:
            return ()
        return (f"{obj.metadata.namespace}/{controller.name}",)

    return keys


def keys_of_suitors(suitors: Cache[T], selector_of: SelectorOf[T]) -> Callable[[KubeObject], Iterable[str]]:
    """For `Controller.watch`: of an object that nobody controls, the keys of those whose selector matches it."""
    return lambda obj: () if obj.metadata.controller is not None else selecting(suitors, selector_of, obj)


def _controller(obj: KubeObject) -> Iterable[str]:
    controller = obj.metadata.controller
    return (controller.uid,) if controller is not None else ()


def _namespace(obj: KubeObject) -> Iterable[str]:
    return (obj.metadata.namespace,)


def _unowned(obj: KubeObject) -> Iterable[str]:
    return (obj.metadata.namespace,) if obj.metadata.controller is None else ()


def _node(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()
