"""Stories of nodes and pools in trouble: when things go well, nobody asks."""

from datetime import timedelta

import msgspec

from stratos.apis.event import Event
from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.nodeclaim import ClaimCondition, ClaimInterruption, Decision, InterruptionKind, NodeState, Wanted
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from stratos.cli.explaining.node import tell_node
from stratos.cli.explaining.pool import tell_pool
from stratos.cli.explaining.scene import Scene
from stratos.snapshot.pool import ClassProblem, PoolMachine
from stratos.testing.pool_builders import NOW, a_look, a_machine, a_pod, a_pool


def a_running_machine(price_usd_per_hour: float | None = None) -> PoolMachine:
    return a_machine("ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING, price_usd_per_hour=price_usd_per_hour)


def a_scene(*, allowed: int = 0) -> Scene:
    """With one budget over all pods, which lets so many go."""
    budget = PodDisruptionBudget(
        metadata=ObjectMeta(name="keep", namespace="default"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelectorSpec()),
        status=PodDisruptionBudgetStatus(disruptions_allowed=allowed),
    )
    return Scene(taken_at=NOW, budgets=(budget,))


def test_a_drain_that_a_budget_holds_up_names_pod_and_budget() -> None:
    """A node that will not leave is asked about more often than any other."""
    machine = a_machine("ci-1", state=NodeState.TERMINATING, wanted=Wanted.GONE, pods=[a_pod("db", node="node-ci-1")])
    blocked = "default/db stays: PodDisruptionBudget default/keep allows no disruption now"

    assert blocked in tell_node(a_scene(allowed=0), machine, a_pool()).reasons
    assert blocked not in tell_node(a_scene(allowed=1), machine, a_pool()).reasons


def test_a_node_that_is_never_parked_says_so() -> None:
    """Somebody turned that off, and pays for it by the hour."""
    story = tell_node(a_scene(), a_running_machine(), a_pool(scaleDown={"enabled": False}))

    assert any("scaleDown.enabled is false" in reason for reason in story.reasons)


def test_a_node_with_a_longest_runtime_says_when_it_is_replaced() -> None:
    """Long jobs should know."""
    story = tell_node(a_scene(), a_running_machine(), a_pool(maxNodeRuntime="1h"))

    assert "is drained and replaced in 56m, at 12:56:00 (maxNodeRuntime 1h)" in story.reasons


def test_a_machine_that_is_taken_back_says_so_and_what_its_pods_wait_for() -> None:
    """It is the first thing to know about such a node."""
    machine = a_running_machine()
    notice = ClaimInterruption(
        kind=InterruptionKind.SPOT_INTERRUPTION, noticed_at=NOW, deadline=NOW + timedelta(minutes=2)
    )
    spec = msgspec.structs.replace(machine.claim.spec, interruption=notice, capacity_type="spot")
    taken = PoolMachine(msgspec.structs.replace(machine.claim, spec=spec), machine.node, machine.pods)

    story = tell_node(a_scene(), taken, a_pool())

    assert story.facts["terms"] == "spot"
    assert (
        "the cloud takes its machine back at 2026-01-01 12:02:00 UTC, as it said at 12:00:00; "
        "machines for its pods are yet to be asked for"
    ) in story.reasons


def test_a_stopped_machine_costs_nothing_by_the_hour() -> None:
    """Only its disks, and of their price the ledger knows nothing."""
    running = tell_node(a_scene(), a_running_machine(price_usd_per_hour=0.384), a_pool())
    standing = tell_node(a_scene(), a_machine("ci-1", price_usd_per_hour=0.384), a_pool())

    assert running.facts["usd_per_hour"] == 0.384
    assert standing.facts["usd_per_hour"] is None


def test_what_went_wrong_with_a_machine_is_said() -> None:
    """Its conditions hold the cloud's own answer."""
    machine = a_machine("ci-1", conditions={ClaimCondition.WOKEN: "InsufficientCapacity"})

    assert any(
        reason.startswith("Woken is false since 11:59:00") for reason in tell_node(a_scene(), machine, a_pool()).reasons
    )


def test_a_pool_that_cannot_launch_says_why_and_what_to_mend() -> None:
    """The class it names is missing: no pod is to blame."""
    problem = ClassProblem("NodeClassNotFound", "there is no SimNodeClass small", 30.0)
    pool = a_pool()
    degraded = Condition(
        type="Degraded",
        status="True",
        reason=problem.reason,
        message=problem.message,
        last_transition_time=NOW - timedelta(minutes=3),
    )
    broken = msgspec.structs.replace(pool, status=msgspec.structs.replace(pool.status, conditions=(degraded,)))

    story = tell_pool(Scene(taken_at=NOW), a_look(broken, shape=None, problem=problem))

    assert story.headline.startswith("nodepool ci is not ready: 0 of 2 wanted stand by")
    assert "Degraded for 3m: there is no SimNodeClass small" in story.reasons
    assert "2 machines are missing to minStandby and cannot be asked for now" in story.reasons
    assert story.hint == "mend what keeps NodePool ci from launching: there is no SimNodeClass small"


def test_what_was_decided_together_is_told_as_one() -> None:
    """A burst brings machines into service by the dozen; a line for each would hide all that came before."""

    def woken(number: int) -> PoolMachine:
        pods = (f"default/web-{number}",)
        decision = Decision(reason="ScaleUp", message=f"a standby machine for {pods[0]}", at=NOW, pods=pods)
        return a_machine(f"ci-{number}", state=NodeState.RUNNING, wanted=Wanted.RUNNING, decision=decision)

    [step] = tell_pool(Scene(taken_at=NOW), a_look(None, *map(woken, range(3)))).steps

    assert step.text == "3 machines: running wanted. ScaleUp: for 3 pods"


def test_warnings_about_a_pool_are_part_of_its_story() -> None:
    """Back-off after failures is known by its loop alone; what set it off was told as Events."""
    failed = Event(
        metadata=ObjectMeta(name="e"),
        type="Warning",
        reason="WarmupFailed",
        message="ci-1 is given up (timeout)",
        last_timestamp=NOW,
    )

    story = tell_pool(Scene(taken_at=NOW), a_look(), [failed])

    assert [step.text for step in story.steps] == ["WarmupFailed: ci-1 is given up (timeout)"]


def test_a_pool_that_is_being_deleted_counts_what_is_left() -> None:
    """That is all one waits for."""
    pool = a_pool()
    leaving = msgspec.structs.replace(pool, metadata=msgspec.structs.replace(pool.metadata, deletion_timestamp=NOW))

    story = tell_pool(Scene(taken_at=NOW), a_look(leaving, a_machine("ci-1", wanted=Wanted.GONE)))

    assert story.headline == "nodepool ci is being deleted: 1 machine left"


def test_a_full_pool_hints_at_its_size_only_when_pods_are_left_over() -> None:
    """While machines are on their way for all of them there is nothing to mend."""
    full = a_pool(size=1, standby=0)
    pod = a_pod(cpu="3")
    decision = Decision(reason="ScaleUp", message="a standby machine", at=NOW, pods=(pod.metadata.key,))
    coming = a_machine("ci-1", wanted=Wanted.RUNNING, wakes=1, wakes_done=0, decision=decision)
    elsewhere = a_machine(
        "ci-1", state=NodeState.RUNNING, wanted=Wanted.RUNNING, pods=[a_pod("other", cpu="3", node="node-ci-1")]
    )

    def hint(machine: PoolMachine) -> str:
        look = a_look(full, machine, waiting=[pod])
        return tell_pool(Scene(taken_at=NOW, looks=(look,), waiting=(pod,)), look).hint

    assert hint(coming) == ""
    assert hint(elsewhere).startswith("raise spec.poolSize of NodePool ci, now 1")
