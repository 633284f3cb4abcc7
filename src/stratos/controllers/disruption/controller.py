"""The loop: one look at all templates' machines, one plan, and the next step of what is under way.

There is one key, so plans are made one after another, each with what the last one wrote. A step at a time is taken of
each departure; the next follows from what is then to be seen, so that a crash anywhere is just another look.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.apis.pod import Pod
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, StratosError
from stratos.base.ids import IdSource
from stratos.base.words import counted
from stratos.controllers.disruption.look import Lookout, World
from stratos.controllers.disruption.metrics import DisruptionMetrics
from stratos.controllers.disruption.writes import DisruptionWrites
from stratos.kube.cache import CacheEvent
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.planning.disruption import plan_disruption
from stratos.planning.disruption.evacuation import (
    Close,
    EndSurge,
    EvacuationPlan,
    EvacuationStep,
    Evict,
    Finish,
    GiveUp,
    StartSurge,
    plan_evacuation,
)
from stratos.planning.disruption.plan import Blocked, Disruption, DisruptionPlan
from stratos.planning.disruption.room import Compile
from stratos.snapshot.disruption import DisruptionSnapshot
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_ALL = "cluster"
GATHER_SECONDS = 2.0  # what happens together is looked at together: nobody waits for a machine to go
LOOK_AGAIN_SECONDS = 60.0  # prices change, and no object tells of it

log = get_logger(__name__)


Planner = Callable[[DisruptionSnapshot, Compile], Awaitable[DisruptionPlan]]


async def plan_in_place(look: DisruptionSnapshot, compile_pod: Compile) -> DisruptionPlan:
    """While it plans nothing else happens, as suits virtual time."""
    return plan_disruption(look, compile_pod)


async def plan_aside(look: DisruptionSnapshot, compile_pod: Compile) -> DisruptionPlan:
    """In a thread: a plan for many machines takes its time, and starts of others must not wait for it."""
    return await asyncio.to_thread(plan_disruption, look, compile_pod)


@dataclass(frozen=True, slots=True)
class DisruptionSettings:
    planner: Planner = plan_in_place


def disruption_controller(
    manager: Manager,
    world: World,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    ids: IdSource,
    registry: CollectorRegistry,
    settings: DisruptionSettings | None = None,
    controller_metrics: ControllerMetrics | None = None,
) -> Controller:
    """Make the loop and add it to ``manager``. ``world`` takes the snapshot that provisioning plans from."""
    disruption = _Disruption(
        manager,
        world,
        recorder,
        clock=clock,
        ids=ids,
        metrics=DisruptionMetrics(registry),
        planner=(settings or DisruptionSettings()).planner,
    )
    controller = Controller(
        "disruption", disruption.reconcile, clock=clock, rng=rng, workers=1, metrics=controller_metrics
    )
    disruption.connect(controller)
    manager.add(controller)
    return controller


class _Disruption:
    def __init__(
        self,
        manager: Manager,
        world: World,
        recorder: EventRecorder,
        *,
        clock: Clock,
        ids: IdSource,
        metrics: DisruptionMetrics,
        planner: Planner,
    ) -> None:
        self._plan = planner
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self._seen = Lookout(manager, world)
        self._templates = manager.cache(NODE_TEMPLATE)
        self._claims = manager.cache(NODE_CLAIM)
        self._nodes = manager.cache(NODE)
        self._writes = DisruptionWrites(manager.client, self._seen, self._claims, self._nodes, ids)

    def connect(self, controller: Controller) -> None:
        def soon(_: object) -> None:
            controller.enqueue(_ALL, GATHER_SECONDS)

        def pod_changed(event: CacheEvent[Pod]) -> None:
            if event.object.spec.node_name or event.old is None:
                soon(event)

        def claim_changed(event: CacheEvent[NodeClaim]) -> None:
            claim, old = event.object, event.old
            if claim.spec.template or claim.spec.departure or (old is not None and old.spec.departure):
                soon(event)
            elif any(claim.metadata.name in awaited for awaited in self._awaited_by_pools()):
                soon(event)  # it may be ready now

        def settings_changed(event: CacheEvent[NodeTemplate]) -> None:
            if event.old is None or event.old.metadata.generation != event.object.metadata.generation:
                soon(event)

        self._seen.pods.subscribe(pod_changed)
        self._claims.subscribe(claim_changed)
        self._templates.subscribe(settings_changed)
        self._seen.deployments.subscribe(soon)
        self._seen.stateful_sets.subscribe(soon)
        self._seen.budgets.subscribe(soon)

    async def reconcile(self, _: str) -> Requeue | None:
        have_templates = any(claim.spec.template for claim in self._claims)
        if not have_templates and not self._pools_need_us():
            return None  # nothing could go; the first claim brings this up
        await self._writes.forget_overtaken_surges()
        evacuation = plan_evacuation(self._seen.look())
        for step in evacuation.steps:
            await self._take(step)
        if not have_templates:
            return Requeue(self._seconds_to_next(DisruptionPlan(), evacuation))
        look = self._seen.look()
        plan = await self._plan(look, self._seen.compile_for(look))
        for mark in plan.marks:
            await self._writes.mark(mark)
        for disruption in plan.disruptions:
            await self._begin(disruption, look.world.taken_at)
        for each in plan.blocked:
            self._tell_blocked(each)
        self._metrics.planned(plan)
        return Requeue(self._seconds_to_next(plan, evacuation))

    def _pools_need_us(self) -> bool:
        """Whether a machine of a pool is to leave service, or has left a workload with more pods than it asked for."""
        owners = (*self._seen.deployments, *self._seen.replica_sets)
        return any(self._awaited_by_pools()) or any(labels.SURGE in owner.metadata.annotations for owner in owners)

    def _awaited_by_pools(self) -> Iterator[tuple[str, ...]]:
        """For each machine of a pool that is to leave service, itself and those that it waits for."""
        for claim in self._claims:
            if claim.spec.pool and claim.spec.departure is not None:
                yield (claim.metadata.name, *claim.spec.departure.replacements)

    def _seconds_to_next(self, plan: DisruptionPlan, evacuation: EvacuationPlan) -> float:
        if any(isinstance(step, Close) for step in evacuation.steps):
            return GATHER_SECONDS  # nobody else tells that a node was closed, and its pods are next
        now = self._clock.now()
        due = [now + timedelta(seconds=LOOK_AGAIN_SECONDS)]
        due += [moment for moment in (plan.look_again_at, evacuation.look_again_at) if moment is not None]
        return max(GATHER_SECONDS, (min(due) - now).total_seconds())

    async def _begin(self, disruption: Disruption, now: datetime) -> None:
        claim = self._claims.get(disruption.claims[0])
        template = self._templates.get(claim.spec.template) if claim is not None else None
        if template is None:
            return
        await self._writes.begin(disruption, template, now)
        self._metrics.begin(disruption)
        names = ", ".join(self._node_name(name) for name in disruption.claims)
        parts = [f"{names}: {disruption.message}"]
        if disruption.pods:
            parts.append(f"{counted(len(disruption.pods), 'pod')} to move")
        if disruption.machines:
            parts.append(f"{counted(len(disruption.machines), 'machine')} to get first")
        before, after = disruption.cost_before_usd_per_hour, disruption.cost_after_usd_per_hour
        message = "; ".join([*parts, f"${before:.4f}/h becomes ${after:.4f}/h"])
        self._recorder.normal(NODE_TEMPLATE, template, disruption.reason, message)

    async def _take(self, step: EvacuationStep) -> None:
        """One that fails does not hold up the others: it is planned again."""
        try:
            match step:
                case Close(_, node):
                    await self._writes.close(node)
                case StartSurge(controller, pods):
                    await self._writes.start_surge(controller, pods)
                case EndSurge(controller):
                    await self._writes.end_surge(controller)
                case Evict(pod):
                    await self._writes.evict(pod)
                case Finish(claim):
                    await self._writes.finish(claim, self._clock.now())
                case GiveUp(claim, message, not_before, pods):
                    self._tell_given_up(claim, message)
                    await self._writes.give_up(claim, pods, not_before)
        except Conflict as error:
            log.debug("a step must be planned anew", reason=error.message)
        except StratosError as error:
            log.warning("a step failed", reason=error.message, step=type(step).__name__)

    def _tell_given_up(self, name: str, message: str) -> None:
        claim = self._claims.get(name)
        if claim is not None and claim.spec.departure is not None:
            self._metrics.given_up.labels(claim.spec.departure.reason).inc()
            self._tell_of_node(claim, "DisruptionGivenUp", f"the node stays: {message}", warning=True)

    def _tell_blocked(self, blocked: Blocked) -> None:
        claim = self._claims.get(blocked.claim)
        if claim is not None and blocked.by != "budget":  # of its template: that is how it is meant
            self._tell_of_node(claim, "DisruptionBlocked", f"{blocked.reason}: {blocked.message}", warning=False)

    def _tell_of_node(self, claim: NodeClaim, reason: str, message: str, *, warning: bool) -> None:
        node = self._nodes.get(claim.status.node_name)
        tell = self._recorder.warning if warning else self._recorder.normal
        if node is not None:
            tell(NODE, node, reason, message)
        else:
            tell(NODE_CLAIM, claim, reason, message)

    def _node_name(self, claim: str) -> str:
        found = self._claims.get(claim)
        return (found.status.node_name if found is not None else "") or claim
