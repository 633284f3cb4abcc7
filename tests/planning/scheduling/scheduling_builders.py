"""Pods and nodes for the tests of scheduling: only what the test is about needs to be said."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Taint
from stratos.apis.pod import (
    Affinity,
    Container,
    LabelSelectorSpec,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    ResourceRequirements,
    SelectorRequirement,
    TopologySpreadConstraint,
)
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
GIB = 1024**3


def a_node(
    name: str,
    *,
    zone: str | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Taint] = (),
    unschedulable: bool = False,
    cpu: int = 4000,
    memory: int = 16 * GIB,
    pods: int = 110,
    extended: Mapping[str, int] | None = None,
) -> NodeDescription:
    zone_label = {ZONE: zone} if zone else {}
    return NodeDescription(
        name=name,
        labels={HOSTNAME: name, **zone_label, **(labels or {})},
        taints=tuple(taints),
        unschedulable=unschedulable,
        allocatable={"cpu": cpu, "memory": memory, "pods": pods, **(extended or {})},
    )


def a_pod(
    name: str = "pod",
    *,
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    spec: PodSpec | None = None,
    requests: Mapping[str, str] | None = None,
    priority: int = 0,
) -> Pod:
    if spec is None:
        container = Container(resources=ResourceRequirements(requests=dict(requests or {})))
        spec = PodSpec(containers=(container,), priority=priority)
    return Pod(metadata=ObjectMeta(name=name, namespace=namespace, labels=dict(labels or {})), spec=spec)


def selecting(**labels: str) -> LabelSelectorSpec:
    return LabelSelectorSpec(match_labels=labels)


def apart(*terms: PodAffinityTerm) -> Affinity:
    return Affinity(pod_anti_affinity=PodAffinity(required=terms))


def together(*terms: PodAffinityTerm) -> Affinity:
    return Affinity(pod_affinity=PodAffinity(required=terms))


def on_nodes(*expressions: SelectorRequirement, fields: tuple[SelectorRequirement, ...] = ()) -> Affinity:
    term = NodeSelectorTerm(match_expressions=expressions, match_fields=fields)
    return Affinity(node_affinity=NodeAffinity(required=NodeSelector(node_selector_terms=(term,))))


def spread_over(
    key: str,
    selector: LabelSelectorSpec | None,
    *,
    min_domains: int | None = None,
    affinity_policy: str = "Honor",
    taints_policy: str = "Ignore",
) -> TopologySpreadConstraint:
    return TopologySpreadConstraint(
        max_skew=1,
        topology_key=key,
        when_unsatisfiable="DoNotSchedule",
        label_selector=selector,
        min_domains=min_domains,
        node_affinity_policy=affinity_policy,
        node_taints_policy=taints_policy,
    )


def a_cluster(*nodes: NodeDescription, namespaces: Mapping[str, Mapping[str, str]] | None = None) -> ClusterState:
    cluster = ClusterState(namespaces)
    for node in nodes:
        cluster.set_node(node)
    return cluster


def place(
    cluster: ClusterState,
    pod: Pod,
    node: str,
    *,
    started_at: datetime | None = None,
    terminating: bool = False,
) -> PlacedPod:
    placed = PlacedPod(pod.metadata.key, requirements_of(pod), started_at=started_at, terminating=terminating)
    cluster.add_pod(placed, node)
    return placed


def reasons(cluster: ClusterState, pod: Pod) -> dict[str, str]:
    """Node by node, why the pod may not run there; empty where it may."""
    check = cluster.check(requirements_of(pod))
    found = {}
    for name, node in cluster.nodes.items():
        rejection = check.reject(node)
        found[name] = ", ".join(rejection.reasons) if rejection else ""
    return found


def fits(cluster: ClusterState, pod: Pod) -> list[str]:
    return sorted(name for name, reason in reasons(cluster, pod).items() if not reason)
