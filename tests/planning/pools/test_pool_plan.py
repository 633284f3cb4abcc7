"""What a pool decides: waking, launching, parking, replacing, refilling."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.daemonset import DaemonSet, DaemonSetSpec
from stratos.apis.meta import ObjectMeta, find_condition
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeState, Wanted
from stratos.apis.pod import Affinity, LabelSelectorSpec, PodAffinity, PodAffinityTerm
from stratos.planning.pools.members import PoolPlan
from stratos.planning.pools.pool import plan_pool
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.pool import ClassProblem
from stratos.testing.pool_builders import NOW, a_look, a_machine, a_pod, a_pool, a_shape

W, S, R, T = NodeState.WARMUP, NodeState.STANDBY, NodeState.RUNNING, NodeState.TERMINATING
READY = {ClaimCondition.READY: "True"}


def woken(plan: PoolPlan) -> list[str]:
    return sorted(wish.claim for wish in plan.wishes if wish.wake)


def wishes(plan: PoolPlan) -> dict[str, tuple[Wanted, str]]:
    return {wish.claim: (wish.wanted, wish.decision.reason) for wish in plan.wishes}


def launched(plan: PoolPlan, wanted: Wanted) -> int:
    return sum(new.wanted is wanted for new in plan.launches)


def condition(plan: PoolPlan, type_: str) -> tuple[str, str]:
    found = find_condition(plan.status.conditions, type_)
    assert found is not None
    return found.status, found.reason


def promised_to(*pods: str, **more: Any) -> Decision:
    return Decision(reason="ScaleUp", message="", at=NOW - timedelta(seconds=5), pods=pods, **more)


def test_daemon_pods_that_stayed_on_a_parked_node_take_their_room_once() -> None:
    """When pods look at other pods, the whole cluster is looked at, and the parked nodes with what is on them too."""
    agent = a_pod("agent", node="node-s", owner="DaemonSet", phase="Running", cpu="1500m")
    container = {"name": "main", "resources": {"requests": {"cpu": "1500m"}}}
    daemon_set = DaemonSet(
        metadata=ObjectMeta(name="agent-owner", namespace="default"),
        spec=DaemonSetSpec(template={"metadata": {}, "spec": {"containers": [container]}}),
    )
    term = PodAffinityTerm(topology_key=labels.HOSTNAME, label_selector=LabelSelectorSpec(match_labels={"app": "web"}))
    web = a_pod("web", cpu="2200m", labels_={"app": "web"}, selector={labels.POOL: "ci"})
    apart = Affinity(pod_anti_affinity=PodAffinity(required=(term,)))
    web = msgspec.structs.replace(web, spec=msgspec.structs.replace(web.spec, affinity=apart))
    parked = a_machine("s", state=S, pods=[agent])
    assert parked.node is not None
    cluster = ClusterSnapshot(NOW, (parked.node,), (agent, web), {"default": {}})

    plan = plan_pool(
        a_look(a_pool(size=1, standby=1), parked, waiting=[web], daemon_sets=(daemon_set,), cluster=cluster)
    )

    assert woken(plan) == ["s"]


# Filling


def test_a04_an_empty_pool_asks_for_its_minimum_and_not_more() -> None:
    """Machines that stand by are what the pool is for."""
    plan = plan_pool(a_look(a_pool(size=10, standby=5)))

    assert launched(plan, Wanted.STANDBY) == 5
    assert {new.zone for new in plan.launches} == {"a", "b"}
    assert [event.reason for event in plan.events] == ["Replenishing"]


def test_machines_being_prepared_or_asked_for_count_as_standby_to_come() -> None:
    """Otherwise each look would ask for more."""
    look = a_look(a_pool(size=10, standby=3), a_machine("a", state=None), a_machine("b", state=W), a_machine("c"))

    assert plan_pool(look).launches == ()


states = st.sampled_from([None, W, S, R, T])
fleets = st.lists(st.tuples(states, st.sampled_from(list(Wanted))), max_size=8)


@given(fleet=fleets, size=st.integers(1, 8), standby=st.integers(0, 8), pods=st.integers(0, 12))
def test_a16_no_plan_asks_for_more_machines_than_the_pool_may_own(
    fleet: list[tuple[NodeState | None, Wanted]], size: int, standby: int, pods: int
) -> None:
    """poolSize is a promise about the bill. It counts every machine, whatever it is doing."""
    machines = [a_machine(f"m{n}", state=state, wanted=wanted) for n, (state, wanted) in enumerate(fleet)]
    waiting = [a_pod(f"p{n}", cpu="3") for n in range(pods)]

    plan = plan_pool(a_look(a_pool(size=size, standby=min(size, standby)), *machines, waiting=waiting))

    assert len(machines) + len(plan.launches) <= max(size, len(machines))
    assert len({wish.claim for wish in plan.wishes}) == len(plan.wishes)


def test_warm_ups_that_failed_put_off_the_next_launch() -> None:
    """A broken image must not cost a machine every few minutes for ever."""
    later = NOW + timedelta(seconds=90)
    plan = plan_pool(a_look(a_pool(standby=2), launch_not_before=later))

    assert plan.launches == ()
    assert plan.report == ("2 machines are missing to minStandby and cannot be asked for now",)


def test_a_rest_that_is_over_brings_nobody_up_again() -> None:
    """A pool that is short for want of room would otherwise be looked at twenty times a second."""
    full = a_look(a_pool(size=1, standby=1), a_machine(state=R, wanted=Wanted.RUNNING), launch_not_before=NOW)

    assert plan_pool(full).look_again_seconds == 30


@pytest.mark.parametrize(
    ("reason", "retry"), [("NodeClassNotFound", 30), ("NodeClassNotReady", 10), ("CloudProviderError", 60)]
)
def test_a40_nothing_is_launched_while_the_class_is_not_ready(reason: str, retry: float) -> None:
    """A launch from half a class fails, or worse, succeeds in the wrong place."""
    problem = ClassProblem(reason, "no image matches", retry)
    plan = plan_pool(a_look(a_pool(standby=2), problem=problem))

    assert plan.launches == ()
    assert condition(plan, "Degraded") == ("True", reason)
    assert plan.look_again_seconds == min(retry, 30)


def test_a02_a_minimum_above_the_size_is_refused_and_nothing_is_done() -> None:
    """Servers that do not check our rules let it through."""
    plan = plan_pool(a_look(a_pool(size=2, standby=3), a_machine("a", state=R, wanted=Wanted.RUNNING)))

    assert plan.launches == ()
    assert plan.wishes == ()
    assert condition(plan, "Degraded") == ("True", "ValidationFailed")
    assert plan.look_again_seconds is None


# Waking


def test_a09_one_pending_pod_wakes_exactly_one_standby_machine() -> None:
    """One pod, one start, and none that is not needed."""
    plan = plan_pool(a_look(a_pool(), a_machine("a"), a_machine("b"), waiting=[a_pod(cpu="1")]))

    assert woken(plan) == ["a"]
    assert plan.wishes[0].decision.pods == ("default/web",)
    assert launched(plan, Wanted.RUNNING) == 0


def test_the_machine_that_served_last_is_woken_first() -> None:
    """Its caches are the freshest."""
    old = a_machine("a", stopped_at=NOW - timedelta(hours=2))
    fresh = a_machine("b", stopped_at=NOW - timedelta(minutes=2))

    assert woken(plan_pool(a_look(a_pool(), old, fresh, waiting=[a_pod(cpu="1")]))) == ["b"]


@pytest.mark.parametrize("state", [S, R, W, None])
def test_a12_planning_again_while_the_machine_boots_starts_nothing_more(state: NodeState | None) -> None:
    """The pod stays unschedulable for the whole boot, and every look sees it."""
    booting = a_machine(
        "a",
        state=state,
        wanted=Wanted.RUNNING,
        wakes=1,
        wakes_done=0 if state is S else 1,
        decision=promised_to("default/web"),
        ready_at=None,
    )
    plan = plan_pool(a_look(a_pool(), booting, a_machine("b"), waiting=[a_pod(cpu="1")]))

    assert woken(plan) == []
    assert launched(plan, Wanted.RUNNING) == 0
    assert [held.pod_name for held in plan.status.pod_assignments] == ["web"]


def test_a_node_that_became_ready_is_given_a_moment_and_then_no_longer_counts() -> None:
    """The scheduler needs a few milliseconds; a pod that still waits later does not fit there."""
    pods = [a_pod(cpu="1")]

    def plan_after(seconds: float) -> PoolPlan:
        ready_at = NOW - timedelta(seconds=seconds)
        up = a_machine("a", state=R, wanted=Wanted.RUNNING, ready_at=ready_at, conditions=READY)
        return plan_pool(a_look(a_pool(), up, a_machine("b"), waiting=pods))

    assert woken(plan_after(1)) == []
    assert woken(plan_after(60)) == ["b"]


def test_a16_demand_beyond_standby_is_capped_by_the_pools_size_and_the_rest_is_reported() -> None:
    """Fifty pods, three standby machines, a pool of four: three wake, one is launched cold, the rest is told."""
    machines = [a_machine(f"s{n}") for n in range(3)]
    waiting = [a_pod(f"p{n:02}", cpu="4") for n in range(50)]

    plan = plan_pool(a_look(a_pool(size=4, standby=3), *machines, waiting=waiting))

    assert len(woken(plan)) == 3
    assert launched(plan, Wanted.RUNNING) == 1
    assert plan.report[0].startswith("left waiting: 46 pods (default/p04, ")
    assert any("left waiting: 46 pods" in event.message for event in plan.events)


def test_when_no_machine_stands_by_one_in_preparation_is_taken_over() -> None:
    """It is minutes ahead of a cold launch, and need not be stopped and started first."""
    plan = plan_pool(a_look(a_pool(standby=1), a_machine("a", state=W), waiting=[a_pod(cpu="1")]))

    assert wishes(plan) == {"a": (Wanted.RUNNING, "ScaleUp")}
    assert launched(plan, Wanted.RUNNING) == 0
    assert launched(plan, Wanted.STANDBY) == 1


def test_a_machine_the_cloud_refused_to_start_rests_and_another_is_chosen() -> None:
    """The cloud said no a minute ago; asking the same again costs the pod its time."""
    refused = a_machine("a", conditions={ClaimCondition.WOKEN: "InsufficientCapacity"})
    pods = [a_pod(cpu="1")]

    soon = NOW - timedelta(seconds=30)
    beside = plan_pool(a_look(a_pool(), refused, a_machine("b"), waiting=pods, at=soon))
    alone = plan_pool(a_look(a_pool(standby=1), refused, waiting=pods, at=soon))

    assert woken(beside) == ["b"]
    assert woken(alone) == []
    assert launched(alone, Wanted.RUNNING) == 1


def test_pods_of_one_zone_get_a_machine_of_that_zone() -> None:
    """A volume or a selector may pin a pod; a machine elsewhere is no use to it."""
    pod = a_pod(cpu="1", selector={labels.ZONE: "b"})

    plan = plan_pool(a_look(a_pool(standby=0), a_machine("in-a"), waiting=[pod], shape=a_shape(zones=("a", "b"))))

    assert woken(plan) == []
    assert [new.zone for new in plan.launches] == ["b"]


# Parking


def in_service(name: str = "a", **more: Any) -> Any:
    return a_machine(name, state=R, wanted=Wanted.RUNNING, conditions=READY, **more)


def empty_since(seconds: float) -> dict[str, str]:
    return {labels.SCALE_DOWN_CANDIDATE_SINCE: (NOW - timedelta(seconds=seconds)).isoformat()}


def test_a17_an_empty_node_is_marked_then_parked_when_its_time_is_over() -> None:
    """Not at the first empty moment: the next job may be seconds away."""
    pool = a_pool(standby=0, scaleDown={"emptyNodeTTL": "10m"})

    seen = plan_pool(a_look(pool, in_service()))
    early = plan_pool(a_look(pool, in_service(annotations=empty_since(599))))
    due = plan_pool(a_look(pool, in_service(annotations=empty_since(600))))

    assert [mark.empty_since for mark in seen.marks] == [NOW]
    assert early.wishes == ()
    assert early.look_again_seconds == 1
    assert wishes(due) == {"a": (Wanted.STANDBY, "ScaleDown")}


def test_a17_a_pod_that_comes_ends_the_waiting() -> None:
    """Time spent idle before the last job does not count."""
    busy = in_service(annotations=empty_since(1000), pods=[a_pod(node="node-a", phase="Running")])

    plan = plan_pool(a_look(a_pool(standby=0), busy))

    assert [mark.empty_since for mark in plan.marks] == [None]
    assert plan.wishes == ()


def test_a22_daemon_sets_do_not_keep_a_node_in_service() -> None:
    """They run on every node, used or not."""
    daemon = a_pod("logger", node="node-a", owner="DaemonSet", phase="Running")
    plan = plan_pool(a_look(a_pool(standby=0), in_service(pods=[daemon], annotations=empty_since(1000))))

    assert wishes(plan) == {"a": (Wanted.STANDBY, "ScaleDown")}


def test_scale_down_can_be_turned_off() -> None:
    """Some pay for running machines on purpose."""
    pool = a_pool(standby=0, scaleDown={"enabled": False})

    assert plan_pool(a_look(pool, in_service(annotations=empty_since(9999)))).wishes == ()


# Replacing


def test_a36_a_machine_that_ran_too_long_is_warned_of_and_then_replaced() -> None:
    """The warning comes five minutes ahead, and replacing means another machine, not the same one again."""
    pool = a_pool(standby=0, maxNodeRuntime="1h")
    busy = [a_pod(node="node-a", phase="Running")]

    def plan_after(minutes: int) -> PoolPlan:
        started = NOW - timedelta(minutes=minutes)
        return plan_pool(a_look(pool, in_service(pods=busy, last_started_at=started, ready_at=started)))

    assert plan_after(54).events == ()
    assert [(event.reason, event.warning) for event in plan_after(56).events] == [("MaxRuntimeApproaching", True)]
    assert wishes(plan_after(60)) == {"a": (Wanted.GONE, "Recycle")}
    assert [event.reason for event in plan_after(60).events] == ["MaxRuntimeExceeded"]


def test_a_pod_may_ask_that_its_node_be_left_alone() -> None:
    """A long training run would rather finish; its node is replaced right after."""
    started = NOW - timedelta(hours=2)
    guarded = [a_pod(node="node-a", phase="Running", annotations={labels.DO_NOT_DISRUPT: "true"})]
    machine = in_service(pods=guarded, last_started_at=started, ready_at=started)

    assert plan_pool(a_look(a_pool(standby=0, maxNodeRuntime="1h"), machine)).wishes == ()


def test_the_decision_tells_why_other_pools_were_passed_over() -> None:
    """What `stratos explain` has to say about a machine was known only when it was chosen."""
    look = a_look(a_pool(), a_machine("a"), waiting=[a_pod(cpu="1")], passed_over={"default/web": ("pool b: is full",)})

    assert plan_pool(look).wishes[0].decision.rejected == ("pool b: is full",)


def test_a_machine_that_never_comes_up_is_given_up() -> None:
    """It would be counted as room for its pods for ever."""
    dead = a_machine("a", state=R, wanted=Wanted.RUNNING, last_started_at=NOW - timedelta(minutes=11), ready_at=None)

    assert wishes(plan_pool(a_look(a_pool(standby=0), dead))) == {"a": (Wanted.GONE, "NeverReady")}


def test_a_machine_whose_node_has_failed_is_given_up_in_the_end() -> None:
    """The cloud shows it running, and nothing on it does: whatever was bound there would wait for ever."""
    silent = a_machine("a", state=R, wanted=Wanted.RUNNING, conditions={ClaimCondition.READY: "NodeNotReady"})

    assert wishes(plan_pool(a_look(a_pool(standby=0), silent))) == {}
    later = a_look(a_pool(standby=0), silent, at=NOW + timedelta(minutes=15))
    assert wishes(plan_pool(later)) == {"a": (Wanted.GONE, "NodeFailed")}


@pytest.mark.parametrize(("seconds", "given_up"), [(121, False), (240, True)])
def test_a23_no_machine_is_given_up_before_its_node_would_have_been_opened_without_a_network(
    seconds: float, given_up: bool
) -> None:
    """A pool may be impatient with warm-ups; a network that says nothing is waited for two minutes all the same."""
    started = NOW - timedelta(seconds=seconds)
    silent = a_machine("a", state=R, wanted=Wanted.RUNNING, last_started_at=started, ready_at=None)
    pool = a_pool(standby=0, preWarm={"timeout": "1m"})

    assert bool(plan_pool(a_look(pool, silent)).wishes) is given_up


def test_standby_machines_of_an_older_image_are_replaced_one_at_a_time() -> None:
    """An image is renewed because of what was wrong with the old one; but the pool must stay useful meanwhile."""
    look = a_look(a_pool(standby=2), a_machine("a", image="ami-0"), a_machine("b", image="ami-0"))

    plan = plan_pool(look)

    assert wishes(plan) == {"a": (Wanted.GONE, "ImageChanged")}


# Mending


def test_a_refused_start_takes_the_wish_back() -> None:
    """The ledger must not go on wishing for what the cloud has refused."""
    refused = a_machine("a", wanted=Wanted.RUNNING, wakes=1, conditions={ClaimCondition.WOKEN: "InsufficientCapacity"})

    plan = plan_pool(a_look(a_pool(standby=1), refused))

    assert wishes(plan) == {"a": (Wanted.STANDBY, "WakeFailed")}


def test_a37_a_machine_started_by_somebody_else_is_put_into_service() -> None:
    """Somebody wanted it; it returns by itself when it turns out to be empty."""
    drifted = a_machine("a", conditions={ClaimCondition.WOKEN: "StartedOutside"})

    plan = plan_pool(a_look(a_pool(standby=0), drifted))

    assert wishes(plan) == {"a": (Wanted.RUNNING, "Drift")}
    assert woken(plan) == ["a"]


def test_a_node_that_got_a_pod_while_it_was_being_closed_is_kept() -> None:
    """It was to be parked because it was empty."""
    leaving = a_machine(
        "a",
        state=T,
        wanted=Wanted.STANDBY,
        conditions={ClaimCondition.DRAINED: "PodsArrived"},
        pods=[a_pod(node="node-a", phase="Running")],
    )

    assert wishes(plan_pool(a_look(a_pool(standby=0), leaving))) == {"a": (Wanted.RUNNING, "InUse")}


# Ending


def test_a38_a_pool_being_deleted_wants_every_machine_gone_and_stays_until_they_are() -> None:
    """Nobody would pay for, or find, what is left behind."""

    pool = a_pool()
    pool = msgspec.structs.replace(pool, metadata=msgspec.structs.replace(pool.metadata, deletion_timestamp=NOW))
    stuck = a_machine("b", state=T, wanted=Wanted.GONE, conditions={ClaimCondition.ENDED: "the cloud is away"})

    plan = plan_pool(a_look(pool, a_machine("a"), stuck))
    done = plan_pool(a_look(pool))

    assert wishes(plan) == {"a": (Wanted.GONE, "PoolDeleted")}
    assert [event.reason for event in plan.events] == ["Deleting", "CleanupFailed"]
    assert not plan.release
    assert done.release


def test_a41_the_status_counts_machines_by_state_and_says_whether_the_pool_is_ready() -> None:
    """What `kubectl get nodepools` shows, and what alerts hang on."""
    fleet = [a_machine("w", state=W), a_machine("s"), in_service("r"), a_machine("t", state=T, wanted=Wanted.GONE)]

    plan = plan_pool(a_look(a_pool(standby=2), *fleet))

    status = plan.status
    assert (status.warmup, status.standby, status.running, status.total) == (1, 1, 1, 4)
    assert condition(plan, "Ready") == ("False", "InsufficientStandby")
    assert condition(plan, "Degraded")[0] == "False"
    assert condition(plan, "ScaleUpInProgress") == ("False", "ScaleUpInProgress")
