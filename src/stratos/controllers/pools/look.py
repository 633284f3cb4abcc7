"""Takes the snapshot of a pool, and finds the pods that are its to serve."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from stratos.apis.awsnodeclass import AWSNodeClass, SpotConfig
from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import NAMESPACE
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodeclasses import NODE_CLASS_KINDS, NodeClass, class_of_pool, prepares_machines
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.persistentvolume import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from stratos.apis.pod import POD, Pod
from stratos.apis.storageclass import STORAGE_CLASS
from stratos.base.clock import Clock
from stratos.base.errors import Invalid, NotFound
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.controller import Manager
from stratos.planning.interruptions.moving import pods_to_move
from stratos.planning.pools.matching import PoolChoice, Verdict
from stratos.planning.pools.members import is_under_way
from stratos.planning.pools.nominations import waits_for_victims
from stratos.planning.pools.offers import bare_offer_of, offer_of, pool_named_by
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.serving import serving_order
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.volumes import VolumeNeeds, claim_keys, needs_of_pod
from stratos.providers.contract import CapacityType, NodeClassPart, Provider
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.pool import ClassProblem, LaunchShape, PoolMachine, PoolSnapshot, SpotShape

_BY_POOL = "pool"
_BY_PROVIDER_ID = "providerID"
_BY_NODE = "nodeName"
_WAITING = "waiting"
_PROMISED = "promised by template"

_MISSING_RETRY_SECONDS = 30.0
_NOT_READY_RETRY_SECONDS = 10.0
_CLOUD_RETRY_SECONDS = 60.0


class Lookout:
    """The caches a pool is seen through."""

    def __init__(
        self, manager: Manager, provider: Provider, *, clock: Clock, rests_until: Callable[[str], datetime | None]
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._rests_until = rests_until
        self.pools = manager.cache(NODE_POOL)
        self.claims: Cache[NodeClaim] = manager.cache(
            NODE_CLAIM,
            indexes={
                _BY_POOL: lambda claim: (claim.spec.pool,) if claim.spec.pool else (),
                _BY_NODE: lambda claim: (claim.status.node_name,) if claim.status.node_name else (),
                _PROMISED: _promised_by_template,
            },
        )
        self.templates = manager.cache(NODE_TEMPLATE)
        self.nodes = manager.cache(
            NODE, indexes={_BY_PROVIDER_ID: lambda node: (node.spec.provider_id,) if node.spec.provider_id else ()}
        )
        self.pods = manager.cache(
            POD,
            indexes={
                _BY_NODE: lambda pod: (pod.spec.node_name,) if pod.spec.node_name else (),
                _WAITING: lambda pod: (_WAITING,) if pod.unschedulable else (),
            },
        )
        self.classes: dict[str, Cache[NodeClass]] = {
            name: manager.cache(kind) for name, kind in NODE_CLASS_KINDS.items()
        }
        self._daemon_sets = manager.cache(DAEMON_SET)
        self._namespaces = manager.cache(NAMESPACE)
        self._volume_claims = manager.cache(PERSISTENT_VOLUME_CLAIM)
        self._volumes = manager.cache(PERSISTENT_VOLUME)
        self._storage_classes = manager.cache(STORAGE_CLASS)
        self._asks: dict[str, PodRequirements] = {}
        self._alike: dict[PodRequirements, PodRequirements] = {}
        self.pods.subscribe(self._forget)

    def claims_of(self, pool: str) -> tuple[NodeClaim, ...]:
        return self.claims.by_index(_BY_POOL, pool)

    def claims_on(self, node: str) -> tuple[NodeClaim, ...]:
        return self.claims.by_index(_BY_NODE, node) if node else ()

    def look(self, pool: NodePool) -> PoolSnapshot:
        """The pool, with the waiting pods that nobody else serves better."""
        waiting = self.waiting()
        looks = self._glances()
        mine: list[Pod] = []
        passed_over: dict[str, tuple[str, ...]] = {}
        if waiting and pool.metadata.name in looks:
            for pod, verdict in self._choose(waiting, looks):
                if verdict.pool == pool.metadata.name and not self._is_left_to_templates(pod, verdict):
                    mine.append(pod)
                    passed_over[pod.metadata.key] = verdict.report
        look = looks.get(pool.metadata.name) or self.glance(pool)
        return PoolSnapshot(
            taken_at=look.taken_at,
            pool=pool,
            machines=look.machines,
            waiting=tuple(mine),
            passed_over=passed_over,
            shape=look.shape,
            problem=look.problem,
            daemon_sets=look.daemon_sets,
            launch_not_before=look.launch_not_before,
            cluster=self._cluster(look.taken_at, (*mine, *_moving(look))),
        )

    def at_hand(self, pods: Sequence[Pod]) -> frozenset[str]:
        """Of some waiting pods those (namespace/name) that a pool has a machine for, or on its way: warm first."""
        looks = self._glances()
        understood = [pod for pod in pods if self._is_understood(pod)] if looks else []
        chosen = self._choose(understood, looks) if understood else []
        return frozenset(
            pod.metadata.key
            for pod, verdict in chosen
            if verdict.at_hand and not self._is_left_to_templates(pod, verdict)
        )

    def _glances(self) -> dict[str, PoolSnapshot]:
        return {pool.metadata.name: self.glance(pool) for pool in self.pools if not _is_leaving(pool)}

    def _choose(self, waiting: Sequence[Pod], looks: Mapping[str, PoolSnapshot]) -> list[tuple[Pod, Verdict]]:
        """Which pool serves each pod."""
        asks = {pod.metadata.key: self.compile_pod(pod) for pod in waiting}
        named = {pool_named_by(pod) for pod in waiting}
        choice = PoolChoice(
            [
                offer_of(look, asks) if "" in named or name in named else bare_offer_of(look)
                for name, look in looks.items()
            ]
        )
        return [(pod, choice.choose(pod.metadata.key, asks[pod.metadata.key])) for pod in waiting]

    def _is_left_to_templates(self, pod: Pod, verdict: Verdict) -> bool:
        """Whether a template has asked for a machine for the pod, or will: a pool with none at hand lets it."""
        now = self._clock.now()
        key = pod.metadata.key
        for claim in self.claims.by_index(_PROMISED, key):
            if is_under_way(PoolMachine(claim), now):
                return True
        if verdict.at_hand or not len(self.templates):
            return False
        try:
            return bool(serving_order(pod, PodAsks(key, self.compile_pod(pod)), self.templates.list()).templates)
        except Invalid:
            return False  # of a template that serves nobody until it is corrected

    def compile_pod(self, pod: Pod) -> PodRequirements:
        """What a pod asks for; the same pods wait in look after look, and most are like others."""
        if claim_keys(pod):  # asks for what becomes of its volumes, too, and they change without it
            compiled = requirements_of(pod, volumes=self._volume_needs(pod))
            return self._alike.setdefault(compiled, compiled)
        version = f"{pod.metadata.uid}/{pod.metadata.resource_version}"
        asks = self._asks.get(version)
        if asks is None:
            compiled = requirements_of(pod)
            asks = self._asks[version] = self._alike.setdefault(compiled, compiled)
        return asks

    def _volume_needs(self, pod: Pod) -> VolumeNeeds:
        return needs_of_pod(
            pod, claim=self._volume_claims.get, volume=self._volumes.get, storage_class=self._storage_classes.get
        )

    def waiting(self) -> list[Pod]:
        """The pods that no node fits, whosever they are to serve."""
        found = [pod for pod in self.pods.by_index(_WAITING, _WAITING) if not self._waits_for_victims(pod)]
        return sorted((pod for pod in found if self._is_understood(pod)), key=lambda pod: pod.metadata.key)

    def _waits_for_victims(self, pod: Pod) -> bool:
        name = pod.status.nominated_node_name
        return bool(name) and waits_for_victims(pod, self.nodes.get(name), next(iter(self.claims_on(name)), None))

    def _is_understood(self, pod: Pod) -> bool:
        try:
            self.compile_pod(pod)
        except Invalid:
            return False  # no scheduler could place it either, and says so
        return True

    def glance(self, pool: NodePool) -> PoolSnapshot:
        """The pool without the pods that wait."""
        shape, problem = self._shape(pool)
        return PoolSnapshot(
            taken_at=self._clock.now(),
            pool=pool,
            machines=tuple(self._machine(claim) for claim in sorted(self.claims_of(pool.metadata.name), key=_by_name)),
            shape=shape,
            problem=problem,
            daemon_sets=self._daemon_sets.list(),
            launch_not_before=self._rests_until(pool.metadata.name),
        )

    def _machine(self, claim: NodeClaim) -> PoolMachine:
        provider_id = claim.status.provider_id
        node = next(iter(self.nodes.by_index(_BY_PROVIDER_ID, provider_id)), None) if provider_id else None
        return PoolMachine(claim, node, self.pods.by_index(_BY_NODE, node.metadata.name) if node else ())

    def _cluster(self, now: datetime, placed: Sequence[Pod]) -> ClusterSnapshot | None:
        if not any(self.compile_pod(pod).looks_at_other_pods for pod in placed):
            return None
        namespaces = {namespace.metadata.name: namespace.metadata.labels for namespace in self._namespaces}
        return ClusterSnapshot(now, self.nodes.list(), self.pods.list(), namespaces)

    def _shape(self, pool: NodePool) -> tuple[LaunchShape | None, ClassProblem | None]:
        """What the pool's class would launch, and why it cannot now."""
        ref = class_of_pool(pool)
        node_class = self.classes[ref.kind].get(ref.name)
        if node_class is None:
            message = f"there is no {ref.kind} {ref.name}"
            return None, ClassProblem("NodeClassNotFound", message, _MISSING_RETRY_SECONDS)
        kubelet = node_class.spec.kubelet
        instance_type = node_class.spec.instance_type
        if instance_type is None:
            message = f"{ref.kind} {ref.name} names no instanceType: a pool needs one, only node templates choose"
            return None, ClassProblem("NodeClassNotReady", message, _NOT_READY_RETRY_SECONDS)
        try:
            machine = self._provider.shape(instance_type, max_pods=kubelet.max_pods if kubelet else None)
        except NotFound as error:
            return None, ClassProblem("CloudProviderError", error.message, _CLOUD_RETRY_SECONDS)
        status = node_class.status
        zones = tuple(sorted({subnet.zone for subnet in status.resolved_subnets if subnet.zone}))
        prices = [
            offering.price_usd_per_hour
            for offering in machine.offerings
            if offering.capacity_type is CapacityType.ON_DEMAND and (not zones or offering.zone in zones)
        ]
        shape = LaunchShape(
            instance_type=instance_type,
            arch=machine.instance_type.arch,
            zones=zones,
            allocatable=machine.allocatable,
            price_usd_per_hour=min(prices, default=0.0),
            image=status.resolved_ami or "",
            labels=kubelet.node_labels if kubelet else {},
            taints=kubelet.node_taints if kubelet else (),
            spot=self._spot_shape(node_class, instance_type, zones) if pool.spec.spot_replacement else None,
            pulls_images=prepares_machines(node_class),
        )
        unready = [part for part in NodeClassPart if not is_condition_true(status.conditions, part)]
        if unready:
            message = f"{ref.kind} {ref.name} is not ready: {', '.join(unready)}"
            return shape, ClassProblem("NodeClassNotReady", message, _NOT_READY_RETRY_SECONDS)
        return shape, None

    def _spot_shape(self, node_class: NodeClass, own_type: str, zones: Collection[str]) -> SpotShape:
        """What the class launches on spot's terms: the types it lists, or else its own."""
        config = node_class.spec.spot_config if isinstance(node_class, AWSNodeClass) else None
        types = config.instance_types if config is not None else (own_type,)
        limit = _price_limit(config)
        kubelet = node_class.spec.kubelet
        least: dict[str, int] = {}
        prices = []
        for name in types:
            try:
                shape = self._provider.shape(name, max_pods=kubelet.max_pods if kubelet else None)
            except NotFound:
                continue  # resolving the class says so
            for resource, amount in shape.allocatable.items():
                least[resource] = min(least.get(resource, amount), amount)
            prices += [
                offering.price_usd_per_hour
                for offering in shape.offerings
                if offering.capacity_type is CapacityType.SPOT
                and (not zones or offering.zone in zones)
                and offering.price_usd_per_hour <= limit
            ]
        return SpotShape(types, least, min(prices, default=None))

    def _forget(self, event: CacheEvent[Pod]) -> None:
        old = event.old
        if old is not None and (event.change is Change.DELETED or not event.object.unschedulable):
            self._asks.pop(f"{old.metadata.uid}/{old.metadata.resource_version}", None)
            if not self._asks:
                self._alike.clear()


def _price_limit(config: SpotConfig | None) -> float:
    """What the class lets a spot machine cost. What is no price is for whoever resolves the class to tell."""
    try:
        return float(config.max_price) if config is not None and config.max_price else math.inf
    except ValueError:
        return math.inf


def _moving(look: PoolSnapshot) -> list[Pod]:
    return [pod for machine in look.machines for pod in pods_to_move(machine.claim, machine.pods, look.taken_at)]


def _promised_by_template(claim: NodeClaim) -> tuple[str, ...]:
    """The pods that a template's machine was asked for."""
    decision = claim.spec.decision
    return decision.pods if claim.spec.template and decision is not None else ()


def _is_leaving(pool: NodePool) -> bool:
    return pool.metadata.deletion_timestamp is not None


def _by_name(claim: NodeClaim) -> str:
    return claim.metadata.name
