"""When a workload is woken, kept awake and put to sleep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.planning.doorman.targets import (
    OBJECTION_SECONDS,
    Leave,
    ProposeSleep,
    Remember,
    Sleep,
    Step,
    TargetSeen,
    Traffic,
    Wake,
    plan_target,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDLE = 300.0


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


WOKEN = TargetSeen(1, woken_at=ago(1000), active_at=ago(1000))


@pytest.mark.parametrize(
    ("seen", "traffic", "step"),
    [
        (TargetSeen(0), Traffic(), Leave()),
        (TargetSeen(0), Traffic(waiting=1), Wake()),
        (TargetSeen(0, closing_since=ago(1)), Traffic(waiting=1), Wake()),
        (TargetSeen(1), Traffic(waiting=1), Leave()),  # somebody else wakes it, and puts it to sleep
        (TargetSeen(3), Traffic(last_active=ago(9999)), Leave()),
        (TargetSeen(1, active_at=ago(9999), closing_since=ago(9999)), Traffic(), Leave()),
        (WOKEN, Traffic(), ProposeSleep()),
        (replace(WOKEN, replicas=4), Traffic(), ProposeSleep()),  # an autoscaler has added some
        (WOKEN, Traffic(inside=1), Remember(NOW)),
        (WOKEN, Traffic(waiting=1), Remember(NOW)),
        (WOKEN, Traffic(last_active=ago(100)), Remember(ago(100))),
        (replace(WOKEN, active_at=ago(299)), Traffic(), Leave(1)),
        (replace(WOKEN, active_at=ago(10)), Traffic(inside=1), Leave(60)),
        (replace(WOKEN, closing_since=ago(1)), Traffic(), Leave(2)),
        (replace(WOKEN, closing_since=ago(3)), Traffic(), Sleep()),
        (replace(WOKEN, closing_since=ago(1)), Traffic(inside=1), Remember(NOW)),
        (replace(WOKEN, closing_since=ago(9)), Traffic(waiting=1), Remember(NOW)),
        (replace(WOKEN, closing_since=ago(1)), Traffic(last_active=ago(200)), Remember(ago(200))),
    ],
)
def test_each_state_of_a_workload_has_one_next_step(seen: TargetSeen, traffic: Traffic, step: Step) -> None:
    """The whole table, to be read and argued about."""
    assert plan_target(seen, traffic, idle_seconds=IDLE, now=NOW) == step


@dataclass
class Workload:
    """What the doormen share, and what becomes of it."""

    seen: TargetSeen = field(default_factory=lambda: TargetSeen(0))

    def carry_out(self, step: Step, now: datetime) -> None:
        match step:
            case Wake():
                self.seen = TargetSeen(1, woken_at=now, active_at=now)
            case Remember():
                self.seen = replace(self.seen, active_at=step.active_at, closing_since=None)
            case ProposeSleep():
                self.seen = replace(self.seen, closing_since=now)
            case Sleep():
                self.seen = TargetSeen(0)
            case Leave():
                pass


@dataclass
class Doorman:
    """Looks every second, at what it has been told of by then."""

    skew_seconds: float
    lag_seconds: float
    traffic: Traffic = field(default_factory=Traffic)
    proposal: tuple[datetime, datetime] | None = None  # the mark, and when it was first seen

    def dated(self, known: TargetSeen, now: datetime) -> TargetSeen:
        mark = known.closing_since
        if mark is None:
            self.proposal = None
        elif self.proposal is None or self.proposal[0] != mark:
            self.proposal = (mark, now)
        return known if self.proposal is None else replace(known, closing_since=self.proposal[1])


@given(
    skews=st.lists(st.floats(-30, 30), min_size=2, max_size=3),
    lags=st.lists(st.floats(0, OBJECTION_SECONDS - 1), min_size=3, max_size=3),
    visits=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 150), st.integers(1, 60)), max_size=6),
)
def test_no_doorman_puts_to_sleep_what_another_has_a_request_for(
    skews: list[float], lags: list[float], visits: list[tuple[int, int, int]]
) -> None:
    """Each sees only its own requests, with a clock of its own, and news come late. A visit is who, when, how long."""
    doormen = [Doorman(skew, lags[number]) for number, skew in enumerate(skews)]
    workload = Workload()
    history = [(-10.0, workload.seen)]  # what a doorman knows is what was there a moment ago
    for second in range(350):
        for number, doorman in enumerate(doormen):
            now = NOW + timedelta(seconds=second + doorman.skew_seconds)
            mine = [visit for visit in visits if visit[0] % len(doormen) == number]
            here = sum(began <= second < began + long for _, began, long in mine)
            known = next(seen for moment, seen in reversed(history) if moment <= second - doorman.lag_seconds)
            open_ = known.replicas > 0 and known.closing_since is None
            inside = min(here, doorman.traffic.inside) if not open_ else here
            last = now if here else doorman.traffic.last_active
            doorman.traffic = Traffic(waiting=here - inside, inside=inside, last_active=last)
            dated = doorman.dated(known, now)
            if known != workload.seen:
                continue  # what it writes is refused: the workload has changed since
            step = plan_target(dated, doorman.traffic, idle_seconds=30, now=now)
            workload.carry_out(step, now)
            history.append((float(second), workload.seen))
            if isinstance(step, Sleep):
                assert all(other.traffic.inside == 0 for other in doormen)
    assert workload.seen.replicas == 0  # long after the last visit
