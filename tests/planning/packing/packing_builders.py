"""Pods, candidates and problems for the tests of packing: only what a test is about needs to be said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Taint
from stratos.apis.pod import (
    Affinity,
    Container,
    LabelSelectorSpec,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    ResourceRequirements,
    SelectorRequirement,
    TopologySpreadConstraint,
)
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.problem import Candidate, OfferingName, PackingProblem, PodToPlace
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import requirements_of

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
GIB = 1024**3


def a_pod(
    name: str = "pod",
    *,
    cpu: str = "1",
    memory: str = "1Gi",
    labels: Mapping[str, str] | None = None,
    requests: Mapping[str, str] | None = None,
    spread: Iterable[TopologySpreadConstraint] = (),
    affinity: Affinity | None = None,
    node_selector: Mapping[str, str] | None = None,
) -> Pod:
    amounts = {"cpu": cpu, "memory": memory, **(requests or {})}
    spec = PodSpec(
        containers=(Container(resources=ResourceRequirements(requests=dict(amounts))),),
        topology_spread_constraints=tuple(spread),
        affinity=affinity,
        node_selector=dict(node_selector or {}),
    )
    return Pod(metadata=ObjectMeta(name=name, namespace="default", labels=dict(labels or {})), spec=spec)


def to_place(pod: Pod) -> PodToPlace:
    return PodToPlace(pod.metadata.key, requirements_of(pod))


def a_candidate(
    instance_type: str,
    price: float,
    *,
    cpu: int,
    gib: float,
    pods: int = 110,
    zone: str = "a",
    spot: bool = False,
    extended: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Taint] = (),
    most: int | None = None,
) -> Candidate:
    capacity_type = CapacityType.SPOT if spot else CapacityType.ON_DEMAND
    node = NodeDescription(
        name="",
        labels={ZONE: zone, "node.kubernetes.io/instance-type": instance_type, **(labels or {})},
        taints=tuple(taints),
        allocatable={"cpu": cpu, "memory": int(gib * GIB), "pods": pods, **(extended or {})},
    )
    return Candidate(OfferingName(instance_type, zone, capacity_type), node, price, most=most)


def spread_by(key: str, labels: Mapping[str, str], *, max_skew: int = 1) -> TopologySpreadConstraint:
    return TopologySpreadConstraint(
        max_skew=max_skew,
        topology_key=key,
        when_unsatisfiable="DoNotSchedule",
        label_selector=LabelSelectorSpec(match_labels=dict(labels)),
    )


def in_zone(zone: str) -> NodeSelectorTerm:
    return NodeSelectorTerm(match_expressions=(SelectorRequirement(key=ZONE, operator="In", values=(zone,)),))


def near(key: str, labels: Mapping[str, str]) -> Affinity:
    return Affinity(pod_affinity=PodAffinity(required=(_term(key, labels),)))


def apart(key: str, labels: Mapping[str, str]) -> Affinity:
    return Affinity(pod_anti_affinity=PodAffinity(required=(_term(key, labels),)))


def _term(key: str, labels: Mapping[str, str]) -> PodAffinityTerm:
    return PodAffinityTerm(topology_key=key, label_selector=LabelSelectorSpec(match_labels=dict(labels)))


def field_candidates(types: int = 400, *, zones: str = "abc") -> tuple[Candidate, ...]:
    """Types of i+1 vCPU, 2(i+1) GiB and room for 10(i+1) pods, at prices in proportion."""
    return tuple(
        a_candidate(
            f"type-{size}",
            round(0.025 * size + 0.001 * 2 * size, 6),
            cpu=1000 * size,
            gib=2 * size,
            pods=10 * size,
            zone=zone,
        )
        for size in range(1, types + 1)
        for zone in zones
    )


def field_pods(number: int, *, seed: int = 42, distinct: bool = False) -> tuple[PodToPlace, ...]:
    """One fifth each: plain, spread over zones, spread over hosts, together in a zone, on hosts apart.

    ``distinct`` adds a little to every pod's requests, so that no two ask for the same.
    """
    random = Random(seed)
    pods = []
    for index in range(number):
        cpu = random.choice((100, 250, 500, 1000, 1500))
        memory = random.choice((100, 256, 512, 1024, 2048, 4096)) * 1024
        group = {"group": random.choice("abcdefg")}
        kind = index % 5
        group["kind"] = ("plain", "zone-spread", "host-spread", "together", "apart")[kind]
        spread: tuple[TopologySpreadConstraint, ...] = ()
        affinity = None
        if kind == 1:
            spread = (spread_by(ZONE, group),)
        elif kind == 2:
            spread = (spread_by(HOSTNAME, group),)
        elif kind == 3:
            affinity = near(ZONE, group)
        elif kind == 4:
            affinity = apart(HOSTNAME, group)
        extra = index if distinct else 0
        pod = a_pod(
            f"pod-{index:06}",
            cpu=f"{cpu}m",
            memory=f"{memory + extra}Ki",
            labels=group,
            spread=spread,
            affinity=affinity,
        )
        pods.append(to_place(pod))
    return tuple(pods)


def field_problem(number: int, *, types: int = 400, distinct: bool = False) -> PackingProblem:
    return PackingProblem(pods=field_pods(number, distinct=distinct), candidates=field_candidates(types))
