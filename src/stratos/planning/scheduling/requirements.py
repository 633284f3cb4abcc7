"""What one pod asks of a node, compiled once and then asked thousands of times.

Pods that ask for the same have equal `PodRequirements`: it is the key under which verdicts are shared. Nothing in it
names the pod itself, and nothing in it depends on the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stratos.apis.pod import Pod, PodAffinity, PodAffinityTerm, PodSpec, Toleration
from stratos.base.selectors import LabelSelector, from_match_labels
from stratos.planning.scheduling.requests import ASSUMED_WHEN_SCORING, effective_requests, positive
from stratos.planning.scheduling.selection import (
    NodeTerm,
    NodeTerms,
    PodTerm,
    compile_label_selector,
    compile_node_selector,
    compile_node_term,
    with_label_keys,
)
from stratos.planning.scheduling.volumes import NO_VOLUMES, VolumeNeeds

Labels = tuple[tuple[str, str], ...]
ANY_IP = "0.0.0.0"


class HostPort(NamedTuple):
    protocol: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class NodeRules:
    """The part that looks at the node alone: whoever else runs there makes no difference."""

    selector: LabelSelector
    required: NodeTerms | None  # None requires nothing; no terms at all can never hold
    tolerations: tuple[Toleration, ...]
    volumes: VolumeNeeds


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    pods: PodTerm
    topology_key: str


class WeightedAffinityTerm(NamedTuple):
    weight: int  # negative for anti-affinity
    term: AffinityTerm


class WeightedNodeTerm(NamedTuple):
    weight: int
    term: NodeTerm


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    pods: PodTerm
    topology_key: str
    max_skew: int
    min_domains: int
    honors_affinity: bool
    honors_taints: bool
    counts_itself: bool  # the pod, once placed, is one of those that are spread


@dataclass(frozen=True, slots=True)
class PodRequirements:
    namespace: str
    labels: Labels
    priority: int
    may_preempt: bool
    requests: tuple[tuple[str, int], ...]  # includes the one place among the node's pods
    scored_cpu: int
    scored_memory: int
    node_rules: NodeRules
    preferred_nodes: tuple[WeightedNodeTerm, ...]
    host_ports: tuple[HostPort, ...]
    affinity: tuple[AffinityTerm, ...]
    anti_affinity: tuple[AffinityTerm, ...]
    preferred_pods: tuple[WeightedAffinityTerm, ...]
    spread: tuple[SpreadConstraint, ...]  # DoNotSchedule
    preferred_spread: tuple[SpreadConstraint, ...]  # ScheduleAnyway
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        # Hashed on every look-up, and deep: once is enough.
        parts = (
            self.namespace,
            self.labels,
            self.priority,
            self.requests,
            self.node_rules,
            self.host_ports,
            self.anti_affinity,
            self.spread,
        )
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    @property
    def looks_at_other_pods(self) -> bool:
        """Do pods on other nodes decide, too?"""
        return bool(self.affinity or self.anti_affinity or self.spread)


def requirements_of(pod: Pod, *, volumes: VolumeNeeds = NO_VOLUMES) -> PodRequirements:
    """Compile ``pod``. ``volumes`` says what the volumes it has claimed demand, see `volumes.volume_needs`.

    Raises `Invalid` naming the field when something in the pod has no meaning.
    """
    spec = pod.spec
    labels = pod.metadata.labels
    namespace = pod.metadata.namespace
    affinity, anti_affinity, preferred_pods = _compile_pod_affinity(spec, namespace, labels)
    spread, preferred_spread = _compile_spread(spec, namespace, labels)
    scored = effective_requests(spec, assumed=ASSUMED_WHEN_SCORING)
    return PodRequirements(
        namespace=namespace,
        labels=tuple(sorted(labels.items())),
        priority=spec.priority or 0,
        may_preempt=spec.preemption_policy != "Never",
        requests=(("pods", 1), *positive(effective_requests(spec))),
        scored_cpu=scored.get("cpu", 0),
        scored_memory=scored.get("memory", 0),
        node_rules=_compile_node_rules(spec, volumes),
        preferred_nodes=_compile_preferred_nodes(spec),
        host_ports=_host_ports(spec),
        affinity=affinity,
        anti_affinity=anti_affinity,
        preferred_pods=preferred_pods,
        spread=spread,
        preferred_spread=preferred_spread,
    )


def _compile_node_rules(spec: PodSpec, volumes: VolumeNeeds) -> NodeRules:
    node_affinity = spec.affinity.node_affinity if spec.affinity else None
    required = node_affinity.required if node_affinity else None
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    return NodeRules(
        selector=from_match_labels(spec.node_selector or {}),
        required=None if required is None else compile_node_selector(required, path),
        tolerations=spec.tolerations or (),
        volumes=volumes,
    )


def _compile_preferred_nodes(spec: PodSpec) -> tuple[WeightedNodeTerm, ...]:
    node_affinity = spec.affinity.node_affinity if spec.affinity else None
    path = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"
    return tuple(
        WeightedNodeTerm(preferred.weight, compile_node_term(preferred.preference, f"{path}[{index}].preference"))
        for index, preferred in enumerate(node_affinity.preferred if node_affinity else ())
    )


def _host_ports(spec: PodSpec) -> tuple[HostPort, ...]:
    sidecars = (container for container in spec.init_containers or () if container.restart_policy == "Always")
    ports = set()
    for container in (*spec.containers, *sidecars):
        for port in container.ports or ():
            # On the host's network every container port is a host port.
            number = port.host_port or (port.container_port if spec.host_network else 0)
            if number > 0:
                ports.add(HostPort(port.protocol or "TCP", port.host_ip or ANY_IP, number))
    return tuple(sorted(ports))


_Compiled = tuple[tuple[AffinityTerm, ...], tuple[AffinityTerm, ...], tuple[WeightedAffinityTerm, ...]]


def _compile_pod_affinity(spec: PodSpec, namespace: str, labels: Mapping[str, str]) -> _Compiled:
    if spec.affinity is None:
        return (), (), ()

    def required(affinity: PodAffinity | None, path: str) -> tuple[AffinityTerm, ...]:
        return tuple(
            _compile_affinity_term(term, namespace, labels, f"{path}.{_REQUIRED}[{index}]")
            for index, term in enumerate(affinity.required if affinity else ())
        )

    def preferred(affinity: PodAffinity | None, path: str, sign: int) -> tuple[WeightedAffinityTerm, ...]:
        return tuple(
            WeightedAffinityTerm(
                sign * weighted.weight,
                _compile_affinity_term(
                    weighted.pod_affinity_term, namespace, labels, f"{path}.{_PREFERRED}[{index}].podAffinityTerm"
                ),
            )
            for index, weighted in enumerate(affinity.preferred if affinity else ())
        )

    together, apart = spec.affinity.pod_affinity, spec.affinity.pod_anti_affinity
    return (
        required(together, "spec.affinity.podAffinity"),
        required(apart, "spec.affinity.podAntiAffinity"),
        preferred(together, "spec.affinity.podAffinity", 1) + preferred(apart, "spec.affinity.podAntiAffinity", -1),
    )


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _compile_affinity_term(term: PodAffinityTerm, namespace: str, labels: Mapping[str, str], path: str) -> AffinityTerm:
    names_no_namespace = not term.namespaces and term.namespace_selector is None
    selector = with_label_keys(
        compile_label_selector(term.label_selector, f"{path}.labelSelector"),
        labels,
        match=term.match_label_keys,
        mismatch=term.mismatch_label_keys,
    )
    return AffinityTerm(
        pods=PodTerm(
            namespaces=frozenset((namespace,) if names_no_namespace else term.namespaces or ()),
            namespace_selector=compile_label_selector(term.namespace_selector, f"{path}.namespaceSelector"),
            selector=selector,
        ),
        topology_key=term.topology_key,
    )


def _compile_spread(
    spec: PodSpec, namespace: str, labels: Mapping[str, str]
) -> tuple[tuple[SpreadConstraint, ...], tuple[SpreadConstraint, ...]]:
    required: list[SpreadConstraint] = []
    preferred: list[SpreadConstraint] = []
    for index, constraint in enumerate(spec.topology_spread_constraints or ()):
        path = f"spec.topologySpreadConstraints[{index}].labelSelector"
        stated = compile_label_selector(constraint.label_selector, path)
        selector = with_label_keys(stated, labels, match=constraint.match_label_keys)
        if selector is not None and not selector.requirements:
            selector = None  # here, unlike elsewhere, a selector that states nothing counts nothing
        compiled = SpreadConstraint(
            pods=PodTerm(frozenset((namespace,)), None, selector),
            topology_key=constraint.topology_key,
            max_skew=constraint.max_skew,
            min_domains=constraint.min_domains or 1,
            honors_affinity=constraint.node_affinity_policy != "Ignore",
            honors_taints=constraint.node_taints_policy == "Honor",
            counts_itself=selector is not None and selector.matches(labels),
        )
        (required if constraint.when_unsatisfiable == "DoNotSchedule" else preferred).append(compiled)
    return tuple(required), tuple(preferred)
