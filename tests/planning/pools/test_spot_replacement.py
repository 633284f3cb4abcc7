"""Which on-demand machines a pool replaces by spot ones, and when that is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.apis.nodeclaim import (
    SPOT_REPLACEMENT,
    ClaimCondition,
    ClaimInterruption,
    Departure,
    InterruptionKind,
    NodeState,
    Wanted,
)
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod
from stratos.planning.pools.pool import plan_pool
from stratos.planning.pools.spot import SpotPlan, replace_by_spot
from stratos.planning.scheduling.requirements import requirements_of
from stratos.snapshot.pool import LaunchShape, PoolMachine, PoolSnapshot, SpotShape
from stratos.testing.pool_builders import GIB, NOW, a_look, a_machine, a_pod, a_pool, a_shape

READY = {ClaimCondition.READY: "True"}
SPOT_POOL: Mapping[str, Any] = {"spotReplacement": {"enabled": True, "replacementDelay": "2m"}}


def a_spot_pool(**spec: Any) -> NodePool:
    return a_pool(**{"size": 6, "standby": 0, **SPOT_POOL, **spec})


def a_spot_shape(price: float | None = 0.08, *, cpu: int = 4) -> LaunchShape:
    spot = SpotShape(("m5.xlarge", "m5a.xlarge"), {"cpu": cpu * 1000, "memory": 16 * GIB, "pods": 110}, price)
    return replace(a_shape(), spot=spot)


def a_busy_pod(name: str = "web", *, cpu: str = "1", **more: Any) -> Pod:
    return a_pod(name, node="node-ci-1", phase="Running", cpu=cpu, **more)


def a_serving_machine(name: str = "ci-1", *, spot: bool = False, replacing: str = "", **more: Any) -> PoolMachine:
    """It has served for three minutes."""
    more = {"pods": (a_busy_pod(),), "conditions": READY, **more}
    if replacing:
        more["annotations"] = {labels.SPOT_REPLACING_NODE: replacing}
    departure = more.pop("departure", None)
    machine = a_machine(name, state=NodeState.RUNNING, wanted=more.pop("wanted", Wanted.RUNNING), **more)
    claim = machine.claim
    spec = msgspec.structs.replace(claim.spec, capacity_type="spot" if spot else "on-demand", departure=departure)
    return PoolMachine(msgspec.structs.replace(claim, spec=spec), machine.node, machine.pods)


def planned(look: PoolSnapshot, others: int = 0) -> SpotPlan:
    return replace_by_spot(look, requirements_of, others)


def spot_look(*machines: PoolMachine, pool: NodePool | None = None, **more: Any) -> PoolSnapshot:
    more.setdefault("shape", a_spot_shape())
    return a_look(pool or a_spot_pool(), *machines, **more)


def test_a_machine_that_has_served_for_long_enough_gets_a_spot_machine_in_its_zone() -> None:
    """Its pods may be bound to the zone by their volumes."""
    plan = planned(spot_look(a_serving_machine()))

    assert [(new.replacing, new.zone, new.wanted) for new in plan.launches] == [("node-ci-1", "a", Wanted.RUNNING)]
    assert [event.reason for event in plan.events] == ["SpotReplacementStarted"]


def test_before_the_delay_is_over_the_pool_looks_again_then() -> None:
    """What serves for minutes only is not worth a launch."""
    plan = planned(
        spot_look(a_serving_machine(), pool=a_spot_pool(spotReplacement={"enabled": True, "replacementDelay": "10m"}))
    )

    assert plan.launches == ()
    assert plan.due_at == (NOW - timedelta(minutes=3) + timedelta(minutes=10),)


@pytest.mark.parametrize(
    "machine",
    [
        a_serving_machine(spot=True),
        a_serving_machine(pods=()),
        a_serving_machine(wanted=Wanted.STANDBY),
        a_serving_machine(departure=Departure(reason="Interruption", message="", at=NOW)),
        a_serving_machine(pods=(a_busy_pod(owner=""),)),
        a_serving_machine(pods=(a_busy_pod(annotations={labels.DO_NOT_EVICT: "true"}),)),
        a_serving_machine(annotations={labels.NOT_DISRUPTED_BEFORE: (NOW + timedelta(hours=1)).isoformat()}),
        a_serving_machine(conditions={}),
    ],
    ids=["spot", "empty", "parking", "departing", "pod-without-owner", "do-not-evict", "resting", "not-ready"],
)
def test_these_machines_stay_as_they_are(machine: PoolMachine) -> None:
    """Replacing them would move what must not move, or pay for nothing."""
    assert planned(spot_look(machine)).launches == ()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (a_spot_shape(0.2), "they cost $0.2000/h, $0.2000/h on demand"),
        (a_spot_shape(0.3), "they cost $0.3000/h"),
        (a_spot_shape(None), "not sold"),
        (a_spot_shape(cpu=1), "default/big would not run on each of m5.xlarge, m5a.xlarge"),
    ],
)
def test_what_is_not_worth_it_or_would_not_do_is_said(shape: LaunchShape, words: str) -> None:
    """Somebody who turned spot replacement on wonders why nothing is replaced."""
    machine = a_serving_machine(pods=(a_busy_pod("big", cpu="2"),))

    plan = planned(spot_look(machine, shape=shape))

    assert plan.launches == ()
    assert words in plan.report[0]


def test_pods_that_ask_for_machines_on_demand_keep_them() -> None:
    """They say so by the label that nodes bear."""
    pod = a_busy_pod("careful", selector={labels.CAPACITY_TYPE: "on-demand"})

    plan = planned(spot_look(a_serving_machine(pods=(pod,))))

    assert plan.launches == ()
    assert "careful" in plan.report[0]


def test_a_full_pool_replaces_nothing_and_says_so() -> None:
    """For a while both machines are there, and poolSize counts both."""
    plan = planned(spot_look(a_serving_machine(), pool=a_spot_pool(size=1)))

    assert plan.launches == ()
    assert plan.report == ("1 machine could be replaced by spot machines: the pool owns 1 of 1 machine allowed",)


def test_the_one_that_is_coming_is_named_in_the_departure_and_no_second_is_asked_for() -> None:
    """A crash right after the launch finds its fruit again."""
    successor = a_serving_machine("ci-2", spot=True, replacing="node-ci-1", pods=())

    plan = planned(spot_look(a_serving_machine(), successor))

    assert plan.launches == ()
    (departing,) = plan.departures
    assert (departing.claim, departing.departure.replacements) == ("ci-1", ("ci-2",))
    assert (departing.departure.reason, departing.departure.then) == (SPOT_REPLACEMENT, Wanted.STANDBY)
    assert labels.SPOT_REPLACEMENT_STARTED in departing.annotations


def test_a_replacement_is_complete_when_the_machine_stands_by() -> None:
    """Then neither bears a note of the other any more: woken again, it is a machine like all others."""
    started = {labels.SPOT_REPLACEMENT_STARTED: (NOW - timedelta(minutes=3)).isoformat()}
    before = a_machine("ci-1", state=NodeState.STANDBY, annotations=started)
    successor = a_serving_machine("ci-2", spot=True, replacing="node-ci-1")

    plan = planned(spot_look(before, successor))

    assert [event.reason for event in plan.events] == ["SpotReplacementComplete"]
    assert plan.lasted_seconds == (180.0,)
    assert {(note.claim, *note.annotations) for note in plan.notes} == {
        ("ci-1", labels.SPOT_REPLACEMENT_STARTED),
        ("ci-2", labels.SPOT_REPLACING_NODE),
    }


def test_after_a_spot_machine_that_could_not_be_had_its_place_is_left_alone_for_a_while() -> None:
    """Stock does not come back within the second in which it was refused."""
    failed = a_serving_machine("ci-2", spot=True, replacing="node-ci-1", pods=(), wanted=Wanted.GONE)

    plan = planned(spot_look(a_serving_machine(), failed))

    assert plan.launches == ()
    assert ("ci-1", labels.NOT_DISRUPTED_BEFORE) in {(note.claim, *note.annotations) for note in plan.notes}


def test_a_spot_machine_of_a_pool_that_is_idle_is_ended() -> None:
    """It cannot be stopped, and nobody uses it."""
    idle = {labels.SCALE_DOWN_CANDIDATE_SINCE: (NOW - timedelta(minutes=6)).isoformat()}
    machine = a_serving_machine(spot=True, pods=(), annotations=idle)

    plan = plan_pool(spot_look(machine))

    assert [(wish.claim, wish.wanted) for wish in plan.wishes] == [("ci-1", Wanted.GONE)]


def test_the_saving_is_what_machines_of_the_pools_own_type_would_cost_more() -> None:
    """It is the number that spot replacement is turned on for."""
    spot = a_serving_machine("ci-1", spot=True, price_usd_per_hour=0.08)
    usual = a_serving_machine("ci-2", price_usd_per_hour=0.2)

    status = plan_pool(spot_look(spot, usual)).status

    assert (status.spot, status.spot_savings_usd_per_hour) == (1, 0.12)


@given(
    serving=st.integers(0, 6),
    standing=st.integers(0, 4),
    coming=st.integers(0, 3),
    size=st.integers(1, 12),
    minimum=st.integers(0, 4),
)
def test_no_plan_exceeds_the_pools_size_or_replaces_a_machine_twice(
    serving: int, standing: int, coming: int, size: int, minimum: int
) -> None:
    """Whatever else the pool asks for in the same breath."""
    machines = [a_serving_machine(f"ci-{index}") for index in range(serving)]
    machines += [a_machine(f"by-{index}") for index in range(standing)]
    machines += [
        a_serving_machine(f"spot-{index}", spot=True, replacing=f"node-ci-{index}", pods=()) for index in range(coming)
    ]
    pool = a_spot_pool(size=max(size, minimum), standby=minimum)

    plan = plan_pool(spot_look(*machines, pool=pool))

    replaced = [new.replacing for new in plan.launches if new.replacing]
    assert len(machines) + len(plan.launches) <= max(pool.spec.pool_size, len(machines))
    assert len(replaced) == len(set(replaced))
    assert not set(replaced) & {f"node-ci-{index}" for index in range(coming)}


def test_pods_of_a_machine_that_is_taken_back_wake_standby_machines() -> None:
    """They are counted with those that wait, before they wait."""
    taken = a_serving_machine("ci-1", spot=True, pods=(a_busy_pod(cpu="3"),))
    notice = ClaimInterruption(
        kind=InterruptionKind.SPOT_INTERRUPTION, noticed_at=NOW, deadline=NOW + timedelta(minutes=2)
    )
    claim = msgspec.structs.replace(taken.claim, spec=msgspec.structs.replace(taken.claim.spec, interruption=notice))
    taken = PoolMachine(claim, taken.node, taken.pods)
    roomy = a_serving_machine("ci-3", pods=(), last_started_at=NOW - timedelta(seconds=50))
    look = spot_look(taken, a_machine("by-1"))

    plan = plan_pool(look)

    assert [(wish.claim, wish.wanted, wish.wake) for wish in plan.wishes] == [("by-1", Wanted.RUNNING, True)]
    assert plan.answers == ("ci-1",)
    assert plan_pool(spot_look(taken, a_machine("by-1"), roomy)).wishes == ()  # there is room in service
