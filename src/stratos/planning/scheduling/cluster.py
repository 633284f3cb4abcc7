"""The nodes of a cluster and the pods on them, arranged for the question "would this pod fit?".

It has one owner, who tells it of every change; nothing here is safe to share between threads. Pods may arrive before
their node does, as they do in watches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from stratos.planning.scheduling.filters import FitCheck, RulesMemory
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import NodeState, PlacedPod
from stratos.planning.scheduling.rejection import Rejection
from stratos.planning.scheduling.requirements import NodeRules, PodRequirements, WeightedAffinityTerm
from stratos.planning.scheduling.topology import HeldTerms, TopologyIndex

# Kinds of pods remembered at once. Past that all are forgotten, which costs one recount each.
_MOST_KINDS = 4096


class ClusterState:
    def __init__(self, namespace_labels: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.generation = 0  # moves with every change that could change a verdict
        self._namespace_labels = {name: dict(labels) for name, labels in (namespace_labels or {}).items()}
        self._node_of: dict[str, str] = {}
        self._without_node: dict[str, dict[str, PlacedPod]] = {}
        self._nominated_to: dict[str, str] = {}
        self.topology = TopologyIndex(self.nodes, self._namespace_labels)
        self.attracting = HeldTerms()  # preferences of placed pods, and required affinity: both only score
        self.repelling = HeldTerms()  # required anti-affinity of placed pods: it forbids
        self._checks: dict[PodRequirements, FitCheck] = {}
        self._rules: dict[NodeRules, RulesMemory] = {}

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return self._namespace_labels.get(namespace, {})

    def set_namespace_labels(self, namespace: str, labels: Mapping[str, str]) -> None:
        if self.namespace_labels(namespace) != labels:
            self._namespace_labels[namespace] = dict(labels)
            self._forget_checks()
            self.generation += 1

    def set_node(self, description: NodeDescription) -> None:
        """Add a node, or say what it has become; the pods on it stay."""
        old = self.nodes.get(description.name)
        if old is not None:
            if old.description == description:
                return
            self._take_out(old)
        node = self.nodes[description.name] = NodeState(description)
        if old is not None:
            node.nominated = old.nominated
        self.topology.add_node(node)
        for pod in self._without_node.pop(description.name, {}).values():
            self._settle(pod, node)
        self.generation += 1

    def remove_node(self, name: str) -> None:
        """Its pods are remembered, and counted again should the node return."""
        node = self.nodes.get(name)
        if node is not None:
            self._take_out(node)
            for key in node.nominated:
                del self._nominated_to[key]
            self.generation += 1

    def add_pod(self, pod: PlacedPod, node_name: str) -> None:
        """Place ``pod``; when it is placed already, this says where and what it is now."""
        before = self.placed(pod.key)
        if before is not None:
            if before == (pod, node_name):
                return
            self.remove_pod(pod.key)
        self._node_of[pod.key] = node_name
        node = self.nodes.get(node_name)
        if node is None:
            self._without_node.setdefault(node_name, {})[pod.key] = pod
            return
        self._settle(pod, node)
        self.generation += 1

    def remove_pod(self, key: str) -> PlacedPod | None:
        """Take a pod away, and say what it was. None when it was not placed."""
        node_name = self._node_of.pop(key, None)
        if node_name is None:
            return None
        node = self.nodes.get(node_name)
        if node is None:
            waiting = self._without_node[node_name]
            pod = waiting.pop(key)
            if not waiting:
                del self._without_node[node_name]
            return pod
        pod = node.pods[key]
        self._unsettle(pod, node)
        self.generation += 1
        return pod

    def placed(self, key: str) -> tuple[PlacedPod, str] | None:
        """A placed pod and the name of its node."""
        node_name = self._node_of.get(key)
        if node_name is None:
            return None
        node = self.nodes.get(node_name)
        pods = node.pods if node is not None else self._without_node[node_name]
        return pods[key], node_name

    def nominate(self, pod: PlacedPod, node_name: str) -> None:
        """Keep room on a node for a pod that waits until its victims have left."""
        self.withdraw_nomination(pod.key)
        node = self.nodes.get(node_name)
        if node is not None:
            node.nominated[pod.key] = pod
            self._nominated_to[pod.key] = node_name
            self.generation += 1

    def nominated_node(self, key: str) -> str:
        """Where room is kept for a waiting pod; empty when nowhere."""
        return self._nominated_to.get(key, "")

    def withdraw_nomination(self, key: str) -> None:
        node_name = self._nominated_to.pop(key, None)
        node = self.nodes.get(node_name) if node_name is not None else None
        if node is not None and node.nominated.pop(key, None) is not None:
            self.generation += 1

    def trade_nomination(self, key: str, requirements: PodRequirements, node_name: str) -> None:
        """A pod goes to a node other than its own: one that asks for the same, and was to go there, gets its place."""
        node, place = self.nodes.get(node_name), self._nominated_to.get(key)
        if node is None or place is None or place == node_name:
            return
        twin = self._twin(requirements, node)
        if twin is not None:
            self.nominate(twin, place)

    def _twin(self, requirements: PodRequirements, node: NodeState) -> PlacedPod | None:
        """A pod nominated to the node that asks for just that."""
        return next((pod for _, pod in sorted(node.nominated.items()) if pod.requirements == requirements), None)

    def check(self, requirements: PodRequirements) -> FitCheck:
        """The check for such pods. Cheap to ask for again, and not to be kept: it may be forgotten here."""
        check = self._checks.get(requirements)
        if check is None:
            if len(self._checks) >= _MOST_KINDS:
                self._forget_checks()
            rules = self._rules.get(requirements.node_rules)
            if rules is None:
                rules = self._rules[requirements.node_rules] = RulesMemory(requirements.node_rules)
            namespace_labels = self.namespace_labels(requirements.namespace)
            check = FitCheck(requirements, rules, self.topology, self.repelling, namespace_labels)
            self._checks[requirements] = check
        return check

    def reject(self, check: FitCheck, node: NodeState, pod_key: str) -> Rejection | None:
        """As `FitCheck.reject`, and the pod must also fit once the pods nominated to the node have come.

        That they would upset the spread is no reason: those nominated to other nodes even it out. Nor is one that asks
        for the same, if the pod can offer it a place elsewhere (see `trade_nomination`).
        """
        verdict = check.reject(node)
        if verdict is not None or not node.nominated:
            return verdict
        expected = [
            pod
            for pod in node.nominated.values()
            if pod.key != pod_key and pod.requirements.priority >= check.requirements.priority
        ]
        twin = self._twin(check.requirements, node) if pod_key not in node.nominated else None
        if twin is not None and pod_key in self._nominated_to:
            expected.remove(twin)
        with self.supposing(node, arrived=expected):
            return check.reject(node, spreads=False)

    @contextmanager
    def supposing(
        self, node: NodeState, *, arrived: list[PlacedPod] | None = None, left: list[PlacedPod] | None = None
    ) -> Iterator[None]:
        """The cluster as it would be if some pods had come to a node, or gone from it; undone at the end."""
        for pod in left or ():
            self._unsettle(pod, node)
        for pod in arrived or ():
            self._settle(pod, node)
        try:
            yield
        finally:
            for pod in arrived or ():
                self._unsettle(pod, node)
            for pod in left or ():
                self._settle(pod, node)

    def _take_out(self, node: NodeState) -> None:
        pods = list(node.pods.values())
        for pod in pods:
            self._unsettle(pod, node)
        self.topology.remove_node(node)
        del self.nodes[node.name]
        if pods:
            self._without_node[node.name] = {pod.key: pod for pod in pods}
        for memory in self._rules.values():
            memory.verdicts.pop(node.name, None)

    def _settle(self, pod: PlacedPod, node: NodeState) -> None:
        node.add(pod)
        self.topology.add_pod(pod, node.name)
        requirements = pod.requirements
        if requirements.anti_affinity:
            self.repelling.add(_forbidding(requirements), node)
        if requirements.affinity or requirements.preferred_pods:
            self.attracting.add(_preferring(requirements), node)

    def _unsettle(self, pod: PlacedPod, node: NodeState) -> None:
        node.remove(pod)
        self.topology.remove_pod(pod, node.name)
        requirements = pod.requirements
        if requirements.anti_affinity:
            self.repelling.remove(_forbidding(requirements), node)
        if requirements.affinity or requirements.preferred_pods:
            self.attracting.remove(_preferring(requirements), node)

    def _forget_checks(self) -> None:
        self._checks.clear()
        self._rules.clear()
        self.topology.forget_tallies()


def _forbidding(requirements: PodRequirements) -> list[WeightedAffinityTerm]:
    return [WeightedAffinityTerm(0, term) for term in requirements.anti_affinity]


def _preferring(requirements: PodRequirements) -> list[WeightedAffinityTerm]:
    # Who must be near others also likes others near: kube-scheduler's hardPodAffinityWeight is 1.
    return [*requirements.preferred_pods, *(WeightedAffinityTerm(1, term) for term in requirements.affinity)]
