"""Takes the snapshot that provisioning plans from, and finds the pods that are its to serve."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.event import EVENT, Event
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import NAMESPACE
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodeclasses import NODE_CLASS_KINDS, NodeClass
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.apis.persistentvolume import CSI_NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from stratos.apis.pod import POD, Pod
from stratos.apis.simnodeclass import SimNodeClass
from stratos.apis.storageclass import STORAGE_CLASS
from stratos.base.clock import Clock
from stratos.kube.cache import Cache
from stratos.kube.controller import Manager
from stratos.planning.interruptions.moving import as_waiting, pods_to_move
from stratos.planning.interruptions.notices import presses
from stratos.planning.pools.nominations import waits_for_victims
from stratos.planning.provisioning.estimates import REASON as ESTIMATE
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.planning.provisioning.planner import WARNING
from stratos.planning.scheduling.daemons import Daemons, compile_daemons
from stratos.planning.scheduling.volumes import attach_limits
from stratos.providers.contract import NodeClassPart, Provider
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot, Told

_BY_TEMPLATE = "template"
_BY_NODE = "nodeName"
_WAITING = "waiting"
_GATED = "gated"
_REASONS = (WARNING, ESTIMATE)  # of the events that are not to be repeated
_POSTED_WITHIN = timedelta(seconds=30)  # an event that has not come back by then is lost

ServedByPools = Callable[[Sequence[Pod]], Collection[str]]
"""Of some waiting pods those (namespace/name) that a pool has a machine at hand for."""


class Lookout:
    """The caches that templates, and the pods they serve, are seen through."""

    def __init__(
        self,
        manager: Manager,
        provider: Provider,
        *,
        clock: Clock,
        limits: ClusterLimits,
        served_by_pools: ServedByPools,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._limits = limits
        self._served_by_pools = served_by_pools
        self.templates = manager.cache(NODE_TEMPLATE)
        self.claims: Cache[NodeClaim] = manager.cache(
            NODE_CLAIM,
            indexes={
                _BY_TEMPLATE: lambda claim: (claim.spec.template,) if claim.spec.template else (),
                _BY_NODE: lambda claim: (claim.status.node_name,) if claim.status.node_name else (),
            },
        )
        self.nodes = manager.cache(NODE)
        self.pods = manager.cache(POD, indexes={_WAITING: _waits_as, _GATED: _asks_as, _BY_NODE: _runs_on})
        self.told = tuple(manager.cache(EVENT, field_selector=f"reason={reason}") for reason in _REASONS)
        self._said: set[Told] = set()  # by us, on its way to the caches above
        for cache in self.told:
            cache.subscribe(lambda event: self._heard(event.object))
        self.classes: dict[str, Cache[NodeClass]] = {
            name: manager.cache(kind) for name, kind in NODE_CLASS_KINDS.items()
        }
        self.daemon_sets = manager.cache(DAEMON_SET)
        self._namespaces = manager.cache(NAMESPACE)
        self._volume_claims = manager.cache(PERSISTENT_VOLUME_CLAIM)
        self._volumes = manager.cache(PERSISTENT_VOLUME)
        self._storage_classes = manager.cache(STORAGE_CLASS)
        self._csi_nodes = manager.cache(CSI_NODE)

    def look(self) -> ProvisioningSnapshot:
        now = self._clock.now()
        templates = tuple(sorted(self.templates.list(), key=lambda template: template.metadata.name))
        namespaces = {namespace.metadata.name: namespace.metadata.labels for namespace in self._namespaces}
        interrupted = self._interrupted(now)
        moving = {pod.metadata.key: pod for pods in interrupted.values() for pod in pods}
        return ProvisioningSnapshot(
            taken_at=now,
            catalog=self._provider.catalog,
            templates=templates,
            grounds={template.metadata.name: self.ground_of(template) for template in templates},
            waiting=self._sorted((*self._waiting(), *map(as_waiting, moving.values()))) if templates else (),
            claims=tuple(sorted((claim for claim in self.claims if claim.spec.template), key=_by_name)),
            cluster=ClusterSnapshot(
                now,
                self.nodes.list(),
                tuple(pod for pod in self.pods if pod.metadata.key not in moving),
                namespaces,
                volume_claims={claim.metadata.key: claim for claim in self._volume_claims},
                volumes={volume.metadata.name: volume for volume in self._volumes},
                storage_classes={each.metadata.name: each for each in self._storage_classes},
                attach_limits={node.metadata.name: attach_limits(node) for node in self._csi_nodes},
            ),
            daemon_sets=self.daemon_sets.list(),
            backed_off=tuple(held for template in templates for held in template.status.backed_off),
            cluster_cost_limit_usd_per_hour=self._limits.cost_usd_per_hour,
            cluster_gpu_limit=self._limits.gpus,
            gated=self._sorted(self.pods.by_index(_GATED, _GATED)) if templates else (),
            interrupted=tuple(interrupted),
            told=self._told(),
        )

    def daemons(self) -> Daemons:
        return compile_daemons(self.daemon_sets.list())

    def claims_of(self, template: str) -> tuple[NodeClaim, ...]:
        return tuple(sorted(self.claims.by_index(_BY_TEMPLATE, template), key=_by_name))

    def ground_of(self, template: NodeTemplate) -> LaunchGround:
        """What the template's class means for its machines, and why none can be launched from it now."""
        ref = template.spec.node_class_ref
        node_class = self.classes[ref.kind].get(ref.name)
        if node_class is None:
            return LaunchGround(zones=(), problem=f"there is no {ref.kind} {ref.name}")
        unready = [part for part in NodeClassPart if not is_condition_true(node_class.status.conditions, part)]
        kubelet = node_class.spec.kubelet
        return LaunchGround(
            zones=tuple(sorted({subnet.zone for subnet in node_class.status.resolved_subnets if subnet.zone})),
            labels=kubelet.node_labels if kubelet else {},
            taints=kubelet.node_taints if kubelet else (),
            max_pods=kubelet.max_pods if kubelet else None,
            disk_gib=_disk_gib(node_class),
            problem=f"{ref.kind} {ref.name} is not ready: {', '.join(unready)}" if unready else "",
        )

    def _interrupted(self, now: datetime) -> dict[str, tuple[Pod, ...]]:
        """Claims of templates whose machines go down soon, with the pods that have to leave them."""
        found = {}
        for claim in sorted(self.claims, key=_by_name):
            if claim.spec.template and presses(claim, now):
                there = self.pods.by_index(_BY_NODE, claim.status.node_name) if claim.status.node_name else ()
                found[claim.metadata.name] = pods_to_move(claim, there, now)
        return found

    def _waiting(self) -> tuple[Pod, ...]:
        found = [pod for pod in self.pods.by_index(_WAITING, _WAITING) if not self._waits_for_victims(pod)]
        served = frozenset(self._served_by_pools(found))
        return self._sorted(pod for pod in found if pod.metadata.key not in served)

    def _sorted(self, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        return tuple(sorted(pods, key=lambda pod: pod.metadata.key))

    def say(self, pod: str, reason: str, message: str) -> None:
        """Count as told what is being posted: the next look may be taken before it has come back."""
        self._said.add(Told(pod, reason, message, self._clock.now()))

    def _heard(self, event: Event) -> None:
        about = f"{event.involved_object.namespace}/{event.involved_object.name}"
        self._said = {
            told for told in self._said if (told.pod, told.reason, told.message) != (about, event.reason, event.message)
        }

    def _told(self) -> tuple[Told, ...]:
        now = self._clock.now()
        self._said = {told for told in self._said if told.at + _POSTED_WITHIN > now}
        found = list(self._said)
        for cache in self.told:
            for event in cache:
                at = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
                about = event.involved_object
                if at is not None and about.kind == POD.kind:
                    found.append(Told(f"{about.namespace}/{about.name}", event.reason, event.message, at))
        return tuple(sorted(found, key=lambda told: (told.pod, told.reason, told.at, told.message)))

    def _waits_for_victims(self, pod: Pod) -> bool:
        name = pod.status.nominated_node_name
        claim = next(iter(self.claims.by_index(_BY_NODE, name)), None) if name else None
        return bool(name) and waits_for_victims(pod, self.nodes.get(name), claim)


def asks_for_estimate(pod: Pod) -> bool:
    """Whether it is held back until it has been told what it would cost."""
    gates = pod.spec.scheduling_gates or ()
    return not pod.finished and any(gate.name == labels.COST_ESTIMATE_GATE for gate in gates)


def _runs_on(pod: Pod) -> tuple[str, ...]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()


def _waits_as(pod: Pod) -> tuple[str, ...]:
    return (_WAITING,) if pod.unschedulable else ()


def _asks_as(pod: Pod) -> tuple[str, ...]:
    return (_GATED,) if asks_for_estimate(pod) else ()


def _disk_gib(node_class: NodeClass) -> int | None:
    if isinstance(node_class, SimNodeClass):
        return node_class.spec.disk_size
    mappings = node_class.spec.block_device_mappings
    return mappings[0].volume_size if mappings else None


def _by_name(claim: NodeClaim) -> str:
    return claim.metadata.name
