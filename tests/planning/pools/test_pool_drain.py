"""Which pods leave a node, and how: by kind of pod, and under budgets."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import LabelSelectorSpec, Pod, Volume
from stratos.apis.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetSpec
from stratos.planning.pools.drain import MIRROR_ANNOTATION, DrainPlan, plan_drain, workload_pods
from stratos.testing.pool_builders import NOW, a_pod


def drain(
    *pods: Pod, budgets: tuple[PodDisruptionBudget, ...] = (), after: float = 0.0, force: bool = True
) -> DrainPlan:
    return plan_drain(
        pods,
        budgets,
        now=NOW,
        started_at=NOW - timedelta(seconds=after),
        timeout_seconds=300,
        force_after_timeout=force,
    )


def a_budget(**match: str) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="keep", namespace="default"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelectorSpec(match_labels=match)),
    )


def with_empty_dir(pod: Pod) -> Pod:

    spec = msgspec.structs.replace(pod.spec, volumes=(Volume(name="scratch", empty_dir={}),))
    return msgspec.structs.replace(pod, spec=spec)


@pytest.mark.parametrize(
    ("pod", "leaves"),
    [
        (a_pod(node="n", phase="Running"), True),
        (with_empty_dir(a_pod(node="n", phase="Running")), True),
        (a_pod(node="n", phase="Running", owner="DaemonSet"), False),
        (a_pod(node="n", phase="Running", owner="", annotations={MIRROR_ANNOTATION: "x"}), False),
        (a_pod(node="n", phase="Succeeded"), False),
        (a_pod(node="n", phase="Failed"), False),
    ],
    ids=["ordinary", "emptyDir", "DaemonSet", "mirror", "succeeded", "failed"],
)
def test_a21_a_drain_moves_workload_and_leaves_the_nodes_own_pods(pod: Pod, leaves: bool) -> None:
    """DaemonSet pods would come straight back, and a pod with an emptyDir left behind dies unasked with the machine."""
    plan = drain(pod)

    assert bool(plan.evict) is leaves
    assert plan.done is not leaves


def test_a20_a_drain_asks_the_eviction_api_and_nothing_else_before_its_timeout() -> None:
    """The Eviction API is what keeps budgets."""
    plan = drain(a_pod("a", node="n"), a_pod("b", node="n"), after=299)

    assert plan.evict == ("default/a", "default/b")
    assert plan.delete == ()


def test_a20_after_the_timeout_only_pods_without_a_budget_are_deleted() -> None:
    """A timeout is ours; a budget is somebody else's promise."""
    guarded = a_pod("guarded", node="n", labels_={"app": "db"})

    plan = drain(a_pod("free", node="n"), guarded, budgets=(a_budget(app="db"),), after=300)

    assert plan.delete == ("default/free",)
    assert plan.evict == ("default/guarded",)
    assert "stays until PodDisruptionBudget default/keep lets it go" in " ".join(plan.report)


def test_without_force_the_timeout_changes_nothing() -> None:
    """Some would rather wait for ever than lose a pod."""
    assert drain(a_pod(node="n"), after=10_000, force=False).delete == ()


def test_a_pod_that_is_leaving_keeps_its_own_grace() -> None:
    """It was granted its time when it was evicted; only when that is over, too, is it removed."""
    within = a_pod("slow", node="n", leaving_since=NOW + timedelta(seconds=20))
    beyond = a_pod("stuck", node="n", leaving_since=NOW - timedelta(seconds=1))

    plan = drain(within, beyond, after=400)

    assert plan.leaving == ("default/slow",)
    assert plan.delete == ("default/stuck",)


def test_a_pod_whose_end_nobody_confirms_is_not_waited_for() -> None:
    """A dead kubelet confirms nothing, ever; without the machine's end the pod would hold it up for good."""
    stuck = a_pod("stuck", node="n", leaving_since=NOW - timedelta(minutes=3))

    assert drain(stuck, force=False).done
    assert not drain(a_pod("slow", node="n", leaving_since=NOW - timedelta(minutes=1)), force=False).done


pods = st.builds(
    a_pod,
    name=st.sampled_from(["a", "b", "c"]),
    node=st.just("n"),
    phase=st.sampled_from(["Pending", "Running", "Succeeded"]),
    owner=st.sampled_from(["ReplicaSet", "DaemonSet", ""]),
    labels_=st.sampled_from([{"app": "db"}, {"app": "web"}]),
)


@given(pods=st.lists(pods, max_size=3, unique_by=lambda pod: pod.metadata.name), after=st.floats(0, 1000))
def test_no_drain_ever_deletes_a_guarded_pod_and_none_forgets_one(pods: list[Pod], after: float) -> None:
    """Budgets are a law, and a machine may stop only when every pod that matters is gone."""
    plan = drain(*pods, budgets=(a_budget(app="db"),), after=after)

    guarded = {pod.metadata.key for pod in pods if pod.metadata.labels["app"] == "db"}
    assert not guarded & set(plan.delete)
    assert {*plan.evict, *plan.delete, *plan.leaving} == {pod.metadata.key for pod in workload_pods(pods)}
