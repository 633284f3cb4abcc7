"""Among nodes that fit the choice is sensible and repeatable; when none fits, the message is kube-scheduler's."""

from planning.scheduling.scheduling_builders import (
    GIB,
    HOSTNAME,
    ZONE,
    a_cluster,
    a_node,
    a_pod,
    place,
    selecting,
)
from stratos.apis.node import Taint
from stratos.apis.pod import (
    Affinity,
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodSpec,
    PreferredNode,
    SelectorRequirement,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from stratos.planning.scheduling.choice import Choice, choose_node
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of


def choose(cluster: ClusterState, pod: Pod, *, nominated: str = "") -> Choice:
    return choose_node(cluster, requirements_of(pod), pod.metadata.key, nominated=nominated)


def test_the_roomiest_node_is_chosen() -> None:
    cluster = a_cluster(a_node("a"), a_node("b"))
    place(cluster, a_pod("other", requests={"cpu": "1", "memory": "4Gi"}), "a")

    assert choose(cluster, a_pod()).node == "b"


def test_pods_without_requests_do_not_pile_up() -> None:
    cluster = a_cluster(a_node("a"), a_node("b"))
    place(cluster, a_pod("other"), "a")

    assert choose(cluster, a_pod()).node == "b"


def test_among_equals_the_first_by_name_is_chosen() -> None:
    assert choose(a_cluster(a_node("c"), a_node("a"), a_node("b")), a_pod()).node == "a"


def test_a_taint_that_prefers_others_is_avoided_while_there_are_others() -> None:
    cluster = a_cluster(a_node("a", taints=[Taint(key="old", effect="PreferNoSchedule")]), a_node("b"))
    place(cluster, a_pod("other", requests={"cpu": "2", "memory": "8Gi"}), "b")

    assert choose(cluster, a_pod()).node == "b"


def test_preferred_nodes_are_preferred() -> None:
    term = NodeSelectorTerm(match_expressions=(SelectorRequirement(key=ZONE, operator="In", values=("b",)),))
    affinity = Affinity(node_affinity=NodeAffinity(preferred=(PreferredNode(weight=1, preference=term),)))

    choice = choose(a_cluster(a_node("a", zone="a"), a_node("b", zone="b")), a_pod(spec=PodSpec(affinity=affinity)))

    assert choice.node == "b"


def test_preferred_company_attracts_and_preferred_distance_repels() -> None:
    web = WeightedPodAffinityTerm(
        weight=10, pod_affinity_term=PodAffinityTerm(topology_key=ZONE, label_selector=selecting(app="web"))
    )
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    place(cluster, a_pod("web", labels={"app": "web"}), "b")

    near = a_pod(spec=PodSpec(affinity=Affinity(pod_affinity=PodAffinity(preferred=(web,)))))
    far = a_pod(spec=PodSpec(affinity=Affinity(pod_anti_affinity=PodAffinity(preferred=(web,)))))

    assert choose(cluster, near).node == "b"
    assert choose(cluster, far).node == "a"


def test_placed_pods_attract_those_they_prefer() -> None:
    web = WeightedPodAffinityTerm(
        weight=10, pod_affinity_term=PodAffinityTerm(topology_key=ZONE, label_selector=selecting(app="web"))
    )
    cluster = a_cluster(a_node("a", zone="a"), a_node("b", zone="b"))
    fan = a_pod("fan", spec=PodSpec(affinity=Affinity(pod_affinity=PodAffinity(preferred=(web,)))))
    place(cluster, fan, "b")

    assert choose(cluster, a_pod(labels={"app": "web"})).node == "b"


def test_a_soft_spread_goes_where_fewest_are() -> None:
    constraint = TopologySpreadConstraint(
        max_skew=1, topology_key=HOSTNAME, when_unsatisfiable="ScheduleAnyway", label_selector=selecting(app="web")
    )
    cluster = a_cluster(a_node("a"), a_node("b", cpu=2000, memory=8 * GIB))
    place(cluster, a_pod("web", labels={"app": "web"}), "a")

    pod = a_pod(labels={"app": "web"}, spec=PodSpec(topology_spread_constraints=(constraint,)))

    assert choose(cluster, pod).node == "b"


def test_the_message_counts_and_sorts_the_reasons() -> None:
    standby = [Taint(key="stratos.sh/standby", effect="NoExecute")]
    cluster = a_cluster(
        *(a_node(f"small-{index}", cpu=1000) for index in range(2)),
        *(a_node(f"standby-{index}", taints=standby) for index in range(3)),
    )

    choice = choose(cluster, a_pod(requests={"cpu": "2"}))

    assert choice.node is None
    assert choice.message == (
        "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint {stratos.sh/standby: }."
    )


def test_the_message_of_an_empty_cluster_says_so() -> None:
    assert choose(a_cluster(), a_pod()).message == "no nodes available to schedule pods"


def test_room_kept_for_a_nominated_pod_is_not_given_to_lesser_ones() -> None:
    """Its victims left to make that room; whoever is less important must not slip in."""
    cluster = a_cluster(a_node("a", cpu=1000))
    important = a_pod("important", requests={"cpu": "1"}, priority=10)
    cluster.nominate(PlacedPod(important.metadata.key, requirements_of(important)), "a")

    assert choose(cluster, a_pod(requests={"cpu": "1"})).node is None
    assert choose(cluster, important, nominated="a").node == "a"
    assert choose(cluster, a_pod("more-important", requests={"cpu": "1"}, priority=11)).node == "a"

    cluster.withdraw_nomination(important.metadata.key)
    assert choose(cluster, a_pod(requests={"cpu": "1"})).node == "a"
