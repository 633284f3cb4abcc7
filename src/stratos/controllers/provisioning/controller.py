"""The loop: as soon as pods stop turning unschedulable, one plan for all of them, and its claims.

There is one key, so plans are made one after another, each with what the last one wrote. Claims that failed are let go
only after the template's status remembers why: a crash in between costs one more attempt, never an endless row of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis.event import Event
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import OVER_LIMIT, ClaimCondition, NodeClaim, Wanted
from stratos.apis.nodetemplate import NODE_TEMPLATE, BackedOff, NodeTemplate
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.errors import NotFound
from stratos.base.ids import IdSource
from stratos.controllers.provisioning.claims import ClaimWrites
from stratos.controllers.provisioning.look import Lookout, ServedByPools, asks_for_estimate
from stratos.controllers.provisioning.metrics import ProvisioningMetrics
from stratos.controllers.provisioning.templates import template_controller
from stratos.kube.backoff import Backoff
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.planning.interruptions.notices import PRESSING
from stratos.planning.pools.members import SETTLING
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.planning.provisioning.plan import PodEvent, ProvisioningPlan
from stratos.providers.contract import Provider
from stratos.snapshot.provisioning import ProvisioningSnapshot
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_ALL = "cluster"

PAUSE_SECONDS = 0.03
LONGEST_WAIT_SECONDS = 1.0
"""A plan waits until no pod has come for a pause, so that those who came together are packed together; never long."""

_ROUNDS_AT_ONCE = 4
_PATIENCE = Backoff(first_seconds=0.25, max_seconds=30.0)
"""The first offerings that fail cost no time; but where nothing is to be had, not all thousand are tried in a row."""

log = get_logger(__name__)


Planner = Callable[[ProvisioningSnapshot], Awaitable[ProvisioningPlan]]


async def plan_in_place(look: ProvisioningSnapshot) -> ProvisioningPlan:
    """While it plans nothing else happens, as suits virtual time."""
    return plan_provisioning(look)


async def plan_aside(look: ProvisioningSnapshot) -> ProvisioningPlan:
    """In a thread: a plan for many pods takes seconds, and starts of machines must not wait for it."""
    return await asyncio.to_thread(plan_provisioning, look)


@dataclass(frozen=True, slots=True)
class ProvisioningSettings:
    limits: ClusterLimits = field(default_factory=ClusterLimits)
    planner: Planner = plan_in_place


def provisioning_controller(
    manager: Manager,
    provider: Provider,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    ids: IdSource,
    registry: CollectorRegistry,
    served_by_pools: ServedByPools = lambda pods: (),
    settings: ProvisioningSettings | None = None,
    controller_metrics: ControllerMetrics | None = None,
) -> Controller:
    """Make the loop, and the one for templates, and add them to ``manager``. ``provider`` is asked for its catalog."""
    settings = settings or ProvisioningSettings()
    seen = Lookout(manager, provider, clock=clock, limits=settings.limits, served_by_pools=served_by_pools)
    metrics = ProvisioningMetrics(registry)
    writes = ClaimWrites(manager.client, seen.claims, ids)
    provisioning = _Provisioning(manager, seen, writes, recorder, settings.planner, clock=clock, metrics=metrics)
    controller = Controller(
        "provisioning", provisioning.reconcile, clock=clock, rng=rng, workers=1, metrics=controller_metrics
    )
    provisioning.connect(controller)
    manager.add(controller)
    template_controller(
        manager,
        provider,
        seen,
        writes,
        recorder,
        clock=clock,
        rng=rng,
        metrics=metrics,
        controller_metrics=controller_metrics,
    )
    return controller


class _Provisioning:
    def __init__(
        self,
        manager: Manager,
        seen: Lookout,
        writes: ClaimWrites,
        recorder: EventRecorder,
        planner: Planner,
        *,
        clock: Clock,
        metrics: ProvisioningMetrics,
    ) -> None:
        self._client = manager.client
        self._seen = seen
        self._writes = writes
        self._recorder = recorder
        self._planner = planner
        self._clock = clock
        self._metrics = metrics
        self._last_came_at = float("-inf")
        self._futile_rounds = 0  # plans in a row since anything was launched, each after offerings that failed

    # What brings it up

    def connect(self, controller: Controller) -> None:
        seen = self._seen

        def now() -> None:
            controller.enqueue(_ALL)

        def pod_changed(event: CacheEvent[Pod]) -> None:
            pod, old = event.object, event.old
            if event.change is Change.DELETED or not (pod.unschedulable or asks_for_estimate(pod)):
                return
            if old is None or not (old.unschedulable or asks_for_estimate(old)):
                self._last_came_at = self._clock.monotonic()
                now()
            elif _asks_for_other_things(pod, old):
                now()
            elif any(template.spec.pods.pending_reason_regexp for template in seen.templates):
                # It may wait for another reason now. Of a thousand pods that is news a thousand times.
                controller.enqueue(_ALL, LONGEST_WAIT_SECONDS)

        def claim_changed(event: CacheEvent[NodeClaim]) -> None:
            claim, old = event.object, event.old
            if not claim.spec.template:
                return
            if claim.spec.interruption is not None and (
                old is None or old.spec.interruption != claim.spec.interruption
            ):
                now()
            if _has_failed(claim):
                if old is None or not _has_failed(old):
                    more = self._futile_rounds - _ROUNDS_AT_ONCE
                    controller.enqueue(_ALL, _PATIENCE.seconds(more) if more > 0 else 0.0)
            elif event.change is Change.DELETED:
                controller.enqueue(_ALL, LONGEST_WAIT_SECONDS)
            elif _is_launched(claim) and (old is None or not _is_launched(old)):
                self._futile_rounds = 0
            elif claim.status.ready_at is not None and (old is None or old.status.ready_at != claim.status.ready_at):
                controller.enqueue(_ALL, SETTLING.total_seconds())  # what still waits then was not bound there

        def template_changed(event: CacheEvent[NodeTemplate]) -> None:
            if event.old is None or event.old.metadata.generation != event.object.metadata.generation:
                now()

        def event_changed(event: CacheEvent[Event]) -> None:
            if event.change is Change.DELETED:
                controller.enqueue(_ALL, LONGEST_WAIT_SECONDS)  # what it said may have to be said again

        seen.pods.subscribe(pod_changed)
        for told in seen.told:
            told.subscribe(event_changed)
        seen.claims.subscribe(claim_changed)
        seen.templates.subscribe(template_changed)
        for cache in seen.classes.values():
            cache.subscribe(lambda _: now())

    # One plan

    async def reconcile(self, _: str) -> Requeue | None:
        if not len(self._seen.templates):
            return None
        await self._wait_for_a_pause()
        started = self._clock.monotonic()
        look = self._seen.look()
        plan = await self._planner(look)
        self._futile_rounds += bool(plan.failed_claims)
        await self._carry_out(look, plan)
        self._metrics.planned(plan, self._clock.monotonic() - started)
        due = [*_settling(look), *_pressing(look), *([plan.look_again_at] if plan.look_again_at is not None else [])]
        if not due:
            return None
        return Requeue(max(LONGEST_WAIT_SECONDS, (min(due) - self._clock.now()).total_seconds()))

    async def _wait_for_a_pause(self) -> None:
        latest = self._clock.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            now = self._clock.monotonic()
            until = min(self._last_came_at + PAUSE_SECONDS, latest)
            if now >= until:
                return
            await asyncio.sleep(until - now)

    async def _carry_out(self, look: ProvisioningSnapshot, plan: ProvisioningPlan) -> None:
        templates = {template.metadata.name: template for template in look.templates}
        await self._remember(templates, plan.backed_off)
        await _all(
            *(self._let_go(name, look.taken_at) for name in plan.failed_claims),
            *(self._writes.ask_for(templates[new.template], new) for new in plan.machines),
        )
        await _all(*(self._writes.answer(name, look.taken_at) for name in look.interrupted))
        for event in plan.events:
            self._tell(event)

    async def _remember(
        self, templates: Mapping[str, NodeTemplate], backed_off: Mapping[str, tuple[BackedOff, ...]]
    ) -> None:
        for name, held in sorted(backed_off.items()):
            if name not in templates or templates[name].status.backed_off == held:
                continue
            patch = {"status": {"backedOff": msgspec.to_builtins(held)}}
            try:
                written = await self._client.patch(NODE_TEMPLATE, name, patch, subresource="status")
            except NotFound:
                continue
            self._seen.templates.observe(written)

    async def _let_go(self, name: str, now: datetime) -> None:
        claim = self._seen.claims.get(name)
        if claim is None or claim.spec.wanted is Wanted.GONE:
            return
        failed = find_condition(claim.status.conditions, ClaimCondition.LAUNCHED)
        if failed is not None and failed.reason == OVER_LIMIT:
            await self._writes.let_go(claim, OVER_LIMIT, failed.message, now)
            return
        why = failed.message if failed is not None else "it cannot be had"
        await self._writes.let_go(claim, "OfferingFailed", f"another offering is tried: {why}", now)

    def _tell(self, event: PodEvent) -> None:
        pod = self._seen.pods.get(event.pod)
        if pod is not None:
            tell = self._recorder.warning if event.warning else self._recorder.normal
            tell(POD, pod, event.reason, event.message)
            self._seen.say(event.pod, event.reason, event.message)


def _settling(look: ProvisioningSnapshot) -> list[datetime]:
    """When the pods that wait for machines which have just become ready are looked after again."""
    if not look.waiting:
        return []
    ready = (claim.status.ready_at for claim in look.claims)
    return [moment + SETTLING for moment in ready if moment is not None and moment + SETTLING > look.taken_at]


def _pressing(look: ProvisioningSnapshot) -> list[datetime]:
    """When the pods of machines that are to go down later are counted among those that wait."""
    deadlines = (claim.spec.interruption.deadline for claim in look.claims if claim.spec.interruption is not None)
    return [moment - PRESSING for moment in deadlines if moment is not None and moment - PRESSING > look.taken_at]


def _is_launched(claim: NodeClaim) -> bool:
    return is_condition_true(claim.status.conditions, ClaimCondition.LAUNCHED)


def _asks_for_other_things(pod: Pod, old: Pod) -> bool:
    """Whether somebody mended it: its annotations say which machines will do, its labels which template."""
    new, before = pod.metadata, old.metadata
    return (new.annotations, new.labels, pod.spec) != (before.annotations, before.labels, old.spec)


def _has_failed(claim: NodeClaim) -> bool:
    return any(
        condition.status == "False" and condition.type in (ClaimCondition.LAUNCHED, ClaimCondition.WARMED_UP)
        for condition in claim.status.conditions
    )


async def _all(*writes: Coroutine[Any, Any, None]) -> None:
    """Do all of them at once, then raise the first error: one that fails does not hold up the others."""
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
