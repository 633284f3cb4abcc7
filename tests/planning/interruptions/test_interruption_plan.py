"""When the pods of an interrupted machine leave it, and which of two notices counts."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.nodeclaim import (
    ClaimCondition,
    ClaimInterruption,
    Decision,
    Departure,
    InterruptionKind,
    NodeClaim,
    NodeState,
    Wanted,
)
from stratos.apis.pod import Pod
from stratos.planning.interruptions import plan_interruption
from stratos.planning.interruptions.moving import as_waiting, pods_to_move
from stratos.planning.interruptions.notices import is_news, presses
from stratos.planning.interruptions.plan import Depart, InterruptionPlan, Leave
from stratos.planning.pools.drain import SPARE, plan_drain
from stratos.snapshot.interruption import InterruptionSnapshot
from stratos.testing.pool_builders import NOW, a_claim, a_pod

SPOT = InterruptionKind.SPOT_INTERRUPTION
ADVICE = InterruptionKind.REBALANCE_RECOMMENDATION
REPAIR = InterruptionKind.SCHEDULED_CHANGE
TWO_MINUTES = timedelta(minutes=2)


def an_interrupted_claim(
    kind: InterruptionKind = SPOT,
    *,
    ends_in: timedelta | None = TWO_MINUTES,
    answered: bool = True,
    spot: bool = True,
    departure: Departure | None = None,
    **claim: object,
) -> NodeClaim:
    made = a_claim("ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING)
    notice = ClaimInterruption(
        kind=kind,
        noticed_at=NOW,
        deadline=NOW + ends_in if ends_in is not None else None,
        answered_at=NOW if answered else None,
    )
    spec = msgspec.structs.replace(
        made.spec, interruption=notice, capacity_type="spot" if spot else "on-demand", departure=departure, **claim
    )
    return msgspec.structs.replace(made, spec=spec)


def a_running_pod(name: str = "web", *, grace: int | None = None) -> Pod:
    pod = a_pod(name, node="node-ci-1", phase="Running", ready=True)
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, termination_grace_period_seconds=grace))


def a_coming_claim(*, ready: bool = False) -> NodeClaim:
    decision = Decision(reason="ScaleUp", message="", at=NOW, pods=("default/web",))
    conditions = {ClaimCondition.READY: "True"} if ready else {}
    return a_claim("ci-2", state=NodeState.RUNNING, wanted=Wanted.RUNNING, decision=decision, conditions=conditions)


def planned(
    claim: NodeClaim, *pods: Pod, coming: tuple[NodeClaim, ...] = (), after: timedelta = timedelta()
) -> InterruptionPlan:
    return plan_interruption(InterruptionSnapshot(NOW + after, claim, pods, coming))


def test_no_pod_leaves_before_a_machine_for_it_was_asked_for() -> None:
    """The first thing is room elsewhere: whatever is moved before moves into nothing."""
    plan = planned(an_interrupted_claim(answered=False), a_running_pod())

    assert plan.step is None
    assert plan.waits_for == "machines for its pods to be asked for"


def test_pods_serve_until_the_machine_that_comes_for_them_is_ready() -> None:
    """Two minutes are long enough to start a standby machine, and a pod that waits serves nobody."""
    waiting = planned(an_interrupted_claim(), a_running_pod(), coming=(a_coming_claim(),))
    going = planned(an_interrupted_claim(), a_running_pod(), coming=(a_coming_claim(ready=True),))

    assert waiting.step is None and "ci-2" in waiting.waits_for
    assert isinstance(going.step, Leave)


@given(grace=st.integers(0, 900), notice=st.integers(0, 600))
def test_waiting_never_costs_a_pod_its_grace(grace: int, notice: int) -> None:
    """Whatever is still missing then, the pods are told in time to end in order, if there is time for that at all."""
    claim = an_interrupted_claim(ends_in=timedelta(seconds=notice), answered=False)
    plan = planned(claim, a_running_pod(grace=grace))

    if plan.step is None:
        assert plan.look_again_at == NOW + timedelta(seconds=notice - grace) - SPARE
    else:
        assert notice - grace <= SPARE.total_seconds()


def test_a_machine_with_nobody_on_it_goes_at_once() -> None:
    """There is nothing to wait for."""
    assert isinstance(planned(an_interrupted_claim(answered=False)).step, Leave)


@pytest.mark.parametrize(("spot", "then"), [(True, Wanted.GONE), (False, Wanted.STANDBY)])
def test_advice_and_repairs_let_a_pools_machine_depart_with_care(spot: bool, then: Wanted) -> None:
    """Stopped and started again, a machine on demand comes to another host; one at the spot price cannot stop."""
    kind, ends_in = (ADVICE, None) if spot else (REPAIR, timedelta(days=3))
    plan = planned(an_interrupted_claim(kind, ends_in=ends_in, spot=spot), a_running_pod())

    assert isinstance(plan.step, Depart)
    assert (plan.step.pods, plan.step.then) == (1, then)


def test_a_repair_that_care_did_not_get_ahead_of_is_left_in_haste() -> None:
    """A node that somebody holds goes down with its host in any case: better in order than by a power switch."""
    departure = Departure(reason="Interruption", message="", at=NOW)
    claim = an_interrupted_claim(REPAIR, ends_in=timedelta(days=3), spot=False, departure=departure)

    assert planned(claim, a_running_pod()).step is None
    assert isinstance(planned(claim, a_running_pod(), after=timedelta(days=3, minutes=-5)).step, Leave)


def test_after_an_attempt_that_was_given_up_the_next_comes_later() -> None:
    """What barred the way a minute ago mostly still does."""
    claim = an_interrupted_claim(ADVICE, ends_in=None)
    until = NOW + timedelta(minutes=30)
    claim.metadata.annotations[labels.NOT_DISRUPTED_BEFORE] = until.isoformat()

    plan = planned(claim, a_running_pod())

    assert (plan.step, plan.look_again_at) == (None, until)


def test_a_machine_of_a_template_departs_as_its_template_says() -> None:
    """Its budgets are kept by whoever looks after templates."""
    claim = an_interrupted_claim(REPAIR, ends_in=timedelta(days=1), pool="", template="any")

    assert planned(claim, a_running_pod()).step is None
    assert planned(claim, a_running_pod()).look_again_at is not None


# --- notices ---


@pytest.mark.parametrize(
    ("known", "kind", "ends_in", "expected"),
    [
        (None, SPOT, 120, True),
        ((ADVICE, None), SPOT, 120, True),
        ((ADVICE, None), ADVICE, None, False),
        ((SPOT, 120), ADVICE, None, False),
        ((SPOT, 120), SPOT, 118, False),
        ((SPOT, 120), SPOT, 30, True),
        ((REPAIR, 86_400), SPOT, 120, True),
        ((SPOT, 120), REPAIR, 60, False),
    ],
)
def test_only_what_is_graver_or_sooner_is_news(
    known: tuple[InterruptionKind, int | None] | None, kind: InterruptionKind, ends_in: int | None, expected: bool
) -> None:
    """A queue delivers twice, and two sources tell the same with other seconds."""

    def moment(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    held = ClaimInterruption(kind=known[0], noticed_at=NOW, deadline=moment(known[1])) if known else None

    assert is_news(held, kind, moment(ends_in)) is expected


def test_time_presses_only_shortly_before_the_end() -> None:
    """Repairs are announced days ahead: care comes first."""
    assert presses(an_interrupted_claim(), NOW)
    assert not presses(an_interrupted_claim(ADVICE, ends_in=None), NOW)
    assert not presses(an_interrupted_claim(REPAIR, ends_in=timedelta(days=1)), NOW)


# --- pods ---


def test_pods_to_move_are_those_that_nobody_has_told_to_go() -> None:
    """Whoever has been told is replaced by its owner already: counted twice, it would get two machines."""
    told = a_pod("told", node="node-ci-1", phase="Running", leaving_since=NOW)
    daemon = a_pod("logger", node="node-ci-1", phase="Running", owner="DaemonSet")

    moving = pods_to_move(an_interrupted_claim(), (a_running_pod(), told, daemon), NOW)

    assert [pod.metadata.name for pod in moving] == ["web"]
    assert as_waiting(moving[0]).unschedulable


# --- the drain ---


@given(
    graces=st.lists(st.none() | st.integers(0, 900), max_size=5),
    left=st.integers(-60, 600),
)
def test_a_hasty_drain_keeps_everybody_within_the_deadline(graces: list[int | None], left: int) -> None:
    """No pod is given more time than there is, and after the deadline nothing is waited for."""
    pods = tuple(a_running_pod(f"web-{index}", grace=grace) for index, grace in enumerate(graces))
    deadline = NOW + timedelta(seconds=left)

    plan = plan_drain(
        pods, (), now=NOW, started_at=NOW, timeout_seconds=300, force_after_timeout=False, deadline=deadline
    )

    asked = {*plan.evict, *plan.delete}
    assert asked == ({pod.metadata.key for pod in pods} if left > 0 else set())
    for pod in pods if left > 0 else ():
        own = pod.spec.termination_grace_period_seconds
        given_seconds = plan.grace_seconds.get(pod.metadata.key, 30 if own is None else own)
        assert given_seconds <= max(1, left - SPARE.total_seconds())
    assert bool(plan.delete) is (0 < left <= 30 and bool(pods))
