"""The cluster as watches tell it, plus what the scheduler has decided and not yet seen come true.

It feeds both sides: placed pods and nodes go to the `ClusterState`, waiting pods to the queue; and whatever changes
wakes those parked pods, and only those, that the change could help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stratos.apis.namespace import NAMESPACE, Namespace
from stratos.apis.node import NODE
from stratos.apis.pod import POD, Pod
from stratos.base.errors import Invalid
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Manager
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import NodeState, PlacedPod
from stratos.planning.scheduling.requirements import AffinityTerm, PodRequirements, requirements_of
from stratos.telemetry.logs import get_logger
from stratos.workloads.scheduler.claims import Claims
from stratos.workloads.scheduler.queue import SchedulingQueue

GATED = "SchedulingGated"
_GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"

log = get_logger(__name__)

Blocked = Callable[[Pod, str, str], None]  # a pod, and the reason and message why it is not even tried


class ClusterMirror:
    def __init__(self, manager: Manager, queue: SchedulingQueue, scheduler_name: str, blocked: Blocked) -> None:
        self.cluster = ClusterState()
        self.pods = manager.cache(POD)
        self._nodes = manager.cache(NODE)
        self._queue = queue
        self._scheduler_name = scheduler_name
        self._blocked = blocked
        self._assumed: dict[str, str] = {}  # placed by us and not yet seen to be bound: key → uid
        self._promised: dict[str, str] = {}  # nominated by others, who keep a node for the pod: key → node
        self._claims = Claims(manager, self._look_at, self._look_at_node)
        manager.cache(NAMESPACE).subscribe(self._namespace_changed)
        self._nodes.subscribe(lambda event: self._look_at_node(event.object.metadata.name))
        self.pods.subscribe(self._pod_changed)

    def assume(self, pod: Pod, requirements: PodRequirements, node: str) -> None:
        """Count a pod as placed from the moment of the decision on."""
        key = pod.metadata.key
        self._queue.remove(key)
        self._assumed[key] = pod.metadata.uid
        self.cluster.trade_nomination(key, requirements, node)
        self.cluster.withdraw_nomination(key)
        self.cluster.add_pod(PlacedPod(key, requirements), node)
        self._company_came(requirements)

    def is_promised(self, key: str) -> bool:
        """Whether somebody else keeps a node for the pod. If it does not fit there now, it will."""
        node = self.cluster.nominated_node(key)
        return bool(node) and self._promised.get(key) == node

    def take_back(self, pod: Pod) -> bool:
        """The decision could not be carried out. False when the watch knows better by now."""
        key = pod.metadata.key
        if self._assumed.get(key) != pod.metadata.uid:
            return False
        del self._assumed[key]
        self._leave(key)
        return True

    # Watches

    def _namespace_changed(self, event: CacheEvent[Namespace]) -> None:
        generation = self.cluster.generation
        deleted = event.change is Change.DELETED
        self.cluster.set_namespace_labels(event.key, {} if deleted else event.object.metadata.labels)
        if self.cluster.generation != generation:
            self._queue.activate(lambda _: True)

    def _look_at_node(self, name: str) -> None:
        node = self._nodes.get(name)
        generation = self.cluster.generation
        if node is None:
            self.cluster.remove_node(name)
        else:
            try:
                self.cluster.set_node(describe_node(node, self._claims.attach_limits(name)))
            except Invalid as error:
                log.warning("node ignored", node=name, error=error.message)
                self.cluster.remove_node(name)
        if self.cluster.generation != generation:
            self._node_could_help(name)

    def _pod_changed(self, event: CacheEvent[Pod]) -> None:
        if event.change is Change.DELETED:
            self._gone(event.key)
        elif event.key in self._queue and event.old is not None and _asks_the_same(event.object, event.old):
            if event.object.status.nominated_node_name != event.old.status.nominated_node_name:
                self._nomination_changed(event.object)
        else:
            self._look_at(event.object)

    def _nomination_changed(self, pod: Pod) -> None:
        key, node = pod.metadata.key, pod.status.nominated_node_name
        if node == self.cluster.nominated_node(key):
            return  # what we wrote ourselves
        self._promised.pop(key, None)
        if not node:
            self.cluster.withdraw_nomination(key)
            return
        self._promised[key] = node
        self.cluster.nominate(PlacedPod(key, self._queue.requirements(key)), node)

    def _look_at(self, pod: Pod) -> None:
        key = pod.metadata.key
        if pod.finished:
            self._gone(key)
        elif pod.spec.node_name:
            self._seen_bound(pod)
        elif pod.metadata.deletion_timestamp is not None:
            self._gone(key)
        elif pod.spec.scheduler_name == self._scheduler_name and self._assumed.get(key) != pod.metadata.uid:
            self._seen_waiting(pod)

    def _seen_waiting(self, pod: Pod) -> None:
        key = pod.metadata.key
        if pod.spec.scheduling_gates:
            self._queue.remove(key)
            self._blocked(pod, GATED, _GATED_MESSAGE)
            return
        missing = self._claims.missing(pod)
        if missing is not None:
            self._queue.remove(key)
            nodes = len(self.cluster.nodes)
            message = f'0/{nodes} nodes are available: persistentvolumeclaim "{missing}" not found.'
            self._blocked(pod, "Unschedulable", message)
            return
        try:
            requirements = requirements_of(pod, volumes=self._claims.needs(pod))
        except Invalid as error:
            self._queue.remove(key)
            self._blocked(pod, "SchedulerError", error.message)
            return
        if pod.status.nominated_node_name:
            self.cluster.nominate(PlacedPod(key, requirements), pod.status.nominated_node_name)
        self._queue.put(key, requirements)

    def _seen_bound(self, pod: Pod) -> None:
        key = pod.metadata.key
        self._queue.remove(key)
        self._assumed.pop(key, None)
        self._promised.pop(key, None)
        self.cluster.withdraw_nomination(key)
        try:
            requirements = requirements_of(pod, volumes=self._claims.needs(pod))
        except Invalid as error:
            log.warning("bound pod ignored", pod=key, error=error.message)
            return
        terminating = pod.metadata.deletion_timestamp is not None
        generation = self.cluster.generation
        placed = PlacedPod(key, requirements, started_at=pod.status.start_time, terminating=terminating)
        self.cluster.add_pod(placed, pod.spec.node_name)
        if self.cluster.generation != generation:
            self._company_came(requirements)

    def _gone(self, key: str) -> None:
        self._queue.remove(key)
        self._assumed.pop(key, None)
        self._promised.pop(key, None)
        self.cluster.withdraw_nomination(key)
        self._leave(key)

    def _leave(self, key: str) -> None:
        placed = self.cluster.placed(key)
        if placed is None:
            return
        pod, node_name = placed
        self.cluster.remove_pod(key)
        if pod.requirements.anti_affinity:
            self._queue.activate(lambda waiting: self._speaks_of(pod.requirements.anti_affinity, waiting))
        self._node_could_help(node_name)

    # What a change could help

    def _node_could_help(self, name: str) -> None:
        """A node came, changed, left, or lost a pod."""
        node = self.cluster.nodes.get(name)
        self._queue.activate(
            lambda waiting: waiting.looks_at_other_pods or (node is not None and self._could_run(waiting, node))
        )

    def _could_run(self, waiting: PodRequirements, node: NodeState) -> bool:
        rejection = self.cluster.check(waiting).reject(node)
        if rejection is None:
            return True
        return rejection.preemption_may_help and any(
            pod.requirements.priority < waiting.priority and not pod.terminating for pod in node.pods.values()
        )

    def _company_came(self, placed: PodRequirements) -> None:
        """A pod was placed: it may be whom others wait for, or even out a spread."""
        self._queue.activate(
            lambda waiting: (
                self._speaks_of(waiting.affinity, placed)
                or any(
                    constraint.pods.matches(placed.namespace, {}, dict(placed.labels)) for constraint in waiting.spread
                )
            )
        )

    def _speaks_of(self, terms: Iterable[AffinityTerm], pod: PodRequirements) -> bool:
        namespace_labels = self.cluster.namespace_labels(pod.namespace)
        return any(term.pods.matches(pod.namespace, namespace_labels, dict(pod.labels)) for term in terms)


def _asks_the_same(pod: Pod, old: Pod) -> bool:
    """Did only what others report about the pod change?"""
    same_end = pod.metadata.deletion_timestamp == old.metadata.deletion_timestamp and pod.finished == old.finished
    return same_end and pod.metadata.labels == old.metadata.labels and pod.spec == old.spec
