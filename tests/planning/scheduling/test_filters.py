"""One table or example for each rule that keeps a pod off a node, with the words kube-scheduler has for it."""

from dataclasses import replace

import pytest

from planning.scheduling.scheduling_builders import (
    GIB,
    HOSTNAME,
    ZONE,
    a_cluster,
    a_node,
    a_pod,
    apart,
    fits,
    on_nodes,
    place,
    reasons,
    selecting,
    spread_over,
    together,
)
from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Taint
from stratos.apis.persistentvolume import CSIVolumeSource, PersistentVolume, PersistentVolumeSpec, VolumeNodeAffinity
from stratos.apis.pod import (
    Affinity,
    Container,
    ContainerPort,
    LabelSelectorSpec,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    PodAffinityTerm,
    PodSpec,
    ResourceRequirements,
    SelectorRequirement,
    Toleration,
)
from stratos.base.errors import Invalid
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requests import effective_requests
from stratos.planning.scheduling.requirements import requirements_of
from stratos.planning.scheduling.volumes import volume_needs

NODE_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
SPREAD = "node(s) didn't match pod topology spread constraints"


# Resources


def a_container(cpu: str, *, sidecar: bool = False) -> Container:
    policy = "Always" if sidecar else None
    return Container(resources=ResourceRequirements(requests={"cpu": cpu}), restart_policy=policy)


@pytest.mark.parametrize(
    ("containers", "init_containers", "overhead", "millicores"),
    [
        (["1", "500m"], [], None, 1500),
        (["1"], [a_container("3")], None, 3000),
        (["1"], [a_container("3"), a_container("2")], None, 3000),
        (["2"], [a_container("1", sidecar=True)], None, 3000),
        (["1"], [a_container("1", sidecar=True), a_container("3")], None, 4000),
        (["1"], [a_container("3"), a_container("1", sidecar=True)], None, 3000),
        (["1"], [a_container("3")], "250m", 3250),
    ],
)
def test_a_pod_needs_the_most_it_ever_uses_at_once(
    containers: list[str], init_containers: list[Container], overhead: str | None, millicores: int
) -> None:
    """Init containers run before, sidecars beside: only what overlaps adds up."""
    spec = PodSpec(
        containers=tuple(a_container(cpu) for cpu in containers),
        init_containers=tuple(init_containers),
        overhead={"cpu": overhead} if overhead else None,
    )

    assert effective_requests(spec)["cpu"] == millicores


def test_a_limit_without_a_request_is_a_request() -> None:
    container = Container(resources=ResourceRequirements(limits={"cpu": "2", "memory": "1Gi"}, requests={"cpu": "1"}))

    assert effective_requests(PodSpec(containers=(container,))) == {"cpu": 1000, "memory": GIB}


def test_what_a_pod_requests_as_a_whole_stands_for_its_containers() -> None:
    """Resources that are not named for the whole pod are still the sum of its containers'."""
    container = Container(resources=ResourceRequirements(requests={"cpu": "1", "memory": "1Gi"}))
    whole = ResourceRequirements(requests={"cpu": "3"})
    spec = PodSpec(containers=(container, container), resources=whole, overhead={"cpu": "250m"})

    assert effective_requests(spec) == {"cpu": 3250, "memory": 2 * GIB}


def test_every_resource_that_is_short_is_named() -> None:
    cluster = a_cluster(a_node("small", cpu=1000, memory=GIB, pods=1), a_node("full", pods=1))
    place(cluster, a_pod("other", requests={"cpu": "500m"}), "small")
    place(cluster, a_pod("another"), "full")

    assert reasons(cluster, a_pod(requests={"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"})) == {
        "small": "Too many pods, Insufficient cpu, Insufficient memory, Insufficient nvidia.com/gpu",
        "full": "Too many pods, Insufficient nvidia.com/gpu",
    }


def test_what_exactly_fits_does_fit() -> None:
    cluster = a_cluster(a_node("gpu", cpu=2000, extended={"nvidia.com/gpu": 2}))
    place(cluster, a_pod("other", requests={"cpu": "1", "nvidia.com/gpu": "1"}), "gpu")

    assert fits(cluster, a_pod(requests={"cpu": "1", "nvidia.com/gpu": "1"})) == ["gpu"]


def test_a_quantity_without_meaning_is_an_error_that_names_the_field() -> None:
    with pytest.raises(Invalid, match=r"spec\.containers\[0\]\.resources\.requests\[cpu\]"):
        requirements_of(a_pod(requests={"cpu": "plenty"}))


# Labels, names, taints


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ("8", "16"), ["eight"]),
        ("NotIn", ("8",), ["four", "none"]),
        ("Exists", (), ["eight", "four"]),
        ("DoesNotExist", (), ["none"]),
        ("Gt", ("4",), ["eight"]),
        ("Lt", ("8",), ["four"]),
    ],
)
def test_node_affinity_knows_all_operators(operator: str, values: tuple[str, ...], expected: list[str]) -> None:
    cluster = a_cluster(a_node("eight", labels={"cores": "8"}), a_node("four", labels={"cores": "4"}), a_node("none"))
    affinity = on_nodes(SelectorRequirement(key="cores", operator=operator, values=values))

    assert fits(cluster, a_pod(spec=PodSpec(affinity=affinity))) == expected


def test_selector_and_affinity_must_both_hold() -> None:
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    spec = PodSpec(
        node_selector={ZONE: "a"}, affinity=on_nodes(SelectorRequirement(key=ZONE, operator="In", values=("b",)))
    )

    assert reasons(cluster, a_pod(spec=spec)) == {"a": NODE_AFFINITY, "b": NODE_AFFINITY}


def test_a_term_that_states_nothing_selects_no_node() -> None:
    nothing = Affinity(node_affinity=NodeAffinity(required=NodeSelector(node_selector_terms=(NodeSelectorTerm(),))))

    assert reasons(a_cluster(a_node("a")), a_pod(spec=PodSpec(affinity=nothing))) == {"a": NODE_AFFINITY}


def test_a_pod_pinned_by_name_is_kept_off_all_other_nodes() -> None:
    """DaemonSet pods are pinned this way."""
    cluster = a_cluster(a_node("mine"), a_node("other"))
    affinity = on_nodes(fields=(SelectorRequirement(key="metadata.name", operator="In", values=("mine",)),))

    assert reasons(cluster, a_pod(spec=PodSpec(affinity=affinity))) == {
        "mine": "",
        "other": "node(s) didn't satisfy plugin(s) [NodeAffinity]",
    }


def test_an_unknown_operator_is_an_error_that_names_the_field() -> None:
    affinity = on_nodes(SelectorRequirement(key="cores", operator="Near", values=("8",)))

    with pytest.raises(Invalid, match=r"nodeSelectorTerms\[0\]\.matchExpressions\[0\]\.operator"):
        requirements_of(a_pod(spec=PodSpec(affinity=affinity)))


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration(key="gpu", operator="Equal", value="yes", effect="NoSchedule"), True),
        (Toleration(key="gpu", value="yes"), True),
        (Toleration(key="gpu", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(key="gpu", value="no"), False),
        (Toleration(key="gpu", operator="Exists", effect="NoExecute"), False),
        (Toleration(key="other", operator="Exists"), False),
    ],
)
def test_a_taint_repels_whoever_does_not_tolerate_it(toleration: Toleration, tolerated: bool) -> None:
    cluster = a_cluster(a_node("a", taints=[Taint(key="gpu", value="yes", effect="NoSchedule")]))
    pod = a_pod(spec=PodSpec(tolerations=(toleration,)))

    assert reasons(cluster, pod) == {"a": "" if tolerated else "node(s) had untolerated taint {gpu: yes}"}


def test_a_taint_that_only_prefers_repels_nobody() -> None:
    cluster = a_cluster(a_node("a", taints=[Taint(key="old", effect="PreferNoSchedule")]))

    assert fits(cluster, a_pod()) == ["a"]


def test_a_cordoned_node_takes_only_those_who_tolerate_that() -> None:
    cluster = a_cluster(a_node("a", unschedulable=True))
    daemon = PodSpec(tolerations=(Toleration(key="node.kubernetes.io/unschedulable", operator="Exists"),))

    assert reasons(cluster, a_pod()) == {"a": "node(s) were unschedulable"}
    assert fits(cluster, a_pod(spec=daemon)) == ["a"]


# Host ports


def on_port(number: int, ip: str = "", protocol: str = "TCP") -> PodSpec:
    port = ContainerPort(container_port=number, host_port=number, host_ip=ip, protocol=protocol)
    return PodSpec(containers=(Container(ports=(port,)),))


@pytest.mark.parametrize(
    ("wanted", "free"),
    [
        (on_port(80), False),
        (on_port(81), True),
        (on_port(80, protocol="UDP"), True),
        (on_port(80, ip="10.0.0.1"), False),
        (on_port(80, ip="10.0.0.2"), True),
        (on_port(80, ip="0.0.0.0"), False),
    ],
)
def test_a_host_port_serves_one_pod_per_address(wanted: PodSpec, free: bool) -> None:
    cluster = a_cluster(a_node("a"))
    place(cluster, a_pod("other", spec=on_port(80, ip="10.0.0.1")), "a")

    expected = "" if free else "node(s) didn't have free ports for the requested pod ports"
    assert reasons(cluster, a_pod(spec=wanted)) == {"a": expected}


def test_a_port_is_free_again_when_its_pod_has_left() -> None:
    cluster = a_cluster(a_node("a"))
    other = place(cluster, a_pod("other", spec=on_port(80)), "a")
    assert fits(cluster, a_pod(spec=on_port(80))) == []

    cluster.remove_pod(other.key)

    assert fits(cluster, a_pod(spec=on_port(80))) == ["a"]


# Pods together and apart

WEB_IN_ZONE = PodAffinityTerm(topology_key=ZONE, label_selector=selecting(app="web"))


def test_affinity_follows_others_into_their_domain() -> None:
    cluster = a_cluster(a_node("a1", zone="a"), a_node("a2", zone="a"), a_node("b", zone="b"), a_node("nowhere"))
    place(cluster, a_pod("web", labels={"app": "web"}), "a1")

    client = a_pod(spec=PodSpec(affinity=together(WEB_IN_ZONE)))

    refused = "node(s) didn't match pod affinity rules"
    assert reasons(cluster, client) == {"a1": "", "a2": "", "b": refused, "nowhere": refused}


def test_the_first_of_a_group_may_start_anywhere_its_domains_exist() -> None:
    """Without this exception a group that wants to be together could never begin."""
    cluster = a_cluster(a_node("a", zone="a"), a_node("nowhere"))
    first = a_pod(labels={"app": "web"}, spec=PodSpec(affinity=together(WEB_IN_ZONE)))
    stranger = a_pod(labels={"app": "db"}, spec=PodSpec(affinity=together(WEB_IN_ZONE)))

    assert fits(cluster, first) == ["a"]
    assert fits(cluster, stranger) == []


def test_anti_affinity_holds_in_both_directions() -> None:
    """Whoever came first, a pod that wants to be alone stays alone."""
    alone = a_pod("alone", labels={"app": "db"}, spec=PodSpec(affinity=apart(WEB_IN_ZONE)))
    web = a_pod("web", labels={"app": "web"})
    first_web, first_alone = (a_cluster(a_node("a", zone="a"), a_node("b", zone="b")) for _ in range(2))
    place(first_web, web, "a")
    place(first_alone, alone, "a")

    assert reasons(first_web, alone) == {"a": "node(s) didn't match pod anti-affinity rules", "b": ""}
    assert reasons(first_alone, web) == {"a": "node(s) didn't satisfy existing pods anti-affinity rules", "b": ""}


@pytest.mark.parametrize(
    ("term", "seen"),
    [
        (PodAffinityTerm(topology_key=ZONE, label_selector=LabelSelectorSpec()), ["default"]),
        (PodAffinityTerm(topology_key=ZONE, label_selector=LabelSelectorSpec(), namespaces=("blue",)), ["blue"]),
        (
            PodAffinityTerm(
                topology_key=ZONE, label_selector=LabelSelectorSpec(), namespace_selector=LabelSelectorSpec()
            ),
            ["default", "blue", "green"],
        ),
        (
            PodAffinityTerm(
                topology_key=ZONE,
                label_selector=LabelSelectorSpec(),
                namespaces=("blue",),
                namespace_selector=selecting(team="b"),
            ),
            ["blue", "green"],
        ),
        (PodAffinityTerm(topology_key=ZONE), []),
    ],
)
def test_a_term_speaks_of_the_namespaces_it_names(term: PodAffinityTerm, seen: list[str]) -> None:
    namespaces = {"default": {}, "blue": {"team": "a"}, "green": {"team": "b"}}
    repelled = []
    for namespace in namespaces:
        cluster = a_cluster(a_node("a", zone="a"), namespaces=namespaces)
        place(cluster, a_pod("other", namespace=namespace), "a")
        if not fits(cluster, a_pod(spec=PodSpec(affinity=apart(term)))):
            repelled.append(namespace)

    assert repelled == seen


def test_label_keys_narrow_a_term_to_pods_of_the_same_or_of_another_value() -> None:
    """A rollout compares new pods with new ones: this is what the keys are for."""
    cluster = a_cluster(a_node("a", zone="a"))
    place(cluster, a_pod("old", labels={"app": "web", "release": "1"}), "a")
    same = PodAffinityTerm(topology_key=ZONE, label_selector=selecting(app="web"), match_label_keys=("release",))
    other = PodAffinityTerm(topology_key=ZONE, label_selector=selecting(app="web"), mismatch_label_keys=("release",))

    def new(release: str, term: PodAffinityTerm) -> list[str]:
        return fits(cluster, a_pod(labels={"app": "web", "release": release}, spec=PodSpec(affinity=apart(term))))

    assert (new("1", same), new("2", same)) == ([], ["a"])
    assert (new("1", other), new("2", other)) == (["a"], [])


# Topology spread

WEB = {"app": "web"}


def test_spread_keeps_domains_level() -> None:
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"), a_node("nowhere"))
    place(cluster, a_pod("web", labels=WEB), "a")
    web = a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(spread_over(ZONE, selecting(app="web")),)))

    assert reasons(cluster, web) == {"a": SPREAD, "b": "", "nowhere": f"{SPREAD} (missing required label)"}


def test_too_few_domains_count_as_if_one_were_empty() -> None:
    """`minDomains` is how a workload asks for zones that do not exist yet."""
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    for zone in ("a", "b"):
        place(cluster, a_pod(f"web-{zone}", labels=WEB), zone)

    def web(min_domains: int) -> list[str]:
        constraint = spread_over(ZONE, selecting(app="web"), min_domains=min_domains)
        return fits(cluster, a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(constraint,))))

    assert web(2) == ["a", "b"]
    assert web(3) == []


def test_terminating_pods_are_spread_no_more() -> None:
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    place(cluster, a_pod("web", labels=WEB), "a", terminating=True)
    web = a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(spread_over(ZONE, selecting(app="web")),)))

    assert fits(cluster, web) == ["a", "b"]


@pytest.mark.parametrize(("policy", "expected"), [("Honor", ["a"]), ("Ignore", [])])
def test_nodes_the_pod_does_not_select_are_left_out_of_its_spread(policy: str, expected: list[str]) -> None:
    """An empty zone that the pod cannot use must not hold it back, unless it says so."""
    cluster = a_cluster(a_node("a", zone="a", labels={"pool": "x"}), a_node("b", zone="b"))
    place(cluster, a_pod("web", labels=WEB), "a")
    constraint = spread_over(ZONE, selecting(app="web"), affinity_policy=policy)
    spec = PodSpec(node_selector={"pool": "x"}, topology_spread_constraints=(constraint,))

    assert fits(cluster, a_pod(labels=WEB, spec=spec)) == expected


@pytest.mark.parametrize(("policy", "expected"), [("Ignore", []), ("Honor", ["a"])])
def test_tainted_nodes_are_left_out_of_a_spread_on_request(policy: str, expected: list[str]) -> None:
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b", taints=[Taint(key="x", effect="NoSchedule")]))
    place(cluster, a_pod("web", labels=WEB), "a")
    constraint = spread_over(ZONE, selecting(app="web"), taints_policy=policy)

    assert fits(cluster, a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(constraint,)))) == expected


def test_a_new_empty_domain_counts_at_once() -> None:
    cluster = a_cluster(a_node("a", zone="a"))
    place(cluster, a_pod("web", labels=WEB), "a")
    web = a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(spread_over(ZONE, selecting(app="web")),)))
    assert fits(cluster, web) == ["a"]

    cluster.set_node(a_node("b", zone="b"))
    assert fits(cluster, web) == ["b"]

    cluster.remove_node("b")
    assert fits(cluster, web) == ["a"]


def test_a_node_that_is_relabelled_takes_its_pods_along() -> None:
    cluster = a_cluster(a_node("n", zone="a"), a_node("other", zone="b"))
    place(cluster, a_pod("web", labels=WEB), "n")
    client = a_pod(spec=PodSpec(affinity=together(WEB_IN_ZONE)))
    assert fits(cluster, client) == ["n"]

    cluster.set_node(a_node("n", zone="b"))

    assert fits(cluster, client) == ["n", "other"]


def test_pods_seen_before_their_node_count_once_it_comes() -> None:
    """Watches of pods and nodes are not in step."""
    cluster = a_cluster()
    place(cluster, a_pod("early", requests={"cpu": "3"}), "late")

    cluster.set_node(a_node("late", cpu=4000))

    assert reasons(cluster, a_pod(requests={"cpu": "2"})) == {"late": "Insufficient cpu"}
    assert cluster.nodes["late"].labels[HOSTNAME] == "late"


# Volumes


def a_volume(handle: str, *, zone: str | None = None, labels: dict[str, str] | None = None) -> PersistentVolume:
    affinity = None
    if zone:
        expression = SelectorRequirement(key=ZONE, operator="In", values=(zone,))
        term = NodeSelectorTerm(match_expressions=(expression,))
        affinity = VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,)))
    csi = CSIVolumeSource(driver="disk.example.com", volume_handle=handle)
    return PersistentVolume(
        metadata=ObjectMeta(name=handle, labels=labels or {}),
        spec=PersistentVolumeSpec(node_affinity=affinity, csi=csi),
    )


def reasons_with(cluster: ClusterState, *volumes: PersistentVolume) -> dict[str, str]:
    check = cluster.check(requirements_of(a_pod(), volumes=volume_needs(volumes)))
    verdicts = {name: check.reject(node) for name, node in cluster.nodes.items()}
    return {name: ", ".join(verdict.reasons) if verdict else "" for name, verdict in verdicts.items()}


def test_a_pod_follows_its_volumes() -> None:
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))

    assert reasons_with(cluster, a_volume("disk", zone="a")) == {
        "a": "",
        "b": "node(s) had volume node affinity conflict",
    }
    assert reasons_with(cluster, a_volume("old", labels={ZONE: "b__c"})) == {
        "a": "node(s) had no available volume zone",
        "b": "",
    }


def test_a_node_attaches_only_so_many_volumes_and_a_shared_one_counts_once() -> None:
    limited = replace(a_node("limited"), attach_limits={"disk.example.com": 2})
    cluster = a_cluster(limited, a_node("unlimited"))
    for name in ("one", "two"):
        requirements = requirements_of(a_pod(name), volumes=volume_needs([a_volume(name)]))
        cluster.add_pod(PlacedPod(name, requirements), "limited")

    assert reasons_with(cluster, a_volume("three")) == {
        "limited": "node(s) exceed max volume count",
        "unlimited": "",
    }
    assert reasons_with(cluster, a_volume("two")) == {"limited": "", "unlimited": ""}

    cluster.remove_pod("one")
    assert reasons_with(cluster, a_volume("three")) == {"limited": "", "unlimited": ""}


def test_more_kinds_of_pods_than_are_remembered_change_no_verdict() -> None:
    """What was counted for earlier kinds is forgotten at some point, and must be counted again when asked for."""
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    place(cluster, a_pod("web", labels=WEB), "a")
    web = a_pod(labels=WEB, spec=PodSpec(topology_spread_constraints=(spread_over(ZONE, selecting(app="web")),)))
    before = fits(cluster, web)

    for index in range(5000):
        cluster.check(requirements_of(a_pod(requests={"cpu": f"{index}m"})))
    place(cluster, a_pod("web-2", labels=WEB), "b")
    place(cluster, a_pod("web-3", labels=WEB), "b")

    assert before == ["b"]
    assert fits(cluster, web) == ["a"]
