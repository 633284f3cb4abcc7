"""The loop: one class at a time, looked up again in an interval because clouds change behind its back.

What goes wrong is said in the class's conditions and, when it is news, by an Event. Where the cloud itself does not
answer, that is no verdict on a class: what is known of it stays.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from stratos.apis import labels
from stratos.apis.awsnodeclass import AWSNodeClass, NodeClassStatus, ResolvedSecurityGroup, ResolvedSubnet
from stratos.apis.meta import Condition, is_condition_true, with_condition
from stratos.apis.nodeclasses import NODE_CLASS_KINDS, NodeClass, class_key
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.base.clock import Clock
from stratos.base.errors import Invalid, NotFound, StratosError, Throttled, Unauthorized, Unavailable
from stratos.base.words import counted
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.codec import merge_patch
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.providers.contract import NodeClassPart, Provider, ResolvedNodeClass
from stratos.telemetry.metrics import ControllerMetrics

_BY_CLASS = "class"
_FRESH_SECONDS = 300.0
_RETRY_SECONDS = 30.0
_IN_USE = "InUse"
_OURS = (labels.CLASS_IN_USE_FINALIZER, labels.INSTANCE_PROFILE_FINALIZER)
_NO_VERDICT = (Throttled, Unauthorized, Unavailable)


def node_class_controller(
    manager: Manager,
    provider: Provider,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    controller_metrics: ControllerMetrics | None = None,
) -> Controller:
    """Make the loop and add it to ``manager``."""
    loop = _NodeClasses(manager, provider, recorder, clock)
    controller = Controller("nodeclasses", loop.reconcile, clock=clock, rng=rng, metrics=controller_metrics)
    loop.connect(controller)
    manager.add(controller)
    return controller


class _NodeClasses:
    def __init__(self, manager: Manager, provider: Provider, recorder: EventRecorder, clock: Clock) -> None:
        self._client = manager.client
        self._provider = provider
        self._recorder = recorder
        self._clock = clock
        self._pools: Cache[NodePool] = manager.cache(NODE_POOL, indexes={_BY_CLASS: lambda pool: (class_key(pool),)})
        self._templates: Cache[NodeTemplate] = manager.cache(
            NODE_TEMPLATE, indexes={_BY_CLASS: lambda template: (class_key(template),)}
        )
        self._caches: dict[str, Cache[NodeClass]] = {
            name: manager.cache(kind) for name, kind in NODE_CLASS_KINDS.items()
        }

    def connect(self, controller: Controller) -> None:
        """Keys are ``kind/name``. A class's own status is no news."""

        def watch(kind: str, cache: Cache[NodeClass]) -> None:
            def changed(event: CacheEvent[NodeClass]) -> None:
                if event.old is None or _decides(event.old) != _decides(event.object):
                    controller.enqueue(f"{kind}/{event.key}")

            cache.subscribe(changed)

        for kind, cache in self._caches.items():
            watch(kind, cache)

        def user_changed(event: CacheEvent[NodePool] | CacheEvent[NodeTemplate]) -> None:
            if event.old is None or event.change is Change.DELETED or class_key(event.old) != class_key(event.object):
                for key in _classes_of(event):
                    controller.enqueue(key)

        self._pools.subscribe(user_changed)
        self._templates.subscribe(user_changed)

    async def reconcile(self, key: str) -> Requeue | None:
        kind, _, name = key.partition("/")
        cache = self._caches.get(kind)
        node_class = cache.get(name) if cache is not None else None
        if cache is None or node_class is None:
            return None
        pools = len(self._pools.by_index(_BY_CLASS, key))
        templates = len(self._templates.by_index(_BY_CLASS, key))
        in_use = pools + templates > 0
        node_class = await self._guard(kind, node_class, in_use=in_use)
        if node_class.metadata.deletion_timestamp is not None and not in_use:
            return None
        status, ready = await self._resolve(node_class, pools, templates)
        if status != node_class.status:
            patch = {"status": merge_patch(node_class.status, status)}
            cache.observe(await self._client.patch(NODE_CLASS_KINDS[kind], name, patch, subresource="status"))
            self._tell(kind, node_class, status)
        return Requeue(_FRESH_SECONDS if ready else _RETRY_SECONDS)

    async def _guard(self, kind: str, node_class: NodeClass, *, in_use: bool) -> NodeClass:
        """Hold the class back from deletion while something uses it, and until what was made for it is taken away."""
        held = node_class.metadata.finalizers
        ours = tuple(each for each in held if each in _OURS)
        if node_class.metadata.deletion_timestamp is None:
            wanted = _finalizers(node_class, in_use=in_use)
        elif in_use or not ours:
            return node_class  # nothing new is held by what goes already
        else:
            await self._release(kind, node_class)
            wanted = ()
        if set(ours) == set(wanted):
            return node_class
        others = [each for each in held if each not in _OURS]
        metadata = {"finalizers": [*others, *wanted], "resourceVersion": node_class.metadata.resource_version}
        try:
            written: NodeClass = await self._client.patch(
                NODE_CLASS_KINDS[kind], node_class.metadata.name, {"metadata": metadata}
            )
        except NotFound:
            return node_class  # that was all that held it
        if written.metadata.deletion_timestamp is None:
            self._caches[kind].observe(written)
        return written

    async def _release(self, kind: str, node_class: NodeClass) -> None:
        try:
            await self._provider.release(node_class)
        except StratosError as error:
            self._recorder.warning(NODE_CLASS_KINDS[kind], node_class, "CleanupFailed", error.in_a_line())
            raise

    async def _resolve(self, node_class: NodeClass, pools: int, templates: int) -> tuple[NodeClassStatus, bool]:
        """The new status, and whether all of the class was found."""
        before = node_class.status
        now, generation = self._clock.now(), node_class.metadata.generation
        conditions: Sequence[Condition] = before.conditions

        def state(type_: str, status: bool, reason: str, message: str = "") -> None:
            nonlocal conditions
            conditions = with_condition(
                conditions, type_, status, reason=reason, message=message, now=now, observed_generation=generation
            )

        users = counted(pools, "pool") + (f" and {counted(templates, 'template')}" if templates else "")
        state(
            _IN_USE,
            pools + templates > 0,
            "ReferencedByNodePools" if pools else "ReferencedByNodeTemplates" if templates else "NotReferenced",
            f"{users} {'uses' if pools + templates == 1 else 'use'} this class",
        )
        try:
            resolved = await self._provider.resolve(node_class)
        except Invalid as error:
            state("Valid", False, "InvalidSpec", error.in_a_line())
            for part in NodeClassPart:
                state(part, False, "ResolutionFailed", error.message)
            resolved = ResolvedNodeClass(instance_type=node_class.spec.instance_type or "")
        except _NO_VERDICT as error:
            if before.observed_generation == generation:
                raise
            for part in NodeClassPart:
                state(part, False, "ResolutionFailed", error.in_a_line())
            unknown = replace(before, conditions=tuple(conditions), node_pool_count=pools)
            return unknown, False
        else:
            state("Valid", True, "SpecValid")
            for part in NodeClassPart:
                failure = resolved.failure(part)
                if failure is None:
                    state(part, True, "Resolved")
                else:
                    state(part, False, failure.reason, failure.message)
        status = NodeClassStatus(
            conditions=tuple(conditions),
            observed_generation=generation,
            node_pool_count=pools,
            resolved_ami=resolved.image or None,
            resolved_subnets=tuple(ResolvedSubnet(id=subnet.id, zone=subnet.zone) for subnet in resolved.subnets),
            resolved_security_groups=tuple(
                ResolvedSecurityGroup(id=group.id, name=group.name) for group in resolved.security_groups
            ),
            resolved_instance_profile=resolved.instance_profile or None,
        )
        return status, is_condition_true(conditions, "Valid") and resolved.ready

    def _tell(self, kind: str, node_class: NodeClass, status: NodeClassStatus) -> None:
        """What has become wrong, and that all is well again."""
        api = NODE_CLASS_KINDS[kind]
        before = {condition.type: condition for condition in node_class.status.conditions}
        wrong = [each for each in status.conditions if each.status == "False" and each.type != _IN_USE]
        news = [each for each in wrong if _said(each) != _said(before.get(each.type))]
        invalid = [each for each in news if each.type == "Valid"]  # then nothing was looked up, and that says it all
        alike: dict[tuple[str, str], list[str]] = {}
        for condition in invalid or news:
            alike.setdefault((condition.reason, condition.message), []).append(condition.type)
        for (reason, message), types in alike.items():
            self._recorder.warning(api, node_class, reason, f"{', '.join(types)}: {message}")
        if not wrong and any(each.status == "False" for each in before.values() if each.type != _IN_USE):
            self._recorder.normal(api, node_class, "Resolved", "all of the class was found")


def _finalizers(node_class: NodeClass, *, in_use: bool) -> tuple[str, ...]:
    """A profile that was made for a role stays the class's own, whatever it says later."""
    made = isinstance(node_class, AWSNodeClass) and node_class.spec.role is not None
    keeps_profile = made or labels.INSTANCE_PROFILE_FINALIZER in node_class.metadata.finalizers
    wanted = {labels.CLASS_IN_USE_FINALIZER: in_use, labels.INSTANCE_PROFILE_FINALIZER: keeps_profile}
    return tuple(each for each, is_wanted in wanted.items() if is_wanted)


def _said(condition: Condition | None) -> tuple[str, str, str] | None:
    return (condition.status, condition.reason, condition.message) if condition else None


def _decides(node_class: NodeClass) -> tuple[Any, ...]:
    metadata = node_class.metadata
    return metadata.uid, metadata.generation, metadata.deletion_timestamp, metadata.finalizers


def _classes_of(event: CacheEvent[NodePool] | CacheEvent[NodeTemplate]) -> Iterable[str]:
    return {class_key(event.object): None} | ({class_key(event.old): None} if event.old else {})
