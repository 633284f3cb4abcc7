"""Each law catches what it is there for: with its guard taken away, it breaks, and soon.

A law that cannot fail proves nothing. Each test removes one guard from the system under trial, and nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sim.small_days import a_day, budget, pods, pool_deleted, scaled_to
from stratos.apis.nodeclaim import NodeState, Wanted
from stratos.apis.pod import POD
from stratos.cli.sim import run_sim
from stratos.controllers.inventory import Inventory
from stratos.controllers.machines import cloud_calls
from stratos.controllers.machines.cloud_calls import CloudCalls
from stratos.controllers.machines.launching import launch_request
from stratos.controllers.machines.ledger import Ledger
from stratos.controllers.machines.node_writes import NodeWrites
from stratos.controllers.pools import controller as pool_controller
from stratos.kube.client import Client
from stratos.planning.interruptions import plan as interruption_plan
from stratos.planning.pools import draft, machine, members, pool, scale_up, upkeep
from stratos.planning.pools.members import PoolPlan
from stratos.planning.pools.nodes import shape_node
from stratos.planning.pools.scale_up import ScaleUp
from stratos.planning.pools.upkeep import Upkeep
from stratos.planning.scheduling.filters import FitCheck
from stratos.providers.contract import LaunchRequest, MachineState
from stratos.sim import laws, rest
from stratos.sim.laws import Law
from stratos.sim.run import simulate
from stratos.sim.scenario import Act, Scenario
from stratos.snapshot.pool import PoolSnapshot

Patch = pytest.MonkeyPatch


SPOT_DAY = a_day(pods(2, cpu="500m"), spotReplacement={"enabled": True, "replacementDelay": "1m"})


def broken(
    day: Scenario, *only: type[Law], faults: tuple[str, ...] = (), hours: float = 0.5, seeds: int = 4
) -> set[str]:
    """The first law broken on this day, with the chance of one of a few seeds; ``only`` these are held up, or all."""
    chosen: Callable[[], tuple[Law, ...]] = (lambda: tuple(law() for law in only)) if only else laws.every_law
    for seed in range(seeds):
        outcome = simulate(seed, hours, faults, laws=chosen, rules=(), scenario=day)
        if outcome.violations:
            return {outcome.violations[0].law}
    return set()


def nothing(*_: object, **__: object) -> None:
    return None


async def nothing_async(*_: object, **__: object) -> None:
    return None


def test_the_days_of_these_tests_break_nothing_by_themselves() -> None:
    """What breaks in the tests below breaks for want of its guard."""
    day = a_day(pods(3), budget(minAvailable=2), scaled_to(1, at=900), maxNodeRuntime="15m")

    assert simulate(0, 0.5, [], scenario=day).violations == ()


def test_without_its_limit_a_pool_outgrows_its_size(monkeypatch: Patch) -> None:
    """Every machine too many is billed."""
    for module in (scale_up, upkeep):
        monkeypatch.setattr(module, "launches_allowed", lambda look: 5)

    assert broken(a_day(pods(6), size=2)) == {"PoolSizeIsKept"}


def test_a_machine_launched_for_no_claim_is_noticed_at_once(monkeypatch: Patch) -> None:
    """Nobody would ever end it."""
    asked = launch_request
    monkeypatch.setattr(cloud_calls, "launch_request", lambda *args, **rest: replace(asked(*args, **rest), token="new"))

    assert broken(a_day()) == {"ClaimsComeFirst"}


def test_a_token_for_each_attempt_launches_twice(monkeypatch: Patch) -> None:
    """An answer that was lost would cost a machine."""
    asked, tokens = launch_request, itertools.count()

    def another_token(*args: Any, **rest: Any) -> LaunchRequest:
        return replace(asked(*args, **rest), token=f"token-{next(tokens)}")

    monkeypatch.setattr(cloud_calls, "launch_request", another_token)
    day = a_day(pods(10), size=16, maxNodeRuntime="6m")

    found = broken(day, laws.OneLaunchForAClaim, faults=("lost-cloud-answers",), seeds=10)
    assert found == {"OneLaunchForAClaim"}


def test_a_wake_that_is_never_spent_starts_twice(monkeypatch: Patch) -> None:
    """Whoever stops a machine on the console wants it stopped."""
    tokens = itertools.count()
    monkeypatch.setattr(machine, "start_token", lambda claim: f"token-{next(tokens)}")
    monkeypatch.setattr(machine, "wake_is_due", lambda claim: True)

    found = broken(a_day(pods(4), standby=2), laws.OneStartForAWake, faults=("outside-stops",), hours=1, seeds=10)
    assert found == {"OneStartForAWake"}


def test_without_its_cordon_a_node_in_preparation_is_open(monkeypatch: Patch) -> None:
    """Pods would be killed when it is parked."""
    shaped = shape_node
    monkeypatch.setattr(draft, "shape_node", lambda *args, **rest: replace(shaped(*args, **rest), unschedulable=False))

    assert broken(a_day()) == {"StandbyIsClosed"}


def test_a_scheduler_that_minds_no_cordon_fills_machines_that_are_off(monkeypatch: Patch) -> None:
    """A pod on a machine that is off waits for ever."""
    monkeypatch.setattr(FitCheck, "reject", nothing)

    assert broken(a_day(pods(2)), laws.NobodyEntersStandby) == {"NobodyEntersStandby"}


def test_a_scheduler_that_minds_no_room_is_refused_by_kubelets(monkeypatch: Patch) -> None:
    """Scheduler and node must count alike."""
    monkeypatch.setattr(FitCheck, "_reject_by_resources", nothing)

    assert broken(a_day(pods(1), scaled_to(3, at=600)), laws.KubeletsAgree) == {"KubeletsAgree"}


def test_deleting_instead_of_evicting_breaks_budgets(monkeypatch: Patch) -> None:
    """Only the eviction API asks them."""

    async def delete(self: Client, key: str, **_: object) -> None:
        await self.delete(POD, key)

    monkeypatch.setattr(Client, "evict", delete)

    assert broken(a_day(pods(3), budget(minAvailable=3), maxNodeRuntime="10m")) == {"BudgetsAreKept"}


def test_pods_that_leave_at_the_first_notice_leave_into_nothing(monkeypatch: Patch) -> None:
    """They would wait for a machine that nobody has asked for."""
    monkeypatch.setattr(interruption_plan, "_missing", lambda look, notice: "")
    monkeypatch.setattr(pool, "_unanswered", lambda look: ())

    found = broken(SPOT_DAY, laws.RoomIsAskedForFirst, faults=("interruptions",), hours=1, seeds=10)
    assert found == {"RoomIsAskedForFirst"}


def test_without_its_link_a_machine_is_replaced_again_and_again(monkeypatch: Patch) -> None:
    """Each look would launch another spot machine for the same pods."""
    monkeypatch.setattr(members, "replaces", lambda machine: "")

    assert broken(SPOT_DAY, laws.OneReplacementAtATime) == {"OneReplacementAtATime"}


def test_an_unguarded_life_takes_illegal_steps(monkeypatch: Patch) -> None:
    """Whoever finds such a state cannot know what to do next."""

    def any_step(*states: NodeState) -> NodeState:
        return NodeState.WARMUP if states[-1] is NodeState.TERMINATING else states[-1]

    monkeypatch.setattr(draft, "step_through", any_step)

    assert broken(a_day(pods(2), scaled_to(0, at=600))) == {"StatesFollowTheLife"}


def test_machines_that_are_never_ended_outlive_their_claims(monkeypatch: Patch) -> None:
    """Nobody uses them, and somebody pays."""

    async def end_in_name_only(self: Any, claim: Any) -> None:
        self._sightings.note(claim.metadata.name, MachineState.TERMINATED)

    monkeypatch.setattr(CloudCalls, "terminate", end_in_name_only)
    monkeypatch.setattr(Inventory, "survey", nothing_async)

    day = a_day(pods(2), maxNodeRuntime="10m")
    assert broken(day, laws.MachinesHaveClaims, hours=1) == {"MachinesHaveClaims"}


def test_claims_that_are_never_released_outlive_their_machines(monkeypatch: Patch) -> None:
    """They would count against their pool's size for ever."""
    monkeypatch.setattr(Ledger, "release", nothing_async)

    day = a_day(pods(2), maxNodeRuntime="10m")
    assert broken(day, laws.ClaimsHaveMachines, hours=1) == {"ClaimsHaveMachines"}


def test_a_pool_let_go_too_soon_leaves_machines_behind(monkeypatch: Patch) -> None:
    """Nothing would look after them any more."""
    planned = pool._plan_deletion

    def too_soon(look: PoolSnapshot) -> PoolPlan:
        return replace(planned(look), release=True)

    monkeypatch.setattr(pool, "_plan_deletion", too_soon)

    assert broken(a_day(pool_deleted(at=600))) == {"DeletedPoolsAreEmpty"}


def test_a_controller_that_crashes_is_heard(monkeypatch: Patch) -> None:
    """An error that is retried for ever looks like patience from outside."""

    def stumble(*_: object) -> None:
        raise RuntimeError("one of our bugs")

    monkeypatch.setattr(pool, "plan_scale_up", stumble)

    assert broken(a_day()) == {"NothingStumbles"}


@pytest.mark.parametrize(
    ("owner", "guard", "instead", "rule"),
    [
        (pool, "refill", lambda *_: ((), ""), rest.pools_are_full),
        (pool, "plan_scale_up", lambda *_: ScaleUp(), rest.pods_are_served),
        (pool, "park_empty", lambda *_: Upkeep(), rest.nothing_idles),
        (NodeWrites, "delete", nothing_async, rest.machines_and_claims_match),
        (CloudCalls, "stop", nothing_async, rest.machines_are_where_they_should_be),
        (pool_controller._Pools, "_report", nothing_async, rest.pools_tell_the_truth),
        (pool_controller._Pools, "_let_go", nothing_async, rest.deleted_things_are_gone),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_never_brought_in_order_does_not_pass_for_order(
    monkeypatch: Patch, owner: object, guard: str, instead: object, rule: rest.Rule
) -> None:
    """The rules of rest are the only ones that see a thing left undone."""
    monkeypatch.setattr(owner, guard, instead)
    monkeypatch.setattr(Inventory, "survey", nothing_async)
    special: dict[rest.Rule, tuple[Act, ...]] = {
        rest.pools_are_full: (),
        rest.deleted_things_are_gone: (pool_deleted(at=600),),
    }
    acts = special.get(rule, (pods(2), scaled_to(1, at=900)))
    runtime: dict[str, Any] = {"maxNodeRuntime": "10m"} if rule is rest.machines_and_claims_match else {}

    found = simulate(0, 0.4, [], rules=(rule,), scenario=a_day(*acts, **runtime)).violations

    assert [violation.law for violation in found] == [rule.__name__]


def test_machines_moved_for_no_reason_are_no_rest(monkeypatch: Patch) -> None:
    """A pool that replaces its machines for ever looks well at every single moment."""

    def replace_one(look: PoolSnapshot) -> tuple[Any, ...]:
        standing = [one for one in look.machines if one.claim.status.state is NodeState.STANDBY]
        return tuple(upkeep._wish(one, Wanted.GONE, "Whim", "", look.taken_at) for one in standing[:1])

    monkeypatch.setattr(pool, "refresh_images", replace_one)

    assert broken(a_day()) == {"rest_lasts"}


def test_a_broken_law_is_told_so_that_it_can_be_replayed(
    monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone tired reads it: what broke, what was seen, what came before, and how to see it again."""
    shaped = shape_node
    monkeypatch.setattr(draft, "shape_node", lambda *args, **rest: replace(shaped(*args, **rest), unschedulable=False))

    assert run_sim(1, 3, 0.2, "none", as_json=False) == 1

    told = capsys.readouterr().out
    assert "law: the node of a machine that is not in service takes no pods" in told
    assert "what came before:" in told
    assert "replay: stratos sim --seed 1 --hours 0.2 --faults none" in told
