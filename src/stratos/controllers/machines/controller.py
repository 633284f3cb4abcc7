"""The loop: one worker a claim looks, asks `planning.pools.machine` for the next steps, and takes them.

Each step can be repeated, and the plan puts them in an order that a crash may cut anywhere. After every write of its
own the loop puts the server's answer into the cache, so that it never acts twice on a state it has just changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis.daemonset import DAEMON_SET, DaemonSet
from stratos.apis.meta import KubeObject
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim, NodeState
from stratos.apis.nodeclasses import NODE_CLASS_KINDS, NodeClass, prepares_machines
from stratos.apis.nodepool import NODE_POOL, NodePool, NodePoolSpec, StandbyNode
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.base.clock import Clock
from stratos.base.errors import (
    NotFound,
    NotReady,
)
from stratos.controllers.machines.cloud_calls import CloudCalls, PlanOverturned
from stratos.controllers.machines.launching import ClassBook, turns_itself_off
from stratos.controllers.machines.ledger import Ledger
from stratos.controllers.machines.metrics import LedgerMetrics
from stratos.controllers.machines.node_writes import NodeWrites
from stratos.controllers.machines.sightings import Sightings
from stratos.controllers.machines.tags import TagWriter
from stratos.controllers.machines.workloads import Workloads
from stratos.kube.backoff import Backoff
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.identity import ClusterIdentity
from stratos.kube.recorder import EventRecorder
from stratos.planning.pools import steps
from stratos.planning.pools.machine import plan_machine
from stratos.planning.pools.settings import settings_of_template_claim
from stratos.planning.provisioning.admission import over_limit
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.providers.contract import Provider
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
    limits: ClusterLimits = field(default_factory=ClusterLimits)
    standby_node: StandbyNode = "Keep"  # of pools that do not say
    workers: int = 512  # each may wait for its turn at the cloud, and no start should wait for a worker


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
) -> Callable[[str], None]:
    """Make the loop and add it to ``manager``. What is returned is told of claims whose machines have changed."""
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
    manager.add(machines.sightings, machines.tags, machines.controller)
    return machines.sightings.look_at_once


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
        self._recorder = recorder
        self._clock = clock
        self._provider = provider
        self._limits = settings.limits
        self._standby_node = settings.standby_node
        self._begun: set[str] = set()  # claims whose launch has begun here, noted in the ledger or not yet
        self._metrics = LedgerMetrics(registry)
        self._claims: Cache[NodeClaim] = manager.cache(
            NODE_CLAIM,
            indexes={
                _BY_POOL: lambda claim: _unless_empty(claim.spec.pool),
                _BY_PROVIDER_ID: lambda claim: _unless_empty(claim.status.provider_id),
                _BY_NODE: lambda claim: _unless_empty(claim.status.node_name),
            },
        )
        self._pools = manager.cache(NODE_POOL)
        self._templates = manager.cache(NODE_TEMPLATE)
        self._nodes = manager.cache(NODE, indexes={_BY_PROVIDER_ID: lambda node: _unless_empty(node.spec.provider_id)})
        self._pods = manager.cache(POD, indexes={_BY_NODE: lambda pod: _unless_empty(pod.spec.node_name)})
        self._budgets = manager.cache(POD_DISRUPTION_BUDGET)
        self._daemon_sets = manager.cache(DAEMON_SET)
        self._classes: dict[str, Cache[NodeClass]] = {
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
        self._ledger = Ledger(manager.client, self._claims, clock=clock, metrics=self._metrics)
        self._node_writes = NodeWrites(manager.client, self._nodes, self._pods)
        self.tags = TagWriter(provider)
        self._cloud = CloudCalls(
            provider,
            self._ledger,
            self.sightings,
            self._book,
            Workloads(manager),
            clock=clock,
            cluster_name=settings.cluster_name,
            identity=ClusterIdentity(manager),
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
            self._begun.discard(key)
            return None
        look = self._look(claim)
        plan = plan_machine(look)
        if steps.Launch() in plan.steps:
            self._begun.add(key)  # before anything is awaited: it counts for all that are judged after it
        self.sightings.follow(key, plan.follow and bool(claim.status.instance_id))
        try:
            await self._carry_out(look, plan)
        except PlanOverturned:
            return Requeue(0.0)
        return None if plan.look_again_seconds is None else Requeue(plan.look_again_seconds)

    def _look(self, claim: NodeClaim) -> MachineSnapshot:
        settings = self._settings(claim)
        node = next(iter(self._nodes.by_index(_BY_PROVIDER_ID, claim.status.provider_id or "-")), None)
        preparing = claim.status.state is NodeState.WARMUP
        node_class = self._class_of(claim) if preparing else None
        return MachineSnapshot(
            taken_at=self._clock.now(),
            claim=claim,
            settings=settings,
            seen=self.sightings.get(claim.metadata.name),
            node=node,
            pods=self._pods.by_index(_BY_NODE, node.metadata.name) if node else (),
            budgets=self._budgets.list(),
            turns_itself_off=node_class is not None and not claim.is_spot and turns_itself_off(settings, node_class),
            pulls_images=node_class is None or prepares_machines(node_class),
            daemon_sets=self._daemon_sets.list() if preparing else (),
            over_limit=self._over_limit(claim),
        )

    def _over_limit(self, claim: NodeClaim) -> str:
        if not claim.spec.template or claim.status.state is not None:
            return ""
        return over_limit(
            claim, self._claims, self._templates, self._provider.catalog, limits=self._limits, begun=self._begun
        )

    def _settings(self, claim: NodeClaim) -> NodePoolSpec | None:
        if claim.spec.template:
            return settings_of_template_claim(claim)
        pool = self._pools.get(claim.spec.pool)
        if pool is None or pool.spec.standby_node is not None:
            return pool.spec if pool else None
        return msgspec.structs.replace(pool.spec, standby_node=self._standby_node)

    def _class_of(self, claim: NodeClaim) -> NodeClass | None:
        try:
            return self._book.get(claim)
        except NotFound:
            return None

    async def _carry_out(self, look: MachineSnapshot, plan: steps.MachinePlan) -> None:
        for step in plan.steps:
            match step:
                case steps.Record(status):
                    await self._ledger.record(look.claim, status)
                case steps.Launch():
                    await self._launch(look)
                case steps.FindMachine():
                    await self._cloud.find(look.claim)
                case steps.Start(token):
                    await self._cloud.start(look.claim, token)
                case steps.Stop(force):
                    await self._cloud.stop(look.claim, force=force)
                case steps.Terminate():
                    await self._cloud.terminate(look.claim)
                case steps.Tag(tags):
                    self.tags.write(look.claim.status.instance_id, tags)
                case steps.Shape(shape):
                    if look.node is not None:
                        await self._node_writes.shape(look.node, shape)
                case steps.Nominate(pods):
                    if look.node is not None:
                        await self._node_writes.nominate(look.node, pods)
                case steps.Empty(evict, delete, grace_seconds):
                    await self._node_writes.empty(evict, delete, grace_seconds)
                case steps.DeleteNode():
                    if look.node is not None:
                        await self._node_writes.delete(look.node)
                case steps.Tell(reason, message, warning):
                    self._tell(look, reason, message, warning)
                case steps.Release():
                    await self._ledger.release(look.claim)

    async def _launch(self, look: MachineSnapshot) -> None:
        claim = look.claim
        if look.settings is None:
            raise NotReady(f"claim {claim.metadata.name} cannot be launched: there is no pool {claim.spec.pool}")
        machine = await self._cloud.launch(claim, look.settings)
        self._tell(look, "WarmupStarted", f"{machine.id} ({machine.instance_type}, {machine.zone}) is launched", False)

    def _tell(self, look: MachineSnapshot, reason: str, message: str, warning: bool) -> None:
        claim = look.claim
        if reason in ("StartupTaintsRemoved", "StartupTaintTimeout"):
            trigger = "timeout" if warning else "network_ready"
            self._metrics.opened(claim, trigger, look.taken_at)
        tell = self._recorder.warning if warning else self._recorder.normal
        if (pool := self._pools.get(claim.spec.pool)) is not None:
            tell(NODE_POOL, pool, reason, message)
        elif (template := self._templates.get(claim.spec.template)) is not None:
            tell(NODE_TEMPLATE, template, reason, message)
        else:
            tell(NODE_CLAIM, claim, reason, message)


def _unless_empty(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
