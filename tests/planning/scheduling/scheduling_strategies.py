"""Random small clusters in which everything that scheduling looks at occurs, and clashes often."""

from datetime import UTC, datetime

from hypothesis import strategies as st

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

NAMESPACES = {"blue": {"team": "a"}, "green": {"team": "b"}}
TOPOLOGY_KEYS = ("kubernetes.io/hostname", "topology.kubernetes.io/zone", "rack")

label_values = st.sampled_from(["a", "b", "2"])
# Few values, so that pods often belong together.
pod_labels = st.sampled_from([{"app": "a"}, {"app": "a"}, {"app": "a", "track": "b"}, {"app": "b", "track": "b"}, {}])


def _optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


def _requirements(keys: list[str], operators: list[str]) -> st.SearchStrategy[SelectorRequirement]:
    def build(key: str, operator: str, values: list[str]) -> SelectorRequirement:
        if operator in ("Gt", "Lt"):
            return SelectorRequirement(key=key, operator=operator, values=("1",))
        if operator in ("Exists", "DoesNotExist"):
            return SelectorRequirement(key=key, operator=operator)
        return SelectorRequirement(key=key, operator=operator, values=tuple(values))

    values = st.lists(label_values, min_size=1, max_size=2)
    return st.builds(build, st.sampled_from(keys), st.sampled_from(operators), values)


_SET_OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"]
label_selectors = st.one_of(
    st.none(),
    st.just(LabelSelectorSpec(match_labels={"app": "a"})),
    st.just(LabelSelectorSpec(match_labels={"app": "a"})),
    st.builds(
        LabelSelectorSpec,
        match_labels=_optional(st.dictionaries(st.sampled_from(["app", "track"]), label_values, max_size=1)),
        match_expressions=_optional(st.lists(_requirements(["app", "track"], _SET_OPERATORS), max_size=1).map(tuple)),
    ),
)
label_keys = st.sampled_from([None, None, ("track",)])
pod_terms = st.builds(
    PodAffinityTerm,
    topology_key=st.sampled_from(TOPOLOGY_KEYS),
    label_selector=label_selectors,
    namespaces=st.sampled_from([None, None, ("blue",), ("blue", "green")]),
    namespace_selector=st.sampled_from(
        [None, None, LabelSelectorSpec(), LabelSelectorSpec(match_labels={"team": "b"})]
    ),
    match_label_keys=label_keys,
    mismatch_label_keys=label_keys,
)


def _few(strategy: st.SearchStrategy[object], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.one_of(st.just(()), st.lists(strategy, max_size=most).map(tuple))


pod_affinities = _optional(
    st.builds(
        PodAffinity,
        required=_few(pod_terms),
        preferred=_few(st.builds(WeightedPodAffinityTerm, weight=st.integers(1, 100), pod_affinity_term=pod_terms), 1),
    )
)
node_terms = st.builds(
    NodeSelectorTerm,
    match_expressions=_optional(_few(_requirements([*TOPOLOGY_KEYS, "cores"], [*_SET_OPERATORS, "Gt", "Lt"]), 2)),
    match_fields=st.sampled_from(
        [
            None,
            None,
            None,
            (SelectorRequirement(key="metadata.name", operator="In", values=("node-0",)),),
            (SelectorRequirement(key="metadata.name", operator="NotIn", values=("node-1",)),),
        ]
    ),
)
node_affinities = _optional(
    st.builds(
        NodeAffinity,
        required=_optional(st.builds(NodeSelector, node_selector_terms=_few(node_terms))),
        preferred=_few(st.builds(PreferredNode, weight=st.integers(1, 100), preference=node_terms), 1),
    )
)
spread_constraints = st.builds(
    lambda when_unsatisfiable, min_domains, **rest: TopologySpreadConstraint(
        when_unsatisfiable=when_unsatisfiable,
        min_domains=min_domains if when_unsatisfiable == "DoNotSchedule" else None,
        **rest,
    ),
    max_skew=st.integers(1, 2),
    topology_key=st.sampled_from(TOPOLOGY_KEYS),
    when_unsatisfiable=st.sampled_from(["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]),
    label_selector=label_selectors,
    min_domains=st.sampled_from([None, 1, 3]),
    node_affinity_policy=st.sampled_from(["Honor", "Ignore"]),
    node_taints_policy=st.sampled_from(["Honor", "Ignore"]),
    match_label_keys=label_keys,
)
taints = st.builds(
    Taint,
    key=st.sampled_from(["dedicated", "standby"]),
    value=st.sampled_from(["", "x"]),
    effect=st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
)
tolerations = st.sampled_from(
    [
        Toleration(operator="Exists"),
        Toleration(operator="Exists", effect="NoExecute"),
        Toleration(key="dedicated", operator="Exists"),
        Toleration(key="dedicated", value="x"),
        Toleration(key="dedicated", value="", effect="NoSchedule"),
        Toleration(key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule"),
    ]
)
requests = st.fixed_dictionaries(
    {}, optional={"cpu": st.sampled_from(["0", "500m", "1", "2"]), "memory": st.sampled_from(["0", "1", "2"])}
)
gpus = st.sampled_from([{}, {}, {}, {"example.com/gpu": "1"}, {"example.com/gpu": "2"}])
ports = st.builds(
    ContainerPort,
    container_port=st.just(80),
    host_port=st.sampled_from([0, 80, 81]),
    host_ip=st.sampled_from(["", "0.0.0.0", "10.0.0.1", "10.0.0.2"]),
    protocol=st.sampled_from(["TCP", "UDP"]),
)
containers = st.builds(
    Container,
    ports=_optional(_few(ports, 1)),
    resources=st.builds(
        lambda requests, gpus: ResourceRequirements(requests={**requests, **gpus}, limits=gpus), requests, gpus
    ),
    restart_policy=st.sampled_from([None, "Always"]),
)


@st.composite
def pods(draw: st.DrawFn, name: str) -> Pod:
    fancy = draw(st.booleans())
    affinity = st.builds(
        Affinity, node_affinity=node_affinities, pod_affinity=pod_affinities, pod_anti_affinity=pod_affinities
    )
    overheads: list[dict[str, str | int | float] | None] = [None, None, {"cpu": "500m"}]
    wholes = [None, None, None, ResourceRequirements(requests={"cpu": "1500m"}, limits={"memory": "1Gi"})]
    spec = PodSpec(
        containers=tuple(
            Container(ports=each.ports, resources=each.resources)
            for each in draw(st.lists(containers, min_size=1, max_size=2))
        ),
        init_containers=tuple(
            Container(resources=each.resources, restart_policy=each.restart_policy)
            for each in draw(st.lists(containers, max_size=2 if fancy else 0))
        ),
        overhead=draw(st.sampled_from(overheads)),
        resources=draw(st.sampled_from(wholes)),
        node_selector=draw(st.sampled_from([None, None, {"topology.kubernetes.io/zone": "a"}])),
        tolerations=draw(st.lists(tolerations, max_size=2).map(tuple)),
        affinity=draw(affinity) if fancy else None,
        topology_spread_constraints=draw(st.lists(spread_constraints, max_size=2).map(tuple)) if fancy else None,
        priority=draw(st.sampled_from([None, 0, 5, 10])),
    )
    terminating = draw(st.sampled_from([None, None, None, datetime(2026, 1, 1, tzinfo=UTC)]))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace=draw(st.sampled_from(sorted(NAMESPACES))),
            labels=draw(pod_labels),
            deletion_timestamp=terminating,
        ),
        spec=spec,
    )


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    labels = {"kubernetes.io/hostname": name}
    labels |= draw(st.dictionaries(st.sampled_from([*TOPOLOGY_KEYS[1:], "cores"]), label_values, max_size=3))
    amounts = draw(st.fixed_dictionaries({"cpu": st.sampled_from(["2", "4"]), "memory": st.sampled_from(["2", "4"])}))
    pods_allowed = draw(st.sampled_from(["2", "110"]))
    gpus = draw(st.sampled_from([{}, {"example.com/gpu": "2"}]))
    return Node(
        metadata=ObjectMeta(name=name, labels=labels),
        spec=NodeSpec(
            unschedulable=draw(st.sampled_from([False, False, False, True])),
            taints=draw(st.lists(taints, max_size=1).map(tuple)),
        ),
        status=NodeStatus(allocatable={**amounts, **gpus, "pods": pods_allowed}),
    )
