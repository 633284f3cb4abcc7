"""Small random clusters in which every rule occurs and they clash often, made from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Node, NodeSpec, NodeStatus, Taint
from stratos.apis.pod import (
    Affinity,
    Container,
    ContainerPort,
    LabelSelectorSpec,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    PreferredNode,
    ResourceRequirements,
    SelectorRequirement,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
RACK = "rack"
NAMESPACES = {"blue": {"team": "a"}, "green": {"team": "b"}}


def a_random_node(random: Random, name: str) -> Node:
    labels = {ZONE: random.choice("ab"), "size": random.choice("12")}
    if random.random() < 0.6:
        labels[RACK] = random.choice("xy")
    if name:
        labels[HOSTNAME] = name
    taint = Taint(key="dedicated", value="x", effect=random.choice(["NoSchedule", "NoExecute", "PreferNoSchedule"]))
    allocatable: dict[str, str | int | float]
    allocatable = {"cpu": random.choice(["2", "4"]), "memory": random.choice(["2", "4"]), "pods": random.choice("39")}
    if random.random() < 0.5:
        allocatable["example.com/gpu"] = "2"
    return Node(
        metadata=ObjectMeta(name=name, labels=labels),
        spec=NodeSpec(taints=(taint,) if random.random() < 0.3 else (), unschedulable=random.random() < 0.05),
        status=NodeStatus(allocatable=allocatable),
    )


def a_random_pod(random: Random, name: str, *, prefers: bool = False) -> Pod:
    def maybe(share: float) -> bool:
        return random.random() < share

    requests: dict[str, str | int | float] = {"cpu": random.choice(["0", "500m", "1", "2"])}
    requests["memory"] = random.choice(["0", "1", "2"])
    if maybe(0.1):
        requests["example.com/gpu"] = random.choice("12")
    ports = (ContainerPort(container_port=80, host_port=80, host_ip=random.choice(["", "10.0.0.1", "10.0.0.2"])),)
    container = Container(resources=ResourceRequirements(requests=requests), ports=ports if maybe(0.1) else None)
    affinity = Affinity(
        node_affinity=_node_affinity(random, prefers) if maybe(0.3) else None,
        pod_affinity=_pod_affinity(random, prefers) if maybe(0.3) else None,
        pod_anti_affinity=_pod_affinity(random, prefers) if maybe(0.3) else None,
    )
    spread = tuple(_spread(random) for _ in range(random.choice([0, 0, 1, 1, 2])))
    spec = PodSpec(
        containers=(container,),
        node_selector={ZONE: "a"} if maybe(0.1) else None,
        tolerations=(Toleration(key="dedicated", operator="Exists"),) if maybe(0.4) else (),
        affinity=affinity if maybe(0.7) else None,
        topology_spread_constraints=spread if maybe(0.6) else None,
    )
    labels = random.choice([{"app": "a"}, {"app": "a"}, {"app": "a", "track": "b"}, {"app": "b", "track": "b"}, {}])
    return Pod(metadata=ObjectMeta(name=name, namespace=random.choice(sorted(NAMESPACES)), labels=labels), spec=spec)


def _selector(random: Random) -> LabelSelectorSpec | None:
    chosen = random.choice(["a", "a", "track", "not b", "all", "none"])
    if chosen == "none":
        return None
    if chosen == "not b":
        not_b = SelectorRequirement(key="app", operator="NotIn", values=("b",))
        return LabelSelectorSpec(match_expressions=(not_b,))
    wanted = {"a": {"app": "a"}, "track": {"track": "b"}, "all": {}}
    return LabelSelectorSpec(match_labels=wanted[chosen])


def _key(random: Random) -> str:
    return random.choice([HOSTNAME, HOSTNAME, ZONE, ZONE, RACK])


def _spread(random: Random) -> TopologySpreadConstraint:
    required = random.random() < 0.8
    return TopologySpreadConstraint(
        max_skew=random.choice([1, 1, 2]),
        topology_key=_key(random),
        when_unsatisfiable="DoNotSchedule" if required else "ScheduleAnyway",
        label_selector=_selector(random),
        min_domains=random.choice([None, None, 2, 3]) if required else None,
        node_affinity_policy=random.choice(["Honor", "Honor", "Ignore"]),
        node_taints_policy=random.choice(["Honor", "Ignore"]),
        match_label_keys=random.choice([None, None, ("track",)]),
    )


def _pod_affinity(random: Random, prefers: bool) -> PodAffinity:
    def term() -> PodAffinityTerm:
        elsewhere: dict[str, Any] = random.choice(
            [{}, {}, {}, {"namespaces": ("blue", "green")}, {"namespace_selector": LabelSelectorSpec()}]
        )
        return PodAffinityTerm(topology_key=_key(random), label_selector=_selector(random), **elsewhere)

    return PodAffinity(
        required=tuple(term() for _ in range(random.choice([0, 1, 1, 2]))),
        preferred=tuple(
            WeightedPodAffinityTerm(weight=random.randint(1, 100), pod_affinity_term=term())
            for _ in range(random.choice([0, 1, 2]) if prefers else 0)
        ),
    )


def _node_affinity(random: Random, prefers: bool) -> NodeAffinity:
    def term() -> NodeSelectorTerm:
        operator = random.choice(["In", "NotIn", "Exists", "DoesNotExist"])
        values = (random.choice("abxy12"),) if operator in ("In", "NotIn") else None
        key = random.choice([ZONE, RACK, "size"])
        return NodeSelectorTerm(match_expressions=(SelectorRequirement(key=key, operator=operator, values=values),))

    required = NodeSelector(node_selector_terms=tuple(term() for _ in range(random.choice([1, 2]))))
    return NodeAffinity(
        required=required if random.random() < 0.7 else None,
        preferred=tuple(
            PreferredNode(weight=random.randint(1, 100), preference=term())
            for _ in range(random.choice([0, 1, 2]) if prefers else 0)
        ),
    )
