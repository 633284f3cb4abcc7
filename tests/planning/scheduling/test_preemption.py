"""Preemption takes as little as it can, from whom it hurts least, and never from equals."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planning.scheduling.scheduling_builders import a_cluster, a_node, a_pod, fits, place
from stratos.apis.node import Taint
from stratos.apis.pod import Container, Pod, PodSpec, ResourceRequirements
from stratos.base.selectors import from_match_labels
from stratos.planning.scheduling.choice import choose_node
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.preemption import DisruptionBudget, Preemption, plan_preemption
from stratos.planning.scheduling.requirements import requirements_of


def preempt(
    cluster: ClusterState, pod: Pod, *budgets: DisruptionBudget, nominated: str = ""
) -> tuple[Preemption, list[str]]:
    requirements = requirements_of(pod)
    choice = choose_node(cluster, requirements, pod.metadata.key)
    assert choice.node is None, "preemption is for pods that fit nowhere"
    plan = plan_preemption(cluster, requirements, pod.metadata.key, choice, budgets, nominated=nominated)
    return plan, [victim.key.partition("/")[2] for victim in plan.victims]


def important(cpu: str = "1") -> Pod:
    return a_pod("important", requests={"cpu": cpu}, priority=10)


def test_only_as_many_leave_as_must_and_the_least_important_first() -> None:
    cluster = a_cluster(a_node("a", cpu=3000))
    for priority in (1, 2, 3):
        place(cluster, a_pod(f"p{priority}", requests={"cpu": "1"}, priority=priority), "a")

    plan, victims = preempt(cluster, important("2"))

    assert plan.node == "a"
    assert victims == ["p2", "p1"]


def test_of_equal_priority_the_one_that_started_last_leaves() -> None:
    cluster = a_cluster(a_node("a", cpu=2000))
    for hour, name in ((9, "old"), (10, "young")):
        place(cluster, a_pod(name, requests={"cpu": "1"}), "a", started_at=datetime(2026, 1, 1, hour, tzinfo=UTC))

    assert preempt(cluster, important())[1] == ["young"]


def test_a_budget_is_respected_where_there_is_a_choice() -> None:
    cluster = a_cluster(a_node("a", cpu=1000), a_node("b", cpu=1000))
    place(cluster, a_pod("guarded", labels={"app": "db"}, requests={"cpu": "1"}), "a")
    place(cluster, a_pod("free", requests={"cpu": "1"}, priority=5), "b")
    budget = DisruptionBudget("default", from_match_labels({"app": "db"}), allowed=0)

    plan, victims = preempt(cluster, important(), budget)

    assert (plan.node, victims, plan.budgets_violated) == ("b", ["free"], 0)


def test_priority_outranks_a_budget_where_there_is_none() -> None:
    cluster = a_cluster(a_node("a", cpu=1000))
    place(cluster, a_pod("guarded", labels={"app": "db"}, requests={"cpu": "1"}), "a")

    plan, victims = preempt(cluster, important(), DisruptionBudget("default", from_match_labels({"app": "db"}), 0))

    assert (victims, plan.budgets_violated) == (["guarded"], 1)


def test_the_node_is_chosen_whose_worst_loss_is_least_then_with_fewest_victims() -> None:
    cluster = a_cluster(a_node("high", cpu=2000), a_node("many", cpu=2000), a_node("one", cpu=2000))
    place(cluster, a_pod("h", requests={"cpu": "2"}, priority=5), "high")
    for index in range(2):
        place(cluster, a_pod(f"m{index}", requests={"cpu": "1"}, priority=1), "many")
    place(cluster, a_pod("o", requests={"cpu": "2"}, priority=1), "one")

    plan, victims = preempt(cluster, important("2"))

    assert (plan.node, victims) == ("one", ["o"])


def test_equals_are_never_victims_and_the_message_says_what_was_tried() -> None:
    taint = [Taint(key="x", effect="NoSchedule")]
    cluster = a_cluster(a_node("a", cpu=1000), a_node("tainted", taints=taint), a_node("small", cpu=500))
    place(cluster, a_pod("equal", requests={"cpu": "1"}, priority=10), "a")

    plan, _ = preempt(cluster, important())

    assert plan.node is None
    assert plan.message == (
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_a_pod_may_renounce_preemption() -> None:
    cluster = a_cluster(a_node("a", cpu=1000))
    place(cluster, a_pod("lesser", requests={"cpu": "1"}), "a")
    container = Container(resources=ResourceRequirements(requests={"cpu": "1"}))
    polite = PodSpec(containers=(container,), priority=10, preemption_policy="Never")

    plan, _ = preempt(cluster, a_pod(spec=polite))

    assert plan.message == "preemption: not eligible due to preemptionPolicy=Never."


def test_whoever_waits_for_its_victims_takes_no_others() -> None:
    """Victims take their grace period to leave; meanwhile nobody else has to go."""
    cluster = a_cluster(a_node("a", cpu=1000), a_node("b", cpu=1000))
    place(cluster, a_pod("leaving", requests={"cpu": "1"}), "a", terminating=True)
    place(cluster, a_pod("staying", requests={"cpu": "1"}), "b")

    plan, _ = preempt(cluster, important(), nominated="a")

    assert plan.victims_leaving
    assert plan.message == "preemption: not eligible due to a terminating pod on the nominated node."


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["500m", "1", "2"]), st.integers(0, 12)),
        max_size=12,
    ),
    st.sampled_from(["1", "2", "4"]),
)
def test_removing_the_victims_makes_room_and_removing_fewer_does_not(
    others: list[tuple[str, str, int]], cpu: str
) -> None:
    cluster = a_cluster(*(a_node(name, cpu=4000) for name in "abc"))
    for index, (node, other_cpu, priority) in enumerate(others):
        place(cluster, a_pod(f"p{index}", requests={"cpu": other_cpu}, priority=priority), node)
    if fits(cluster, important(cpu)):
        return
    before = {name: set(node.pods) for name, node in cluster.nodes.items()}

    plan, _ = preempt(cluster, important(cpu))

    assert {name: set(node.pods) for name, node in cluster.nodes.items()} == before
    if plan.node is None:
        return
    assert all(victim.requirements.priority < 10 for victim in plan.victims)
    for spared in plan.victims:
        with cluster.supposing(cluster.nodes[plan.node], left=[each for each in plan.victims if each is not spared]):
            assert plan.node not in fits(cluster, important(cpu))
    with cluster.supposing(cluster.nodes[plan.node], left=list(plan.victims)):
        assert plan.node in fits(cluster, important(cpu))


@pytest.mark.parametrize(("allowed", "violated"), [(0, 2), (1, 1), (2, 0)])
def test_each_victim_beyond_the_budget_is_counted(allowed: int, violated: int) -> None:
    cluster = a_cluster(a_node("a", cpu=2000))
    for index in range(2):
        place(cluster, a_pod(f"p{index}", labels={"app": "db"}, requests={"cpu": "1"}), "a")
    budget = DisruptionBudget("default", from_match_labels({"app": "db"}), allowed)

    assert preempt(cluster, important("2"), budget)[0].budgets_violated == violated
