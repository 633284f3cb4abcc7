"""How many pods a ReplicaSet makes, and which it gives up: the choice decides which users notice a scale-down."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import Pod
from stratos.apis.replicaset import ReplicaSet, ReplicaSetSpec
from stratos.workloads.replicaset.plan import DELETION_COST_ANNOTATION, deletion_order, plan_replica_set
from workloads.objects import NOW, a_pod, a_template


def a_replica_set(replicas: int, *, min_ready_seconds: int = 0, leaving: bool = False) -> ReplicaSet:
    return ReplicaSet(
        metadata=ObjectMeta(
            name="web", namespace="default", uid="rs", generation=3, deletion_timestamp=NOW if leaving else None
        ),
        spec=ReplicaSetSpec(replicas=replicas, min_ready_seconds=min_ready_seconds, template=a_template()),
    )


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        ({"node": "", "phase": "Pending", "ready_seconds": None}, {"ready_seconds": None, "phase": "Pending"}),
        ({"phase": "Pending", "ready_seconds": None}, {"phase": "Unknown", "ready_seconds": None}),
        ({"phase": "Unknown"}, {"phase": "Running"}),
        ({"ready_seconds": None}, {"ready_seconds": 5}),
        ({"annotations": {DELETION_COST_ANNOTATION: "-5"}}, {"ready_seconds": 1}),
        ({}, {"annotations": {DELETION_COST_ANNOTATION: "10"}, "ready_seconds": 1}),
        ({"ready_seconds": 10}, {"ready_seconds": 500}),
        ({"restarts": 7}, {"restarts": 1}),
        ({"age_seconds": 60}, {"age_seconds": 600}),
    ],
)
def test_of_two_pods_the_one_that_would_be_missed_less_goes(goes: dict[str, Any], stays: dict[str, Any]) -> None:
    """One row for each criterion, all stronger ones being equal; weaker ones speak against where they can."""
    first, second = a_pod("z-goes", **goes), a_pod("a-stays", **stays)

    assert deletion_order([second, first]) == [first, second]
    assert deletion_order([first, second]) == [first, second]


def test_pods_doubled_up_on_a_node_go_before_one_that_is_alone() -> None:
    """Scaling down should leave pods spread out."""
    pods = [a_pod("a", node="x"), a_pod("b", node="y", ready_seconds=1), a_pod("c", node="x")]

    assert deletion_order(pods)[-1].metadata.name == "b"


def test_a_deletion_cost_that_is_no_number_counts_as_none() -> None:
    """A typo in an annotation must not stop a scale-down."""
    odd = a_pod("odd", annotations={DELETION_COST_ANNOTATION: "cheap"})

    assert deletion_order([a_pod("plain", ready_seconds=500), odd])[0] is odd


def test_a_ready_pod_counts_as_available_only_after_its_minimum_and_the_plan_says_when() -> None:
    plan = plan_replica_set(a_replica_set(2, min_ready_seconds=30), [a_pod("a", ready_seconds=10), a_pod("b")], NOW)

    assert (plan.status.ready_replicas, plan.status.available_replicas) == (2, 1)
    assert plan.check_again_seconds == 20
    assert plan.status.observed_generation == 3


def test_a_replica_set_on_its_way_out_touches_nothing() -> None:
    """What becomes of its pods is the garbage collector's to decide: they may be meant to be orphaned."""
    plan = plan_replica_set(a_replica_set(3, leaving=True), [a_pod("a")], NOW)

    assert (plan.create, plan.delete) == (0, ())


pods = st.builds(
    a_pod,
    name=st.uuids().map(str),
    phase=st.sampled_from(["Pending", "Running", "Unknown", "Succeeded", "Failed"]),
    ready_seconds=st.none() | st.floats(0, 1000),
    node=st.sampled_from(["", "a", "b"]),
    leaving=st.booleans(),
    restarts=st.integers(0, 3),
)


@given(replicas=st.integers(0, 8), present=st.lists(pods, max_size=12), seed=st.integers())
def test_a_plan_closes_the_gap_exactly_and_does_not_depend_on_order(
    replicas: int, present: list[Pod], seed: int
) -> None:
    """Neither one too many nor one too few, and the same pods whatever order a cache lists them in."""
    plan = plan_replica_set(a_replica_set(replicas), present, NOW)

    active = [pod for pod in present if not pod.finished and pod.metadata.deletion_timestamp is None]
    assert len(active) + plan.create - len(plan.delete) == replicas
    assert plan.create == 0 or plan.delete == ()
    assert all(pod in active for pod in plan.delete)
    shuffled = random.Random(seed).sample(present, len(present))
    assert plan_replica_set(a_replica_set(replicas), shuffled, NOW).delete == plan.delete
