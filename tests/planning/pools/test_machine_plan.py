"""One machine: what to do in each state, in which order, and never what would break a law."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.meta import find_condition
from stratos.apis.node import Node, Taint
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeClaim, NodeState, Wanted
from stratos.apis.pod import Pod
from stratos.planning.pools.lifecycle import is_legal
from stratos.planning.pools.machine import plan_machine, wake_refused
from stratos.planning.pools.steps import (
    DeleteNode,
    Empty,
    FindMachine,
    Launch,
    MachinePlan,
    Record,
    Release,
    Shape,
    Start,
    Stop,
    Tag,
    Tell,
    Terminate,
)
from stratos.snapshot.machine import MachineSnapshot, MachineState, Sighting
from stratos.testing.pool_builders import NOW, a_claim, a_node, a_pod, a_pool_spec

W, S, R, T = NodeState.WARMUP, NodeState.STANDBY, NodeState.RUNNING, NodeState.TERMINATING


def plan(
    claim: NodeClaim,
    *,
    seen: MachineState | None = None,
    node: Node | None = None,
    pods: tuple[Pod, ...] = (),
    pool: dict[str, Any] | None = None,
    at: datetime = NOW,
    turns_itself_off: bool = False,
    pulls_images: bool = True,
) -> MachinePlan:
    return plan_machine(
        MachineSnapshot(
            taken_at=at,
            claim=claim,
            settings=a_pool_spec(**(pool or {})),
            seen=Sighting(seen, at) if seen else None,
            node=node,
            pods=pods,
            turns_itself_off=turns_itself_off,
            pulls_images=pulls_images,
        )
    )


def kinds(made: MachinePlan) -> list[str]:
    return [type(step).__name__ for step in made.steps]


def of(made: MachinePlan, kind: type[Any]) -> Any:
    """The last step of a kind."""
    return next(step for step in reversed(made.steps) if isinstance(step, kind))


def told(made: MachinePlan) -> list[str]:
    return [step.reason for step in made.steps if isinstance(step, Tell)]


def reason(made: MachinePlan, type_: ClaimCondition) -> str:
    condition = find_condition(of(made, Record).status.conditions, type_)
    assert condition is not None
    return condition.reason


def taints(made: MachinePlan) -> set[str]:
    return {taint.key for taint in of(made, Shape).shape.taints}


# Warm-up


def warming(**more: Any) -> NodeClaim:
    return a_claim(state=W, **more)


def test_a05_a_node_that_joins_is_labelled_and_closed_before_anything_else() -> None:
    """It registers with a taint that keeps pods off; the cordon takes over from it, so that DaemonSets can come."""
    fresh = a_node(ready=False, taints=[Taint(labels.STANDBY_TAINT, "NoExecute")])

    made = plan(warming(), seen=MachineState.RUNNING, node=fresh)

    shape = of(made, Shape).shape
    assert shape.unschedulable
    assert shape.taints == ()
    assert shape.labels[labels.STATE] == "warmup"
    assert shape.labels[labels.POOL] == "ci"
    assert made.waits_for == "its node to be ready"


def test_a05_a_prepared_machine_is_closed_first_and_stopped_then() -> None:
    """Were it stopped first, pods could still be bound to it while it goes down."""
    made = plan(warming(), seen=MachineState.RUNNING, node=a_node())

    steps = kinds(made)
    assert steps.index("Shape") < steps.index("Stop")
    assert taints(made) == {labels.STANDBY_TAINT, labels.NOT_READY_TAINT}
    assert reason(made, ClaimCondition.WARMED_UP) == "controller_stop"


def test_a05_it_stands_by_once_the_cloud_shows_it_stopped() -> None:
    """Standby means stopped, not about to stop."""
    prepared = warming(warmup_completed_at=NOW)

    waiting = plan(prepared, seen=MachineState.STOPPING, node=a_node(standby=True))
    done = plan(prepared, seen=MachineState.STOPPED, node=a_node(standby=True))

    assert waiting.waits_for == "the machine to stop"
    assert of(done, Record).status.state is S
    assert of(done, Tag).tags[labels.TAG_STATE] == "standby"
    assert told(done) == ["WarmupCompleted"]


@pytest.mark.parametrize(
    ("node", "pods", "pool", "missing"),
    [
        (a_node(ready=False), (), {}, "its node to be ready"),
        (a_node(network=False), (), {}, "its network to be up"),
        (a_node(), (), {"preWarm": {"images": ["a"]}}, "its images to be pulled"),
        (a_node(), (), {"preWarm": {"imagesToPull": ["a"]}}, "its images to be pulled"),
        (a_node(images="True"), (), {"preWarm": {"images": ["a"]}}, "the machine to stop"),
        (a_node(network=False), (), {"template": {"networkReadinessStrategy": "None"}}, "the machine to stop"),
    ],
)
def test_what_a_machine_needs_before_it_may_stand_by(
    node: Node, pods: tuple[Pod, ...], pool: dict[str, Any], missing: str
) -> None:
    """What is not on its disk when it is parked is waited for by a pod."""
    assert plan(warming(), seen=MachineState.RUNNING, node=node, pods=pods, pool=pool).waits_for == missing


def test_a06_a_machine_that_turns_itself_off_is_parked_without_a_stop() -> None:
    """It knows best when it is done."""
    made = plan(warming(), seen=MachineState.STOPPED, node=a_node(), turns_itself_off=True)
    waiting = plan(warming(), seen=MachineState.RUNNING, node=a_node(), turns_itself_off=True)

    assert "Stop" not in kinds(made)
    assert of(made, Record).status.state is S
    assert reason(made, ClaimCondition.WARMED_UP) == "self_stop"
    assert waiting.waits_for == "the machine to turn itself off"


LATE = {"launched_at": NOW - timedelta(minutes=11)}


def test_a07_at_the_timeout_a_machine_is_stopped_by_force_and_used_as_it_is() -> None:
    """Half prepared is better than none, unless the pool says otherwise."""
    made = plan(warming(**LATE), seen=MachineState.RUNNING, node=a_node(network=False))

    assert of(made, Stop).force
    assert reason(made, ClaimCondition.WARMED_UP) == "timeout"
    assert told(made) == ["WarmupTimeout"]


def test_a07_or_it_is_terminated() -> None:
    """For pools that would rather have none than a bad one."""
    pool = {"preWarm": {"timeoutAction": "terminate"}}
    made = plan(warming(**LATE), seen=MachineState.RUNNING, node=a_node(network=False), pool=pool)

    assert of(made, Record).status.state is T
    assert "Terminate" in kinds(made)
    assert reason(made, ClaimCondition.WARMED_UP) == "timeout"


@pytest.mark.parametrize(
    ("seen", "claim", "why", "event"),
    [
        (MachineState.RUNNING, warming(**LATE), "timeout_no_node", "WarmupTimeout"),
        (MachineState.STOPPED, warming(), "node_never_registered", "WarmupFailed"),
        (MachineState.TERMINATED, warming(), "terminated", "WarmupFailed"),
    ],
)
def test_a08_a_machine_that_never_joins_is_given_up(seen: MachineState, claim: NodeClaim, why: str, event: str) -> None:
    """Without a node it can never serve; with its tag somebody can find out why."""
    made = plan(claim, seen=seen)

    assert reason(made, ClaimCondition.WARMED_UP) == why
    assert told(made) == [event]
    if seen is MachineState.TERMINATED:
        assert isinstance(made.steps[-1], Release)
    else:
        assert of(made, Tag).tags == {labels.TAG_STATE: "warmup-failed", labels.TAG_STATE_NOTE: why}
        assert "Terminate" in kinds(made)


def test_a25_a_failed_pull_fails_the_warm_up_only_when_images_are_required() -> None:
    """BestEffort does what it can."""
    node = a_node(images="False")
    required = plan(warming(), seen=MachineState.RUNNING, node=node, pool={"preWarm": {"images": ["a"]}})
    policy = {"images": ["a"], "imagePullPolicy": "BestEffort"}
    best_effort = plan(warming(), seen=MachineState.RUNNING, node=node, pool={"preWarm": policy})

    assert reason(required, ClaimCondition.WARMED_UP) == "image_pull_failed"
    assert "Terminate" in kinds(required)
    assert reason(best_effort, ClaimCondition.WARMED_UP) == "controller_stop"


def test_images_that_nobody_pulls_are_not_waited_for() -> None:
    """Bottlerocket runs no script that would: every warm-up would last until its timeout."""
    pool = {"preWarm": {"images": ["a"]}}
    waits = plan(warming(), seen=MachineState.RUNNING, node=a_node(), pool=pool)
    goes_on = plan(warming(), seen=MachineState.RUNNING, node=a_node(), pool=pool, pulls_images=False)

    assert waits.waits_for == "its images to be pulled"
    assert reason(goes_on, ClaimCondition.WARMED_UP) == "controller_stop"


def test_a_machine_that_pods_wait_for_goes_into_service_without_being_parked() -> None:
    """Stopping and starting it again would cost them half a minute for nothing."""
    made = plan(warming(wanted=Wanted.RUNNING), seen=MachineState.RUNNING, node=a_node())

    assert of(made, Record).status.state is R
    assert "Stop" not in kinds(made)
    assert not of(made, Shape).shape.unschedulable


# Waking


def test_a09_a_wake_asks_the_cloud_first_and_opens_the_node_once_it_has_accepted() -> None:
    """Every millisecond before the start is one the pod waits; but a refused start must leave the node closed."""
    woken = a_claim(wanted=Wanted.RUNNING, wakes=3, wakes_done=2)

    made = plan(woken, seen=MachineState.STOPPED, node=a_node(standby=True))

    assert made.steps[0] == Start("uid-ci-1/3")
    assert of(made, Record).status.wakes_done == 3
    assert kinds(made).index("Record") < kinds(made).index("Shape")
    assert taints(made) == {labels.NOT_READY_TAINT}
    assert told(made) == ["NodeStarted"]


def test_a12_a_wake_that_was_carried_out_is_not_carried_out_again() -> None:
    """The claim counts; whoever looks again finds nothing left to do."""
    spent = a_claim(wanted=Wanted.RUNNING, wakes=1, wakes_done=1)

    assert "Start" not in kinds(plan(spent, seen=MachineState.STOPPED, node=a_node(standby=True)))


def test_a_refused_wake_is_spent_and_its_time_is_that_of_the_last_refusal() -> None:
    """Or a machine refused twice would not rest the second time."""
    claim = a_claim(wanted=Wanted.RUNNING, wakes=2, wakes_done=1, conditions={ClaimCondition.WOKEN: "OutOfStock"})

    status = wake_refused(claim, "OutOfStock", "none left", NOW)

    woken = find_condition(status.conditions, ClaimCondition.WOKEN)
    assert status.wakes_done == 2
    assert woken is not None
    assert woken.last_transition_time == NOW


# Serving


def serving(**more: Any) -> NodeClaim:
    started = {"last_started_at": NOW - timedelta(seconds=20), "stopped_at": NOW - timedelta(hours=1), "ready_at": None}
    return a_claim(state=R, wanted=Wanted.RUNNING, **{**started, **more})


NOT_READY = Taint(labels.NOT_READY_TAINT, "NoSchedule", "true")


def test_a23_pods_are_let_on_when_the_network_is_up() -> None:
    """A pod that starts before the network fails."""
    up = plan(serving(), seen=MachineState.RUNNING, node=a_node(taints=[NOT_READY]))
    down = plan(serving(), seen=MachineState.RUNNING, node=a_node(taints=[NOT_READY], network=False))

    assert taints(up) == set()
    assert told(up) == ["StartupTaintsRemoved"]
    assert of(up, Record).status.ready_at == NOW
    assert taints(down) == {labels.NOT_READY_TAINT}


def test_a23_or_two_minutes_after_the_start_in_any_case() -> None:
    """A network that never reports must not keep a machine idle for ever."""
    late = serving(last_started_at=NOW - timedelta(minutes=2))
    made = plan(late, seen=MachineState.RUNNING, node=a_node(taints=[NOT_READY], network=False))

    assert taints(made) == set()
    assert told(made) == ["StartupTaintTimeout"]


def test_a23_without_the_strategy_the_taint_is_never_placed() -> None:
    """Some networks need no waiting for."""
    pool = {"template": {"networkReadinessStrategy": "None"}}
    made = plan(warming(), seen=MachineState.RUNNING, node=a_node(), pool=pool)

    assert taints(made) == {labels.STANDBY_TAINT}


def test_what_a_node_said_before_its_machine_was_stopped_is_not_believed() -> None:
    """A stopped machine's node looks ready until somebody notices; pods would be bound to it while it boots."""
    stale = a_node(taints=[NOT_READY], said_at=NOW - timedelta(hours=2))
    made = plan(serving(), seen=MachineState.RUNNING, node=stale)

    assert taints(made) == {labels.NOT_READY_TAINT}
    assert reason(made, ClaimCondition.READY) == "NodeNotReady"


@pytest.mark.parametrize(("removal", "stays"), [("WhenNetworkReady", False), ("External", True)])
def test_start_up_taints_are_placed_at_each_start_and_removed_by_whom_the_pool_says(removal: str, stays: bool) -> None:
    """Somebody else's agent may have to prepare the node first."""
    template = {"startupTaints": [{"key": "agent", "effect": "NoSchedule"}], "startupTaintRemoval": removal}
    parked = plan(warming(), seen=MachineState.RUNNING, node=a_node(), pool={"template": template})
    held = a_node(taints=[NOT_READY, Taint("agent", "NoSchedule")])
    up = plan(serving(), seen=MachineState.RUNNING, node=held, pool={"template": template})

    assert "agent" in taints(parked)
    assert ("agent" in taints(up)) is stays


def test_taints_of_others_are_left_alone() -> None:
    """The node lifecycle controller, and people, taint nodes too."""
    node = a_node(taints=[NOT_READY, Taint("node.kubernetes.io/disk-pressure", "NoSchedule")])

    assert taints(plan(serving(), seen=MachineState.RUNNING, node=node)) == {"node.kubernetes.io/disk-pressure"}


def test_a_node_that_somebody_cordoned_stays_so_while_in_service() -> None:
    """An administrator who drains a node by hand must not find pods on it again a second later."""
    open_node = a_node()
    cordoned = msgspec.structs.replace(open_node, spec=msgspec.structs.replace(open_node.spec, unschedulable=True))

    made = plan(serving(), seen=MachineState.RUNNING, node=cordoned)

    assert of(made, Shape).shape.unschedulable


def test_a_cordon_of_ours_is_lifted_when_the_node_comes_into_service() -> None:
    """Preparing a machine closes its node without the standby taint, so the cordon itself must tell whose it is."""
    prepared = of(plan(warming(), seen=MachineState.RUNNING, node=a_node(ready=False)), Shape).shape
    metadata = msgspec.structs.replace(a_node().metadata, annotations=dict(prepared.annotations))
    node = msgspec.structs.replace(
        a_node(), metadata=metadata, spec=msgspec.structs.replace(a_node().spec, unschedulable=True)
    )

    made = plan(warming(wanted=Wanted.RUNNING), seen=MachineState.RUNNING, node=node)

    assert not of(made, Shape).shape.unschedulable
    assert of(made, Shape).shape.annotations[labels.CORDONED] is None


# Leaving


def test_a_machine_leaving_service_is_closed_before_its_state_changes() -> None:
    """A pod bound in between would be evicted a moment later."""
    made = plan(a_claim(state=R, wanted=Wanted.STANDBY), seen=MachineState.RUNNING, node=a_node())

    assert kinds(made)[:2] == ["Shape", "Record"]
    assert of(made, Shape).shape.unschedulable
    assert labels.STANDBY_TAINT not in taints(made)  # it would drive pods out past their budgets


def leaving(wanted: Wanted = Wanted.STANDBY, why: str = "Recycle", **more: Any) -> NodeClaim:
    return a_claim(state=T, wanted=wanted, decision=Decision(reason=why, message="", at=NOW), **more)


def test_a20_a_node_with_pods_is_drained_and_stays_up_until_they_have_left() -> None:
    """Stopping the machine under a pod is what a drain is there to avoid."""
    made = plan(leaving(), seen=MachineState.RUNNING, node=a_node(), pods=(a_pod(node="n", phase="Running"),))

    assert of(made, Empty).evict == ("default/web",)
    assert "Stop" not in kinds(made)
    assert made.look_again_seconds == 1


def test_an_empty_node_that_got_a_pod_meanwhile_is_not_drained_but_reported() -> None:
    """It was to leave because it was empty; the pool takes it back."""
    pods = (a_pod(node="n", phase="Running"),)
    made = plan(leaving(why="ScaleDown"), seen=MachineState.RUNNING, node=a_node(), pods=pods)

    assert "Empty" not in kinds(made)
    assert reason(made, ClaimCondition.DRAINED) == "PodsArrived"


def test_a_machine_wanted_again_before_it_was_closed_just_stays() -> None:
    """It is already there."""
    made = plan(leaving(Wanted.RUNNING, wakes=2, wakes_done=1), seen=MachineState.RUNNING, node=a_node())

    assert of(made, Record).status.state is R
    assert of(made, Record).status.wakes_done == 2
    assert {"Start", "Stop"}.isdisjoint(kinds(made))


def test_wanted_again_while_it_stops_it_is_woken_when_it_has() -> None:
    """A machine that is going down cannot be held."""
    closed = a_node(standby=True)
    stopping = plan(leaving(Wanted.RUNNING, wakes=2, wakes_done=1), seen=MachineState.STOPPING, node=closed)
    stopped = plan(leaving(Wanted.RUNNING, wakes=2, wakes_done=1), seen=MachineState.STOPPED, node=closed)

    assert stopping.waits_for == "the machine to stop"
    assert of(stopped, Record).status.state is S


def test_a38_a_claim_goes_when_the_cloud_confirms_that_its_machine_has() -> None:
    """Not a moment earlier, or somebody pays for what nobody knows."""
    gone = leaving(Wanted.GONE)
    asked = plan(gone, seen=MachineState.RUNNING, node=a_node())
    ending = plan(gone, seen=MachineState.SHUTTING_DOWN, node=a_node())
    ended = plan(gone, seen=MachineState.TERMINATED)

    assert "Terminate" in kinds(asked)
    assert "Release" not in kinds(asked) + kinds(ending)
    assert "DeleteNode" in kinds(ending)
    assert kinds(ended)[-1] == "Release"


# Others at work


def test_a37_a_machine_terminated_outside_takes_its_node_and_its_claim_along() -> None:
    """Pods on it come back at once, and the pool asks for another."""
    made = plan(serving(), seen=MachineState.TERMINATED, node=a_node())

    assert kinds(made)[-2:] == ["DeleteNode", "Release"]


def test_a37_a_machine_stopped_outside_stands_by() -> None:
    """Where it is now is where a pool keeps its spare machines."""
    made = plan(serving(), seen=MachineState.STOPPED, node=a_node())

    assert of(made, Record).status.state is S
    assert reason(made, ClaimCondition.WOKEN) == "StoppedOutside"
    assert of(made, Shape).shape.unschedulable


def test_a37_right_after_a_start_the_cloud_may_still_show_it_stopped() -> None:
    """That is its lag, and nobody's doing."""
    just = serving(last_started_at=NOW - timedelta(seconds=3))

    made = plan(just, seen=MachineState.STOPPED, node=a_node(standby=True))

    assert of(made, Record).status.state is R


def test_a37_a_machine_started_outside_is_reported_and_stays_closed_until_the_pool_decides() -> None:
    """Standby machines take no pods, whoever started them."""
    made = plan(a_claim(), seen=MachineState.RUNNING, node=a_node(standby=True))

    assert reason(made, ClaimCondition.WOKEN) == "StartedOutside"
    assert "Stop" not in kinds(made)
    assert of(made, Shape).shape.unschedulable


def test_pods_that_cannot_say_goodbye_are_removed_from_a_stopped_machine() -> None:
    """Their kubelet is off: without us they would be leaving until the next wake."""
    stuck = a_pod("stuck", node="n", leaving_since=NOW)
    made = plan(a_claim(), seen=MachineState.STOPPED, node=a_node(standby=True), pods=(stuck,))

    assert of(made, Empty).delete == ("default/stuck",)


# Launching


def test_a_claim_without_a_machine_launches_one() -> None:
    """That is what it was written for."""
    assert plan(a_claim(state=None)).steps == (Launch(),)


def test_a45_a_claim_given_up_while_its_launch_may_be_under_way_is_kept_until_that_is_known() -> None:
    """The answer was lost, not the machine."""
    unlaunched = plan(a_claim(state=None, deleted=True))
    unsure = a_claim(state=None, deleted=True, conditions={ClaimCondition.LAUNCHED: "Unknown"})
    early = plan(unsure, at=NOW - timedelta(seconds=30))
    late = plan(unsure, at=NOW + timedelta(seconds=30))

    assert unlaunched.steps == (Release(),)
    assert early.steps == (FindMachine(),)
    assert late.steps == (FindMachine(), Release())


# All of it


states = st.sampled_from([None, *NodeState])
sightings = st.sampled_from([None, *MachineState])
nodes = st.sampled_from(
    [
        None,
        a_node(),
        a_node(standby=True),
        a_node(ready=False),
        a_node(network=False, taints=[NOT_READY]),
        a_node(images="False"),
    ]
)
claims = st.builds(
    a_claim,
    state=states,
    wanted=st.sampled_from(list(Wanted)),
    wakes=st.just(2),
    wakes_done=st.sampled_from([1, 2]),
    warmup_completed_at=st.sampled_from([None, NOW]),
    deleted=st.booleans(),
    conditions=st.dictionaries(st.sampled_from(list(ClaimCondition)), st.sampled_from(["True", "Gone"]), max_size=3),
    decision=st.sampled_from([None, *(Decision(reason=why, message="", at=NOW) for why in ("ScaleDown", "Recycle"))]),
)
anything = given(
    claim=claims,
    seen=sightings,
    node=nodes,
    pods=st.sampled_from([(), (a_pod(node="n", phase="Running"),)]),
    later=st.sampled_from([0, 30, 3600]),
    turns_itself_off=st.booleans(),
)


@anything
def test_whatever_is_seen_the_plan_keeps_the_laws(
    claim: NodeClaim,
    seen: MachineState | None,
    node: Node | None,
    pods: tuple[Pod, ...],
    later: int,
    turns_itself_off: bool,
) -> None:
    """Any state, any wish, any sighting, however absurd: the table has an answer, and the answer is lawful."""
    made = plan(
        claim, seen=seen, node=node, pods=pods, at=NOW + timedelta(seconds=later), turns_itself_off=turns_itself_off
    )

    names = kinds(made)
    state = claim.status.state
    closed = node is not None and node.spec.unschedulable
    for step in made.steps:
        if isinstance(step, Shape):
            closed = step.shape.unschedulable
        if isinstance(step, Record):
            before, state = state, step.status.state
            assert before == state or before is None or state is None or _reachable(before, state)
        if isinstance(step, Stop) and node is not None:
            assert closed, "a machine is stopped while pods could still come"
        if isinstance(step, Release):
            assert state in (None, T), "a claim is let go while its machine lives"
        if isinstance(step, DeleteNode):
            assert seen is not None and seen.gone
    if state is S and node is not None and "Release" not in names:
        assert closed, "a standby machine takes pods"
    assert names.count("Start") <= 1
    assert not ("Start" in names and ("Stop" in names or "Terminate" in names))
    if "Start" in names:
        assert claim.spec.wakes > claim.status.wakes_done
    assert made.steps or made.waits_for or not made.follow or claim.status.state is not None


def _reachable(before: NodeState, after: NodeState) -> bool:
    return is_legal(before, after) or any(is_legal(before, via) and is_legal(via, after) for via in NodeState)


@pytest.mark.parametrize(("state", "wanted"), list(product([None, *NodeState], Wanted)))
def test_the_table_has_a_rule_for_every_wish_in_every_state(state: NodeState | None, wanted: Wanted) -> None:
    """A pair that was forgotten would be a machine that nobody moves."""
    made = plan(a_claim(state=state, wanted=wanted), seen=MachineState.RUNNING, node=a_node() if state else None)

    assert made.steps or made.waits_for or (state, wanted) == (R, Wanted.RUNNING)


def test_a_crash_between_any_two_steps_of_a_wake_loses_and_doubles_nothing() -> None:
    """Whatever was written of it, planning again goes on from there, with the same token."""
    claim = a_claim(wanted=Wanted.RUNNING, wakes=1, wakes_done=0)
    closed = a_node(standby=True)
    first = plan(claim, seen=MachineState.STOPPED, node=closed)

    unrecorded = plan(claim, seen=MachineState.RUNNING, node=closed)
    recorded = msgspec.structs.replace(claim, status=of(first, Record).status)
    unopened = plan(recorded, seen=MachineState.PENDING, node=closed)

    assert unrecorded.steps[0] == first.steps[0]
    assert "Start" not in kinds(unopened)
    assert not of(unopened, Shape).shape.unschedulable


def test_terminating_is_asked_for_again_until_it_shows() -> None:
    """The answer may have been lost."""
    assert isinstance(of(plan(leaving(Wanted.GONE), seen=MachineState.STOPPED, node=a_node()), Terminate), Terminate)


def a_spot_claim(**more: Any) -> NodeClaim:
    claim = a_claim(wanted=Wanted.RUNNING, **more)
    return msgspec.structs.replace(claim, spec=msgspec.structs.replace(claim.spec, capacity_type="spot"))


def test_a32_a_spot_machine_that_was_first_seen_prepared_goes_into_service() -> None:
    """Its node still bears the taint that it registers with, and looks parked: but spot cannot be stopped."""
    as_it_registers = a_node(taints=[Taint(labels.STANDBY_TAINT, "NoExecute")])

    made = plan(a_spot_claim(state=W), seen=MachineState.RUNNING, node=as_it_registers)

    assert "Stop" not in kinds(made)
    assert of(made, Record).status.state is R
    assert labels.STANDBY_TAINT not in taints(made)


@pytest.mark.parametrize("seen", [MachineState.RUNNING, MachineState.STOPPED])
def test_a32_a_spot_machine_that_is_wanted_again_after_it_was_closed_is_ended(seen: MachineState) -> None:
    """Parked, it could never be woken; whoever wants it gets another."""
    made = plan(a_spot_claim(state=T), seen=seen, node=a_node(standby=True))

    assert "Stop" not in kinds(made)
    assert "Terminate" in kinds(made)
