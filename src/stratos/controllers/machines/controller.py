"""The loop: one worker a claim looks, asks `planning.pools.machine` for the next steps, and takes them.

Each step can be repeated, and the plan puts them in an order that a crash may cut anywhere. After every write of its
own the loop puts the server's answer into the cache, so that it never acts twice on a state it has just changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.daemonset import DAEMON_SET, DaemonSet
from stratos.apis.meta import KubeObject, with_condition
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, ClaimCondition, NodeClaim, NodeClaimStatus, NodeState
from stratos.apis.nodeclasses import NODE_CLASS_KINDS
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.base.clock import Clock
from stratos.base.errors import (
    InsufficientCapacity,
    NotFound,
    NotReady,
    QuotaExceeded,
    StratosError,
    Throttled,
    Unavailable,
)
from stratos.controllers.machines.launching import ClassBook, launch_request, turns_itself_off
from stratos.controllers.machines.metrics import MachineMetrics
from stratos.controllers.machines.sightings import Sightings
from stratos.controllers.machines.workloads import Workloads
from stratos.kube.backoff import Backoff
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.controller import Controller, Manager, Requeue, Runnable
from stratos.kube.recorder import EventRecorder
from stratos.planning.pools import machine as steps
from stratos.planning.pools.images import images_of_workloads
from stratos.planning.pools.lifecycle import step_through
from stratos.planning.pools.machine import MachinePlan, plan_machine, wake_refused
from stratos.planning.pools.nodes import NodeShape, same_taints
from stratos.providers.contract import Machine, MachineGone, MachineState, Provider
from stratos.snapshot.machine import MachineSnapshot
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

_BY_PROVIDER_ID = "providerID"
_BY_NODE = "nodeName"
_BY_POOL = "pool"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MachineSettings:
    cluster_name: str
    poll_seconds: float = 2.0  # how often machines between two states are looked at
    survey_seconds: float = 60.0  # how often all are
    workers: int = 64  # each may wait for the cloud


def machine_controller(
    manager: Manager,
    provider: Provider,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    settings: MachineSettings,
    registry: CollectorRegistry,
    controller_metrics: ControllerMetrics | None = None,
) -> tuple[Runnable, ...]:
    """Make the loop and add it to ``manager``."""
    machines = _Machines(
        manager,
        provider,
        recorder,
        clock=clock,
        rng=rng,
        settings=settings,
        registry=registry,
        metrics=controller_metrics,
    )
    runnables: tuple[Runnable, ...] = (machines.sightings, machines.controller)
    manager.add(*runnables)
    return runnables


class _PlanOverturned(Exception):
    """A step found the world other than planned: what follows it in the plan is void. Look again."""


class _Machines:
    def __init__(
        self,
        manager: Manager,
        provider: Provider,
        recorder: EventRecorder,
        *,
        clock: Clock,
        rng: random.Random,
        settings: MachineSettings,
        registry: CollectorRegistry,
        metrics: ControllerMetrics | None,
    ) -> None:
        self._client = manager.client
        self._provider = provider
        self._recorder = recorder
        self._clock = clock
        self._settings = settings
        self._metrics = MachineMetrics(registry)
        self._claims: Cache[NodeClaim] = manager.cache(
            NODE_CLAIM,
            indexes={
                _BY_POOL: lambda claim: (claim.spec.pool,),
                _BY_PROVIDER_ID: lambda claim: _unless_empty(claim.status.provider_id),
                _BY_NODE: lambda claim: _unless_empty(claim.status.node_name),
            },
        )
        self._pools = manager.cache(NODE_POOL)
        self._nodes = manager.cache(NODE, indexes={_BY_PROVIDER_ID: lambda node: _unless_empty(node.spec.provider_id)})
        self._pods = manager.cache(POD, indexes={_BY_NODE: lambda pod: _unless_empty(pod.spec.node_name)})
        self._budgets = manager.cache(POD_DISRUPTION_BUDGET)
        self._daemon_sets = manager.cache(DAEMON_SET)
        self._workloads = Workloads(manager)
        self._classes: dict[str, Cache[KubeObject]] = {
            name: manager.cache(kind) for name, kind in NODE_CLASS_KINDS.items()
        }
        self._book = ClassBook(provider, self._classes, clock=clock)
        self.controller = Controller(
            "machines",
            self.reconcile,
            clock=clock,
            rng=rng,
            workers=settings.workers,
            backoff=Backoff(first_seconds=0.5, max_seconds=120.0),
            metrics=metrics,
        )
        self.sightings = Sightings(
            provider,
            self._claims,
            clock=clock,
            poll_seconds=settings.poll_seconds,
            survey_seconds=settings.survey_seconds,
            changed=self.controller.enqueue,
        )
        self._watch()

    def _watch(self) -> None:
        """Let every change that could matter to a machine bring up its claim."""
        self.controller.watch(self._claims)
        self.controller.watch(self._nodes, self._claims_of_node)
        self.controller.watch(self._pods, self._claims_of_pod)
        self.controller.watch(self._daemon_sets, self._claims_of_daemon_set)
        for cache in self._classes.values():
            self.controller.watch(cache, self._claims_to_launch)
        self._pools.subscribe(self._pool_changed)

    def _pool_changed(self, event: CacheEvent[NodePool]) -> None:
        """What pools report of themselves changes nothing for their machines."""
        if event.old is None or event.old.metadata.generation != event.object.metadata.generation:
            for claim in self._claims.by_index(_BY_POOL, event.object.metadata.name):
                self.controller.enqueue(claim.metadata.name)

    # Whose business a change is

    def _claims_of_node(self, node: Node) -> Iterable[str]:
        claims = self._claims.by_index(_BY_PROVIDER_ID, node.spec.provider_id) if node.spec.provider_id else ()
        return [claim.metadata.name for claim in claims]

    def _claims_of_pod(self, pod: Pod) -> Iterable[str]:
        """Pods matter to machines that are being prepared or emptied, not to those that serve."""
        if not pod.spec.node_name:
            return ()
        claims = self._claims.by_index(_BY_NODE, pod.spec.node_name)
        return [claim.metadata.name for claim in claims if claim.status.state is not NodeState.RUNNING]

    def _claims_of_daemon_set(self, _: DaemonSet) -> Iterable[str]:
        return [claim.metadata.name for claim in self._claims if claim.status.state is NodeState.WARMUP]

    def _claims_to_launch(self, node_class: KubeObject) -> Iterable[str]:
        """A class that changed may launch what it could not before."""
        name = node_class.metadata.name
        return [c.metadata.name for c in self._claims if c.status.state is None and c.spec.node_class_ref.name == name]

    # Look, plan, carry out

    async def reconcile(self, key: str) -> Requeue | None:
        claim = self._claims.get(key)
        if claim is None:
            self.sightings.follow(key, False)
            return None
        look = self._look(claim)
        plan = plan_machine(look)
        self.sightings.follow(key, plan.follow and bool(claim.status.instance_id))
        try:
            await self._carry_out(look, plan)
        except _PlanOverturned:
            return Requeue(0.0)
        return None if plan.look_again_seconds is None else Requeue(plan.look_again_seconds)

    def _look(self, claim: NodeClaim) -> MachineSnapshot:
        pool = self._pools.get(claim.spec.pool)
        node = next(iter(self._nodes.by_index(_BY_PROVIDER_ID, claim.status.provider_id or "-")), None)
        preparing = claim.status.state is NodeState.WARMUP
        return MachineSnapshot(
            taken_at=self._clock.now(),
            claim=claim,
            pool=pool.spec if pool else None,
            seen=self.sightings.get(claim.metadata.name),
            node=node,
            pods=self._pods.by_index(_BY_NODE, node.metadata.name) if node else (),
            budgets=self._budgets.list(),
            turns_itself_off=preparing and self._turns_itself_off(claim, pool),
            daemon_sets=self._daemon_sets.list() if preparing else (),
        )

    def _turns_itself_off(self, claim: NodeClaim, pool: NodePool | None) -> bool:
        try:
            return turns_itself_off(pool.spec if pool else None, self._book.get(claim))
        except NotFound:
            return False

    async def _carry_out(self, look: MachineSnapshot, plan: MachinePlan) -> None:
        for step in plan.steps:
            match step:
                case steps.Record(status):
                    await self._record(look.claim, status)
                case steps.Launch():
                    await self._launch(look)
                case steps.FindMachine():
                    await self._find(look.claim)
                case steps.Start(token):
                    await self._start(look, token)
                case steps.Stop(force):
                    await self._stop(look.claim, force=force)
                case steps.Terminate():
                    await self._terminate(look)
                case steps.Tag(tags):
                    await self._tag(look.claim, tags)
                case steps.Shape(shape):
                    if look.node is not None:
                        await self._shape(look.node, shape)
                case steps.Empty(evict, delete):
                    await self._empty(evict, delete)
                case steps.DeleteNode():
                    if look.node is not None:
                        await self._delete_node(look.node)
                case steps.Tell(reason, message, warning):
                    self._tell(look, reason, message, warning)
                case steps.Release():
                    await self._release(look.claim)

    # The ledger

    async def _record(self, claim: NodeClaim, status: NodeClaimStatus) -> NodeClaim:
        current = self._claims.get(claim.metadata.name) or claim
        change = _difference(current.status, status)
        if not change:
            return current
        patch = {"status": change}
        written = await self._client.patch(NODE_CLAIM, claim.metadata.name, patch, subresource="status")
        self._claims.observe(written)
        self._metrics.observe(claim.spec.pool, current.status, status, self._clock.now())
        return written

    async def _note(self, claim: NodeClaim, type_: ClaimCondition, status: bool | None, reason: str, text: str) -> None:
        """Set one condition afresh: its time is that of this attempt."""
        current = (self._claims.get(claim.metadata.name) or claim).status
        others = tuple(held for held in current.conditions if held.type != type_)
        conditions = with_condition(others, type_, status, reason=reason, message=text, now=self._clock.now())
        await self._record(claim, msgspec.structs.replace(current, conditions=conditions))

    async def _release(self, claim: NodeClaim) -> None:
        """Let the claim go: delete it if nobody has, then take our finalizer off."""
        name = claim.metadata.name
        try:
            if claim.metadata.deletion_timestamp is None:
                await self._client.delete(NODE_CLAIM, name, uid=claim.metadata.uid)
            left = [finalizer for finalizer in claim.metadata.finalizers if finalizer != labels.CLAIM_FINALIZER]
            await self._client.patch(NODE_CLAIM, name, {"metadata": {"finalizers": left, "uid": claim.metadata.uid}})
        except NotFound:
            log.debug("claim was gone already", claim=name)

    def _tell(self, look: MachineSnapshot, reason: str, message: str, warning: bool) -> None:
        claim = look.claim
        if reason in ("StartupTaintsRemoved", "StartupTaintTimeout"):
            trigger = "timeout" if warning else "network_ready"
            self._metrics.opened(claim.spec.pool, trigger, claim.status.last_started_at, look.taken_at)
        pool = self._pools.get(claim.spec.pool)
        tell = self._recorder.warning if warning else self._recorder.normal
        if pool is not None:
            tell(NODE_POOL, pool, reason, message)
        else:
            tell(NODE_CLAIM, claim, reason, message)

    # The cloud

    async def _launch(self, look: MachineSnapshot) -> None:
        claim = look.claim
        pool = self._pools.get(claim.spec.pool)
        if pool is None:
            raise NotReady(f"claim {claim.metadata.name} cannot be launched: there is no pool {claim.spec.pool}")
        # Said before the cloud is asked, so that an answer that gets lost is looked for.
        await self._note(claim, ClaimCondition.LAUNCHED, None, "Launching", "the cloud is being asked")
        try:
            resolved = await self._book.resolve(claim)
            self_stop = turns_itself_off(pool.spec, self._book.get(claim))
            images = images_of_workloads(pool.spec.template.labels, self._workloads.pod_specs())
            request = launch_request(
                claim,
                pool,
                resolved,
                cluster=self._settings.cluster_name,
                self_stop=self_stop,
                images_to_try=images,
            )
            machine = await self._provider.launch(request)
        except (Throttled, Unavailable):
            raise  # nobody knows whether it took effect: the same token asks again
        except StratosError as error:
            reason = type(error).__name__
            await self._note(claim, ClaimCondition.LAUNCHED, False, reason, error.message)
            raise NotReady(f"claim {claim.metadata.name} was not launched: {error.message}") from error
        await self._launched(claim, machine)
        self._tell(look, "WarmupStarted", f"{machine.id} ({machine.instance_type}, {machine.zone}) is launched", False)

    async def _find(self, claim: NodeClaim) -> None:
        tags = {labels.TAG_CLUSTER: self._settings.cluster_name, labels.TAG_CLAIM: claim.metadata.name}
        found = [machine for machine in await self._provider.list_by_tags(tags) if not machine.state.gone]
        if found:
            await self._launched(claim, found[0])
            raise _PlanOverturned

    async def _launched(self, claim: NodeClaim, machine: Machine) -> None:
        now = self._clock.now()
        current = (self._claims.get(claim.metadata.name) or claim).status
        text = f"the cloud gave {machine.id}"
        status = msgspec.structs.replace(
            current,
            conditions=with_condition(
                current.conditions, ClaimCondition.LAUNCHED, True, reason="Launched", message=text, now=now
            ),
            state=step_through(NodeState.WARMUP),
            state_since=now,
            instance_id=machine.id,
            provider_id=machine.provider_id,
            instance_type=machine.instance_type,
            zone=machine.zone,
            image=machine.image,
            price_usd_per_hour=machine.price_usd_per_hour,
            launched_at=machine.launched_at,
        )
        self.sightings.note(claim.metadata.name, machine.state)
        await self._record(claim, status)

    async def _start(self, look: MachineSnapshot, token: str) -> None:
        claim = look.claim
        try:
            await self._provider.start(claim.status.instance_id, token)
        except (InsufficientCapacity, QuotaExceeded) as error:
            await self._record(claim, wake_refused(claim, type(error).__name__, error.message, self._clock.now()))
            raise _PlanOverturned from error
        except (MachineGone, NotFound) as error:
            self._note_end(claim, error)
            raise _PlanOverturned from error
        self.sightings.note(claim.metadata.name, MachineState.PENDING)

    async def _stop(self, claim: NodeClaim, *, force: bool) -> None:
        try:
            await self._provider.stop(claim.status.instance_id, force=force)
        except (MachineGone, NotFound) as error:
            self._note_end(claim, error)
            raise _PlanOverturned from error
        self.sightings.note(claim.metadata.name, MachineState.STOPPING)

    def _note_end(self, claim: NodeClaim, error: StratosError) -> None:
        """A machine that is gone may still be shutting down: until that is over, it counts as one of its pool's."""
        ended = MachineState.TERMINATED if isinstance(error, NotFound) else MachineState.SHUTTING_DOWN
        self.sightings.note(claim.metadata.name, ended)

    async def _terminate(self, look: MachineSnapshot) -> None:
        claim = look.claim
        try:
            await self._provider.terminate(claim.status.instance_id)
        except NotFound as error:
            self.sightings.note(claim.metadata.name, MachineState.TERMINATED)
            raise _PlanOverturned from error
        except StratosError as error:
            await self._note(claim, ClaimCondition.ENDED, False, type(error).__name__, error.message)
            raise
        self.sightings.note(claim.metadata.name, MachineState.SHUTTING_DOWN)

    async def _tag(self, claim: NodeClaim, tags: dict[str, str]) -> None:
        """Tags that change inform people; nothing waits for them."""
        try:
            await self._provider.tag(claim.status.instance_id, tags)
        except StratosError as error:
            log.warning("machine could not be tagged", machine=claim.status.instance_id, reason=error.message)

    # The node

    async def _shape(self, node: Node, shape: NodeShape) -> None:
        spec: dict[str, Any] = {}
        metadata: dict[str, Any] = {
            "labels": {key: value for key, value in shape.labels.items() if node.metadata.labels.get(key) != value},
            "annotations": {
                key: value for key, value in shape.annotations.items() if node.metadata.annotations.get(key) != value
            },
        }
        if node.spec.unschedulable != shape.unschedulable:
            spec["unschedulable"] = shape.unschedulable or None
        if not same_taints(node.spec.taints or (), shape.taints):
            # The list is written whole: nobody else's taint may get lost in between.
            spec["taints"] = msgspec.to_builtins(shape.taints)
            metadata["resourceVersion"] = node.metadata.resource_version
        written = await self._client.patch(NODE, node.metadata.name, {"metadata": metadata, "spec": spec})
        self._nodes.observe(written)

    async def _delete_node(self, node: Node) -> None:
        try:
            await self._client.delete(NODE, node.metadata.name, uid=node.metadata.uid)
        except NotFound:
            log.debug("node was gone already", node=node.metadata.name)

    async def _empty(self, evict: tuple[str, ...], delete: tuple[str, ...]) -> None:
        await asyncio.gather(*(self._evict(key) for key in evict), *(self._delete_pod(key) for key in delete))

    async def _evict(self, key: str) -> None:
        try:
            await self._client.evict(key)
        except NotFound:
            log.debug("pod was gone already", pod=key)
        except Throttled as error:
            log.debug(
                "eviction must wait", pod=key, reason=error.message
            )  # a budget says no: asked again with the next plan

    async def _delete_pod(self, key: str) -> None:
        try:
            await self._client.delete(POD, key, grace_seconds=0)
        except NotFound:
            log.debug("pod was gone already", pod=key)


def _difference(before: NodeClaimStatus, after: NodeClaimStatus) -> dict[str, Any]:
    """The merge patch from the one to the other."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    return changed | dict.fromkeys(name for name in old if name not in new)


def _unless_empty(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
