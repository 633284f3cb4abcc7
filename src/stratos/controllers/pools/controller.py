"""The loop: one pool at a time, at once when a pod waits or a machine changes, otherwise in the pool's interval."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClassSpec
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodeclasses import NodeClass, class_of_pool
from stratos.apis.nodepool import NODE_POOL, NodePool, NodePoolStatus
from stratos.apis.pod import Pod
from stratos.base.clock import Clock
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid, NotFound, StratosError
from stratos.base.ids import IdSource
from stratos.controllers.pools.claims import ClaimWrites, owned_by
from stratos.controllers.pools.look import Lookout
from stratos.controllers.pools.metrics import PoolMetrics
from stratos.controllers.pools.setbacks import Setbacks
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.codec import merge_patch
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.planning.pools.members import PoolEvent, PoolPlan, is_under_way
from stratos.planning.pools.offers import pool_named_by
from stratos.planning.pools.pool import plan_pool
from stratos.providers.contract import Provider
from stratos.snapshot.pool import ClassProblem
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_TOLD_MAX = 10_000
GATHER_SECONDS = 0.1  # for news of machines, which come in hundreds; pods that wait are planned for at once
_INVALID_RETRY_SECONDS = 60.0

log = get_logger(__name__)


def pool_controller(
    manager: Manager,
    provider: Provider,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    ids: IdSource,
    registry: CollectorRegistry,
    controller_metrics: ControllerMetrics | None = None,
) -> Controller:
    """Make the loop and add it to ``manager``. Of ``provider`` it uses the catalog, never the cloud."""
    pools = _Pools(manager, provider, recorder, clock=clock, ids=ids, metrics=PoolMetrics(registry))
    controller = Controller("pools", pools.reconcile, clock=clock, rng=rng, metrics=controller_metrics)
    pools.connect(controller)
    manager.add(controller)
    return controller


class _Pools:
    def __init__(
        self,
        manager: Manager,
        provider: Provider,
        recorder: EventRecorder,
        *,
        clock: Clock,
        ids: IdSource,
        metrics: PoolMetrics,
    ) -> None:
        self._client = manager.client
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self._setbacks = Setbacks()
        self._seen = Lookout(manager, provider, clock=clock, rests_until=self._setbacks.rests_until)
        self._seen.claims.subscribe(self._setbacks.saw)
        self._writes = ClaimWrites(manager.client, self._seen.claims, ids)
        self._shown: set[str] = set()  # pools with numbers in the metrics
        self._told: dict[str, None] = {}

    # What brings a pool up

    def connect(self, controller: Controller) -> None:
        seen, enqueue = self._seen, controller.enqueue

        def pool_changed(event: CacheEvent[NodePool]) -> None:
            if event.old is None or event.change is Change.DELETED or _decides(event.old) != _decides(event.object):
                enqueue(event.key)
            elif event.old.status.pod_assignments != event.object.status.pod_assignments:
                for other in seen.pools:
                    if other.metadata.name != event.key:  # what one pool promises, no other has to serve
                        enqueue(other.metadata.name)

        def pod_changed(event: CacheEvent[Pod]) -> None:
            before = event.old
            after = None if event.change is Change.DELETED else event.object
            for pod in (before, after):
                if pod is not None and pod.unschedulable:
                    name = pool_named_by(pod)
                    for pool in (name,) if name else [each.metadata.name for each in seen.pools]:
                        enqueue(pool)
            for node in (_occupied(before), _occupied(after)) if _occupied(before) != _occupied(after) else ():
                for claim in seen.claims_on(node):
                    if claim.spec.pool:
                        enqueue(claim.spec.pool)

        def watch_class(kind: str, cache: Cache[NodeClass]) -> None:
            def changed(event: CacheEvent[NodeClass]) -> None:
                for pool in seen.pools:
                    ref = class_of_pool(pool)
                    if (ref.kind, ref.name) == (kind, event.key):
                        enqueue(pool.metadata.name)

            cache.subscribe(changed)

        def claim_changed(event: CacheEvent[NodeClaim]) -> None:
            if event.object.spec.pool:
                enqueue(event.object.spec.pool, GATHER_SECONDS)

        seen.claims.subscribe(claim_changed)
        seen.pools.subscribe(pool_changed)
        seen.pods.subscribe(pod_changed)
        for kind, cache in seen.classes.items():
            watch_class(kind, cache)

    # One pool

    async def reconcile(self, key: str) -> Requeue | None:
        pool = self._seen.pools.get(key)
        if pool is None:
            self._forget(key)
            return None
        started = self._clock.monotonic()
        try:
            plan = await self._look_after(pool)
        except StratosError as error:
            self._metrics.errors.labels(key, type(error).__name__).inc()
            raise
        finally:
            self._metrics.seconds.labels(key).observe(self._clock.monotonic() - started)
        return None if plan.look_again_seconds is None else Requeue(plan.look_again_seconds)

    async def _look_after(self, pool: NodePool) -> PoolPlan:
        pool = await self._take_charge(pool)
        problem = await self._make_inline_class(pool)
        look = self._seen.look(pool)
        if problem is not None:
            look = replace(look, problem=problem)
        plan = plan_pool(look, self._seen.compile_pod)
        await _all(
            *(self._writes.wish(wish) for wish in plan.wishes),
            *(self._writes.ask_for(pool, new) for new in plan.launches),
            *(self._writes.mark(mark) for mark in plan.marks),
        )
        # Only once machines have been asked for: what is written now lets pods move.
        await _all(
            *(self._writes.answer(name, look.taken_at) for name in plan.answers),
            *(self._writes.depart(departing) for departing in plan.departures),
            *(self._writes.note(note) for note in plan.notes),
        )
        for event in plan.events:
            self._tell(pool, event)
        await self._report(pool, plan.status)
        starting = sum(is_under_way(machine, look.taken_at) for machine in look.machines)
        self._metrics.show(pool, plan.status, starting)
        self._metrics.replaced_by_spot(pool, plan.replacements_lasted_seconds)
        self._shown.add(pool.metadata.name)
        if plan.release:
            await self._let_go(pool)
        return plan

    async def _take_charge(self, pool: NodePool) -> NodePool:
        """Hold the pool back from deletion until its machines are gone."""
        metadata = pool.metadata
        if metadata.deletion_timestamp is not None or labels.POOL_FINALIZER in metadata.finalizers:
            return pool
        finalizers = [*metadata.finalizers, labels.POOL_FINALIZER]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata.resource_version}}
        pool = await self._client.patch(NODE_POOL, metadata.name, patch)
        self._seen.pools.observe(pool)
        self._tell(pool, PoolEvent("Created", "the pool is looked after", once=f"{metadata.uid}/created"))
        return pool

    async def _let_go(self, pool: NodePool) -> None:
        left = [finalizer for finalizer in pool.metadata.finalizers if finalizer != labels.POOL_FINALIZER]
        try:
            await self._client.patch(NODE_POOL, pool.metadata.name, {"metadata": {"finalizers": left}})
        except NotFound:
            log.debug("pool was gone already", pool=pool.metadata.name)

    async def _make_inline_class(self, pool: NodePool) -> ClassProblem | None:
        """G0: pools with the cloud's settings inline get a class of their own name made from them."""
        inline = pool.spec.template.aws
        if inline is None or pool.metadata.deletion_timestamp is not None:
            return None
        known = self._seen.classes[AWS_NODE_CLASS.kind].get(pool.metadata.name)
        try:
            if known is not None and known.spec == msgspec.convert(inline, AWSNodeClassSpec):
                return None
            metadata = {"name": pool.metadata.name, "ownerReferences": [owned_by(pool)]}
            await self._client.apply(
                AWS_NODE_CLASS, {"metadata": metadata, "spec": inline}, field_manager="stratos-pools", force=True
            )
        except (msgspec.ValidationError, Invalid) as error:
            message = f"spec.template.aws is no AWSNodeClass: {error}"
            return ClassProblem("ValidationFailed", message, _INVALID_RETRY_SECONDS)
        return None

    # Telling

    async def _report(self, pool: NodePool, status: NodePoolStatus) -> None:
        """Write the status when it says something new, or when the last one has grown old."""
        before = pool.status
        interval = timedelta(seconds=parse_duration_seconds(pool.spec.reconciliation_interval))
        old = before.last_reconcile_time is None or self._clock.now() >= before.last_reconcile_time + interval
        if not old and _without_time(before) == _without_time(status):
            return
        patch = {"status": merge_patch(before, status)}
        try:
            written = await self._client.patch(NODE_POOL, pool.metadata.name, patch, subresource="status")
        except NotFound:
            return
        self._seen.pools.observe(written)

    def _tell(self, pool: NodePool, event: PoolEvent) -> None:
        if event.once:
            if event.once in self._told:
                return
            if len(self._told) >= _TOLD_MAX:
                self._told.clear()
            self._told[event.once] = None
        tell = self._recorder.warning if event.warning else self._recorder.normal
        tell(NODE_POOL, pool, event.reason, event.message)

    def _forget(self, pool: str) -> None:
        self._setbacks.forget(pool)
        self._writes.forget(pool)
        if pool in self._shown:
            self._shown.discard(pool)
            self._metrics.forget(pool)


def _without_time(status: NodePoolStatus) -> NodePoolStatus:
    """The status without when it was made."""
    return msgspec.structs.replace(status, last_reconcile_time=None)


def _decides(pool: NodePool) -> tuple[Any, ...]:
    """What of a pool brings it up when it changes; its own status does not."""
    return pool.metadata.generation, pool.metadata.deletion_timestamp, pool.metadata.uid


def _occupied(pod: Pod | None) -> str:
    """The node that the pod keeps from being empty."""
    return "" if pod is None or pod.finished else pod.spec.node_name


async def _all(*writes: Coroutine[Any, Any, None]) -> None:
    """Do all of them at once, then raise the first error: one that fails does not hold up the others."""
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
