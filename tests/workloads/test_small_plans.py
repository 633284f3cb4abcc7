"""Budgets, heartbeats, taints, endpoints and owners: the smaller decisions, each with its table or its law."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import KubeObject, ObjectMeta, OwnerReference, find_condition
from stratos.apis.namespace import CONFIG_MAP
from stratos.apis.node import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from stratos.apis.pod import Pod, Toleration
from stratos.apis.poddisruptionbudget import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from stratos.apis.service import Service, ServicePort, ServiceSpec
from stratos.base.selectors import from_match_labels
from stratos.workloads.disruptionbudget.plan import plan_budget
from stratos.workloads.endpoints.plan import plan_endpoints, plan_slices
from stratos.workloads.garbage.graph import FOREGROUND, KEEP, Graph, Item, Verdict, judge
from stratos.workloads.nodelifecycle.plan import GRACE_SECONDS, plan_node
from stratos.workloads.ownership import claim
from stratos.workloads.tolerations import eviction_due
from workloads.objects import NOW, a_pod, a_taint, ago, owned_by

# Budgets


def a_budget(disrupted: dict[str, datetime] | None = None, **spec: Any) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="default", generation=1),
        spec=PodDisruptionBudgetSpec(**spec),
        status=PodDisruptionBudgetStatus(disrupted_pods=disrupted or {}),
    )


def pods(ready: int, unready: int = 0) -> list[Pod]:
    return [a_pod(f"r{number}") for number in range(ready)] + [
        a_pod(f"u{number}", ready_seconds=None) for number in range(unready)
    ]


@pytest.mark.parametrize(
    ("spec", "ready", "unready", "scale", "desired", "allowed"),
    [
        ({"max_unavailable": 1}, 3, 0, 3, 2, 1),
        ({"max_unavailable": 1}, 2, 1, 3, 2, 0),
        ({"max_unavailable": "50%"}, 5, 0, 5, 2, 3),
        ({"max_unavailable": 5}, 3, 0, 3, 0, 3),
        ({"min_available": 2}, 3, 0, 3, 2, 1),
        ({"min_available": "50%"}, 3, 0, 3, 2, 1),
        ({"min_available": "100%"}, 3, 0, 3, 3, 0),
        ({"min_available": 5}, 3, 0, 3, 5, 0),
        # While a workload scales up, what it wants counts, not what is there.
        ({"max_unavailable": 1}, 3, 0, 10, 9, 0),
    ],
)
def test_a_budget_allows_what_its_promise_leaves_over(
    spec: dict[str, Any], ready: int, unready: int, scale: int, desired: int, allowed: int
) -> None:
    status = plan_budget(a_budget(**spec), pods(ready, unready), scale, NOW).status

    assert (status.desired_healthy, status.disruptions_allowed) == (desired, allowed)
    condition = find_condition(status.conditions, "DisruptionAllowed")
    assert condition is not None
    assert condition.status == str(allowed > 0)


def test_a_budget_over_pods_nobody_scales_allows_nothing_when_it_would_need_the_scale() -> None:
    """Better no eviction than one on a guess."""
    assert plan_budget(a_budget(max_unavailable=1), pods(3), None, NOW).status.disruptions_allowed == 0
    assert plan_budget(a_budget(min_available=1), pods(3), None, NOW).status.disruptions_allowed == 2


def test_a_granted_eviction_counts_until_it_is_seen_or_two_minutes_have_passed() -> None:
    """Otherwise two drains at once would each be granted the last disruption."""
    granted = {"r0": ago(20), "r1": ago(121), "gone": ago(5)}

    plan = plan_budget(a_budget(granted, max_unavailable=2), pods(3), 3, NOW)

    assert plan.status.disrupted_pods == {"r0": ago(20)}
    assert (plan.status.current_healthy, plan.status.disruptions_allowed) == (2, 1)
    assert plan.check_again_seconds == 100


@given(ready=st.integers(0, 8), unready=st.integers(0, 8), wanted=st.integers(0, 12), least=st.integers(0, 12))
def test_evicting_all_that_is_allowed_keeps_the_promise(ready: int, unready: int, wanted: int, least: int) -> None:
    for budget in (a_budget(min_available=least), a_budget(max_unavailable=least)):
        status = plan_budget(budget, pods(ready, unready), wanted, NOW).status
        assert 0 <= status.disruptions_allowed <= ready
        if status.disruptions_allowed:
            assert ready - status.disruptions_allowed >= status.desired_healthy


# Nodes


def a_heard_node(ready: str | None = "True", *, taints: tuple[Taint, ...] = (), **spec: Any) -> Node:
    conditions = (NodeCondition(type="Ready", status=ready, last_transition_time=ago(500)),) if ready else ()
    return Node(
        metadata=ObjectMeta(name="a"), spec=NodeSpec(taints=taints, **spec), status=NodeStatus(conditions=conditions)
    )


@pytest.mark.parametrize(
    ("ready", "silent_seconds", "taint"),
    [
        ("True", 0, None),
        ("True", GRACE_SECONDS - 1, None),
        ("True", GRACE_SECONDS, "node.kubernetes.io/unreachable"),
        ("False", 0, "node.kubernetes.io/not-ready"),
        ("Unknown", 0, "node.kubernetes.io/unreachable"),
        (None, 0, "node.kubernetes.io/not-ready"),
        (None, GRACE_SECONDS, "node.kubernetes.io/unreachable"),
    ],
)
def test_what_a_node_says_and_for_how_long_it_was_silent_decides_its_taint(
    ready: str | None, silent_seconds: float, taint: str | None
) -> None:
    plan = plan_node(a_heard_node(ready), ago(silent_seconds), NOW)

    expected = {(taint, "NoSchedule"), (taint, "NoExecute")} if taint else set()
    assert {(each.key, each.effect) for each in plan.taints} == expected
    assert plan.ready == (taint is None)


def test_taints_of_others_stay_in_place_and_ours_keep_the_time_they_were_added() -> None:
    """A pod's patience counts from that time: writing the taint anew would give it more."""
    foreign = a_taint("stratos.sh/standby")
    since = a_taint("node.kubernetes.io/not-ready", "NoExecute", added_seconds=200)
    stale = a_taint("node.kubernetes.io/unreachable", "NoExecute", added_seconds=300)

    plan = plan_node(a_heard_node("False", taints=(foreign, stale, since)), NOW, NOW)

    assert plan.taints[:2] == (foreign, since)
    assert stale not in plan.taints


def test_a_cordoned_node_bears_the_taint_that_daemons_tolerate() -> None:
    plan = plan_node(a_heard_node(unschedulable=True), NOW, NOW)

    assert [(taint.key, taint.effect) for taint in plan.taints] == [("node.kubernetes.io/unschedulable", "NoSchedule")]


@pytest.mark.parametrize(
    ("tolerations", "due_in_seconds"),
    [
        ([], 0),
        ([Toleration(key="maintenance", operator="Exists")], None),
        ([Toleration(operator="Exists")], None),
        ([Toleration(key="maintenance", value="yes", toleration_seconds=60)], 50),
        ([Toleration(key="maintenance", value="no", toleration_seconds=60)], 0),
        ([Toleration(key="maintenance", operator="Exists", effect="NoSchedule")], 0),
        (
            [
                Toleration(operator="Exists", toleration_seconds=60),
                Toleration(operator="Exists", toleration_seconds=20),
            ],
            10,
        ),
        ([Toleration(operator="Exists", toleration_seconds=0)], -10),
    ],
)
def test_how_long_a_pod_stays_on_a_tainted_node(tolerations: list[Toleration], due_in_seconds: float | None) -> None:
    taints = [a_taint("maintenance", value="yes", added_seconds=10), a_taint("other", "NoSchedule")]

    due = eviction_due(taints, tolerations, NOW)

    assert due == (None if due_in_seconds is None else NOW + timedelta(seconds=due_in_seconds))


# Owners


def test_an_owner_adopts_what_it_matches_and_lets_go_of_what_it_does_not() -> None:
    owner = KubeObject(metadata=ObjectMeta(name="web", namespace="default", uid="me"))
    selector = from_match_labels({"app": "web"})
    mine, lost = a_pod("mine", owner=owned_by("me")), a_pod("lost", owner=owned_by("me"), labels={"app": "x"})
    orphan, others = a_pod("orphan"), a_pod("others", owner=owned_by("you"))
    leaving, stranger = a_pod("leaving", leaving=True), a_pod("stranger", labels={"app": "x"})

    claims = claim(owner, selector, [stranger, others, orphan, mine, lost, leaving])

    assert (claims.owned, claims.adopt, claims.release) == ((mine,), (orphan,), (lost,))


def test_an_owner_on_its_way_out_takes_and_gives_nothing() -> None:
    owner = KubeObject(metadata=ObjectMeta(name="web", namespace="default", uid="me", deletion_timestamp=NOW))
    lost = a_pod("lost", owner=owned_by("me"), labels={"app": "x"})

    claims = claim(owner, from_match_labels({"app": "web"}), [lost, a_pod("orphan")])

    assert (claims.owned, claims.adopt, claims.release) == ((lost,), (), ())


def an_object(uid: str, *owners: str, leaving: bool = False, finalizers: tuple[str, ...] = ()) -> KubeObject:
    references = tuple(
        OwnerReference(api_version="v1", kind="ConfigMap", name=each, uid=each, block_owner_deletion=True)
        for each in owners
    )
    return KubeObject(
        metadata=ObjectMeta(
            name=uid,
            namespace="default",
            uid=uid,
            owner_references=references,
            finalizers=finalizers,
            deletion_timestamp=NOW if leaving else None,
        )
    )


def a_graph(*objects: KubeObject) -> Graph:
    graph = Graph()
    for each in objects:
        graph.put(CONFIG_MAP, each)
    return graph


WAITING = an_object("waiting", leaving=True, finalizers=(FOREGROUND,))


@pytest.mark.parametrize(
    ("owners", "verdict"),
    [
        ((), KEEP),
        (("alive",), KEEP),
        (("gone",), Verdict(delete="Background")),
        (("alive", "gone"), Verdict(drop=("gone",))),
        (("unknown",), KEEP),
        (("unknown", "gone"), Verdict(drop=("gone",))),
        (("waiting",), Verdict(delete="Background")),
        (("waiting", "alive"), Verdict(drop=("waiting",))),
        (("waiting", "gone"), Verdict(delete="Background")),
    ],
)
def test_what_becomes_of_an_object_follows_from_its_owners(owners: tuple[str, ...], verdict: Verdict) -> None:
    """An owner we merely have not seen yet counts as alive: nothing is deleted on a guess."""
    child = an_object("child", *owners)
    graph = a_graph(an_object("alive"), WAITING, child)

    assert judge(Item(CONFIG_MAP, child.metadata), graph, {"gone": True, "unknown": False}) == verdict


def test_a_foreground_deletion_goes_down_the_whole_tree() -> None:
    """The grandchild must hold up the grandparent too."""
    child, grandchild = an_object("child", "waiting"), an_object("grandchild", "child")

    graph = a_graph(WAITING, child, grandchild)

    assert judge(Item(CONFIG_MAP, child.metadata), graph, {}) == Verdict(delete="Foreground")
    assert [each.metadata.uid for each in graph.blocking("waiting")] == ["child"]


def test_the_graph_forgets_references_that_were_cut() -> None:
    graph = a_graph(an_object("owner"), an_object("child", "owner"))
    graph.put(CONFIG_MAP, an_object("child"))

    assert graph.dependents("owner") == ()
    graph.remove("child")
    assert graph.get("child") is None


# Endpoints


def a_service(target: int | str | None = 8080, **spec: Any) -> Service:
    return Service(
        metadata=ObjectMeta(name="web", namespace="default", uid="s"),
        spec=ServiceSpec(
            selector={"app": "web"}, ports=(ServicePort(name="http", port=80, target_port=target),), **spec
        ),
    )


def test_a_named_port_is_looked_up_on_each_pod() -> None:
    """During a rollout two versions may listen on different ports under one name."""
    old = a_pod("old", address="10.0.0.1", ports={"http": 8080})
    new = a_pod("new", address="10.0.0.2", ports={"http": 9090})

    slices = plan_slices(a_service("http"), [old, new], {})

    assert {each["ports"][0]["port"]: each["endpoints"][0]["addresses"] for each in slices} == {
        8080: ("10.0.0.1",),
        9090: ("10.0.0.2",),
    }


def test_a_slice_holds_a_hundred_endpoints_and_no_more() -> None:
    many = [a_pod(f"p{number:03}", address=f"10.0.1.{number}") for number in range(150)]

    assert [len(each["endpoints"]) for each in plan_slices(a_service(), many, {})] == [100, 50]


def test_pods_that_leave_still_serve_in_slices_but_are_not_ready() -> None:
    """Proxies drain them; the older Endpoints has no word for that and leaves them out."""
    leaving = a_pod("leaving", leaving=True, address="10.0.0.1")

    (slice_,) = plan_slices(a_service(), [leaving], {})

    assert slice_["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}
    assert plan_endpoints(a_service(), [leaving]) == ()
