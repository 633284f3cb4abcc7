"""The loop, and the feed before it.

The feed hears what the cloud says and notes it in the claim of the machine: one write, after which nothing can be lost.
What hosts hear themselves they write on their nodes, and it is noted alike; the same news twice is one note. Whoever
looks after the claim's pool or template then asks for machines for its pods, and notes that as the answer. From then on
`planning.interruptions` says when its pods leave. Evicting them is `controllers.machines`' part, and for machines that
depart with care `controllers.disruption`'s.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.meta import find_condition
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import (
    ENDED_OUTSIDE,
    NODE_CLAIM,
    ClaimCondition,
    ClaimInterruption,
    Decision,
    Departure,
    InterruptionKind,
    NodeClaim,
    Wanted,
)
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, StratosError
from stratos.base.words import counted
from stratos.controllers.interruptions.metrics import InterruptionMetrics
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.planning.interruptions import plan_interruption
from stratos.planning.interruptions.moving import pods_to_move
from stratos.planning.interruptions.notices import is_news, read_notice
from stratos.planning.interruptions.plan import INTERRUPTION, Depart, Leave, message_of
from stratos.providers.contract import Interruption, Provider
from stratos.snapshot.interruption import InterruptionSnapshot
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_BY_MACHINE = "machine"
_BY_PROVIDER_ID = "providerID"
_BY_NODE = "nodeName"
_INTERRUPTED = "interrupted"
_RETRY_SECONDS = 1.0

log = get_logger(__name__)


def interruption_controller(
    manager: Manager,
    provider: Provider,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    registry: CollectorRegistry,
    look_at_once: Callable[[str], None] = lambda claim: None,
    controller_metrics: ControllerMetrics | None = None,
) -> None:
    """Make both and add them to ``manager``. ``look_at_once`` is told of claims whose machines have changed."""
    interruptions = _Interruptions(manager, recorder, clock=clock, metrics=InterruptionMetrics(registry))
    controller = Controller("interruptions", interruptions.reconcile, clock=clock, rng=rng, metrics=controller_metrics)
    interruptions.connect(controller)
    manager.add(controller, _Feed(provider, interruptions, look_at_once))


class _Feed:
    """Asks for the next notice when the last is noted: a queue in the cloud lets go of it only then."""

    name = "interruption notices"

    def __init__(self, provider: Provider, interruptions: _Interruptions, look_at_once: Callable[[str], None]) -> None:
        self._provider = provider
        self._interruptions = interruptions
        self._look_at_once = look_at_once

    async def run(self) -> None:
        async for notice in self._provider.interruptions():
            claim = self._interruptions.claim_of(notice.machine_id)
            if claim is None:
                log.debug("a notice about a machine that is not ours", machine=notice.machine_id, kind=notice.kind)
            elif notice.kind is InterruptionKind.STATE_CHANGE:
                self._look_at_once(claim.metadata.name)
            else:
                await self._note(notice)

    async def _note(self, notice: Interruption) -> None:
        while (claim := self._interruptions.claim_of(notice.machine_id)) is not None:
            try:
                await self._interruptions.note(claim, notice.kind, notice.noticed_at, notice.deadline)
            except StratosError as error:
                log.warning("a notice could not be noted yet", machine=notice.machine_id, reason=error.message)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return


class _Interruptions:
    def __init__(
        self, manager: Manager, recorder: EventRecorder, *, clock: Clock, metrics: InterruptionMetrics
    ) -> None:
        self._client = manager.client
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics
        self._noting = asyncio.Lock()  # two sources may tell the same at once
        self._claims: Cache[NodeClaim] = manager.cache(
            NODE_CLAIM,
            indexes={
                _BY_MACHINE: lambda claim: _unless_empty(claim.status.instance_id),
                _BY_PROVIDER_ID: lambda claim: _unless_empty(claim.status.provider_id),
                _INTERRUPTED: lambda claim: (_INTERRUPTED,) if claim.spec.interruption is not None else (),
            },
        )
        self._nodes = manager.cache(NODE, indexes={_BY_PROVIDER_ID: lambda node: _unless_empty(node.spec.provider_id)})
        self._pods = manager.cache(POD, indexes={_BY_NODE: lambda pod: _unless_empty(pod.spec.node_name)})
        self._pools = manager.cache(NODE_POOL)
        self._templates = manager.cache(NODE_TEMPLATE)

    def connect(self, controller: Controller) -> None:
        def claim_changed(event: CacheEvent[NodeClaim]) -> None:
            self._count_what_was_not_told(event)
            for claim in self._claims.by_index(_INTERRUPTED, _INTERRUPTED):
                controller.enqueue(claim.metadata.name)  # a machine that comes for its pods may be ready

        def node_changed(event: CacheEvent[Node]) -> None:
            told = event.object.metadata.annotations.get(labels.INTERRUPTION)
            if told and (event.old is None or event.old.metadata.annotations.get(labels.INTERRUPTION) != told):
                for claim in self._claims.by_index(_BY_PROVIDER_ID, event.object.spec.provider_id or "-"):
                    controller.enqueue(claim.metadata.name)

        self._claims.subscribe(claim_changed)
        self._nodes.subscribe(node_changed)

    def claim_of(self, machine_id: str) -> NodeClaim | None:
        return next(iter(self._claims.by_index(_BY_MACHINE, machine_id)), None)

    # Noting

    async def note(
        self, claim: NodeClaim, kind: InterruptionKind, noticed_at: datetime, deadline: datetime | None
    ) -> None:
        """Write it into the claim, unless it is known, or concerns a machine that is not to serve.

        A spot machine that is being drained already has less time for that than it thought.
        """
        async with self._noting:
            claim = self._claims.get(claim.metadata.name) or claim
            concerned = claim.wish is Wanted.RUNNING or kind is InterruptionKind.SPOT_INTERRUPTION
            if not concerned or not is_news(claim.spec.interruption, kind, deadline):
                return
            interruption = ClaimInterruption(kind=kind, noticed_at=noticed_at, deadline=deadline)
            # All fields: what an earlier notice has left of them must not stay.
            fields = {"answeredAt": None, "deadline": None, **msgspec.to_builtins(interruption)}
            if not await self._patch(claim, {"interruption": fields}):
                return
        pods = pods_to_move(self._claims.get(claim.metadata.name) or claim, self._pods_of(claim), self._clock.now())
        if kind is InterruptionKind.SPOT_INTERRUPTION:
            self._metrics.interrupted(claim, with_pods=bool(pods))
        moving = f"; {counted(len(pods), 'pod')} to move" if pods else ""
        self._warn(claim, kind, f"{_name(claim)}: {message_of(interruption)}{moving}")

    def _count_what_was_not_told(self, event: CacheEvent[NodeClaim]) -> None:
        """A spot machine that was found gone: `controllers.machines` tells of it."""
        claim, old = event.object, event.old
        if old is None or not claim.is_spot or claim.spec.interruption is not None:
            return
        if _was_ended_outside(claim) and not _was_ended_outside(old):
            self._metrics.interrupted(claim, with_pods=bool(self._pods_of(claim)))

    def _warn(self, claim: NodeClaim, kind: InterruptionKind, message: str) -> None:
        if (pool := self._pools.get(claim.spec.pool)) is not None:
            self._recorder.warning(NODE_POOL, pool, kind, message)
        elif (template := self._templates.get(claim.spec.template)) is not None:
            self._recorder.warning(NODE_TEMPLATE, template, kind, message)

    # One claim

    async def reconcile(self, key: str) -> Requeue | None:
        claim = self._claims.get(key)
        if claim is None:
            return None
        node = self._node_of(claim)
        told = read_notice(node.metadata.annotations.get(labels.INTERRUPTION, "")) if node is not None else None
        if told is not None:
            await self.note(claim, told.kind, self._clock.now(), told.deadline)
            claim = self._claims.get(key) or claim
        look = self._look(claim)
        plan = plan_interruption(look)
        match plan.step:
            case Leave(message):
                decision = Decision(reason=INTERRUPTION, message=message, at=look.taken_at)
                await self._patch(claim, {"wanted": Wanted.GONE, "decision": msgspec.to_builtins(decision)})
            case Depart(message, pods, then):
                departure = Departure(reason=INTERRUPTION, message=message, at=look.taken_at, pods=pods, then=then)
                await self._patch(claim, {"departure": msgspec.to_builtins(departure)})
        if plan.look_again_at is None:
            return None
        return Requeue(max(0.0, (plan.look_again_at - look.taken_at).total_seconds()))

    def _look(self, claim: NodeClaim) -> InterruptionSnapshot:
        pods = self._pods_of(claim)
        keys = {pod.metadata.key for pod in pods}
        return InterruptionSnapshot(
            taken_at=self._clock.now(),
            claim=claim,
            pods=pods,
            made_for_them=tuple(
                other
                for other in self._claims
                if other.metadata.name != claim.metadata.name
                and other.spec.decision is not None
                and not keys.isdisjoint(other.spec.decision.pods)
            ),
        )

    def _node_of(self, claim: NodeClaim) -> Node | None:
        return next(iter(self._nodes.by_index(_BY_PROVIDER_ID, claim.status.provider_id or "-")), None)

    def _pods_of(self, claim: NodeClaim) -> tuple[Pod, ...]:
        return self._pods.by_index(_BY_NODE, claim.status.node_name) if claim.status.node_name else ()

    async def _patch(self, claim: NodeClaim, spec: dict[str, Any]) -> bool:
        try:
            self._claims.observe(await self._client.patch(NODE_CLAIM, claim.metadata.name, {"spec": spec}))
        except NotFound:
            log.debug("claim was gone already", claim=claim.metadata.name)
            return False
        return True


def _was_ended_outside(claim: NodeClaim) -> bool:
    ended = find_condition(claim.status.conditions, ClaimCondition.ENDED)
    return ended is not None and ended.status == "True" and ended.reason == ENDED_OUTSIDE


def _name(claim: NodeClaim) -> str:
    return claim.status.node_name or claim.metadata.name


def _unless_empty(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
