from __future__ import annotations

from datetime import timedelta
from typing import Any

from planning.disruption.disruption_builders import (
    Machine,
    a_budget,
    a_departure,
    a_look,
    a_machine,
    a_pod,
    a_workload,
)
from stratos.apis import labels
from stratos.apis.nodeclaim import Wanted
from stratos.apis.pod import Pod
from stratos.planning.disruption.evacuation import (
    Close,
    EndSurge,
    EvacuationPlan,
    EvacuationStep,
    Evict,
    Finish,
    GiveUp,
    StartSurge,
    plan_evacuation,
)
from stratos.testing.provisioning_builders import NOW

LEAVING = a_departure("Underutilized")
WEB = "uid-default/web"


def evacuate(*machines: Machine, **more: Any) -> EvacuationPlan:
    return plan_evacuation(a_look(*machines, **more))


def steps(*machines: Machine, **more: Any) -> tuple[EvacuationStep, ...]:
    return evacuate(*machines, **more).steps


def test_the_node_is_closed_before_anything_else() -> None:
    """Or the replacement of a pod might start on the very node it is to leave."""
    web = a_workload()

    assert steps(a_machine("a", a_pod("web-1", of=web), departure=LEAVING), workloads=(web,)) == (Close("a", "node-a"),)


def test_nothing_is_touched_before_all_replacements_are_ready() -> None:
    """What goes wrong until then costs nobody anything."""
    leaving = a_machine("a", a_pod("p"), departure=a_departure("Cheaper", "b", "c"))

    found = evacuate(leaving, a_machine("b"), a_machine("c", coming=True))

    assert found.steps == ()
    assert found.waits == ("a waits for c",)


def test_a_departure_is_taken_back_when_a_replacement_does_not_come() -> None:
    """The machine stays as it was, and is left alone for a while."""
    leaving = a_machine("a", a_pod("p"), departure=a_departure("Cheaper", "b"))
    message = "its replacement b did not come"

    assert steps(leaving) == (GiveUp("a", message, NOW + timedelta(minutes=5)),)
    assert steps(leaving, a_machine("b", coming=True, wanted=Wanted.GONE)) == (
        GiveUp("a", message, NOW + timedelta(minutes=5)),
    )


def test_pods_that_can_be_started_twice_are_before_they_go() -> None:
    """One more for each of them, wherever they are, and all at once."""
    web = a_workload(replicas=5)
    machines = (
        a_machine("a", a_pod("web-1", of=web), a_pod("web-2", of=web), departure=LEAVING, closed=True),
        a_machine("b", a_pod("web-3", of=web), departure=LEAVING, closed=True),
    )

    assert steps(*machines, workloads=(web,)) == (StartSurge(WEB, ("default/web-1", "default/web-2", "default/web-3")),)


def test_large_pods_are_started_elsewhere_before_small_ones() -> None:
    """Spread first, the small ones might leave no node with enough room for a large one."""
    web, batch, tiny = (a_workload(name, 2) for name in ("web", "batch", "tiny"))
    large, fair, small = a_pod("web-1", of=web, cpu=2), a_pod("batch-1", of=batch, cpu=1), a_pod("tiny-1", of=tiny)

    def next_steps(*pods: Pod) -> set[str]:
        machine = a_machine("a", *pods, type_="c.large", departure=LEAVING, closed=True)
        found = steps(machine, workloads=(web, batch, tiny))
        return {pod for step in found if isinstance(step, StartSurge) for pod in step.pods}

    assert next_steps(large, fair, small) == {"default/web-1", "default/batch-1"}
    assert next_steps(small) == {"default/tiny-1"}


def test_a_surge_ends_when_all_of_it_is_ready_and_not_before() -> None:
    """A controller gives up pods that are not ready first: to end it early would undo it."""
    moving = a_machine("a", a_pod("web-1", of=a_workload()), departure=LEAVING, closed=True)

    assert steps(moving, workloads=(a_workload(surge=1, ready=3),)) == ()
    assert steps(moving, workloads=(a_workload(surge=1, ready=4),)) == (EndSurge(WEB),)


def test_a_surge_without_a_pod_that_moves_is_brought_back() -> None:
    """After a crash, or when a node was lost meanwhile, nobody is left who would remember it."""
    assert steps(a_machine("a"), workloads=(a_workload(surge=2, ready=3),)) == (EndSurge(WEB),)


def test_no_budget_seems_broken_by_a_surge() -> None:
    """Newcomers that are not ready yet count as missing in a budget of pods that may be missing."""
    web = a_workload(replicas=4)
    pods = [a_pod(f"web-{n}", of=web) for n in range(3)]
    machine = a_machine("a", *pods, departure=LEAVING, closed=True)
    one_may_be_missing = a_budget(healthy=4, allowed=1, max_unavailable=1)
    three_must_be_there = a_budget(healthy=4, allowed=1, min_available=3)

    assert steps(machine, workloads=(web,), budgets=(one_may_be_missing,)) == (StartSurge(WEB, ("default/web-0",)),)
    assert steps(machine, workloads=(web,), budgets=(three_must_be_there,)) == (
        StartSurge(WEB, ("default/web-0", "default/web-1", "default/web-2")),
    )


def test_a_lone_replica_behind_a_budget_of_one_can_move_at_last() -> None:
    """``minAvailable: 1`` of one replica blocks every eviction; two of them satisfy it."""
    lone = a_workload(replicas=1)
    machine = a_machine("a", a_pod("web-1", of=lone), departure=LEAVING, closed=True)

    found = steps(machine, workloads=(lone,), budgets=(a_budget(healthy=1, min_available=1),))

    assert found == (StartSurge(WEB, ("default/web-1",)),)


def test_pods_of_a_stateful_set_leave_one_at_a_time_and_only_while_all_others_are_ready() -> None:
    """There is never a second pod of the same name; its own rolling update does no more."""
    base: dict[str, Any] = {"kind": "StatefulSet", "can_surge": False}
    ready, unready = a_workload("db", 3, **base), a_workload("db", 3, **base | {"ready": 2})
    pods = [a_pod(f"db-{n}", of=ready) for n in range(2)]
    machine = a_machine("a", *pods, departure=LEAVING, closed=True)

    assert steps(machine, workloads=(ready,)) == (Evict("default/db-0"),)
    assert steps(machine, workloads=(unready,)) == ()
    gone = a_machine("a", a_pod("db-0", of=ready, leaving=True), pods[1], departure=LEAVING, closed=True)
    assert steps(gone, workloads=(unready,)) == ()


def test_what_has_no_number_to_fall_below_is_left_to_the_drain_of_the_machine() -> None:
    """Pods of Jobs, and pods that are not ready anyway."""
    web = a_workload(ready=2)
    pods = (a_pod("job-1", owner="Job"), a_pod("web-1", of=web, ready=False))

    assert steps(a_machine("a", *pods, departure=LEAVING, closed=True), workloads=(web,)) == (Finish("a"),)


def test_the_machine_waits_until_pods_that_were_given_up_are_gone() -> None:
    """They end in their own time; the machine below them must not."""
    web = a_workload()

    machine = a_machine("a", a_pod("web-1", of=web, leaving=True), departure=LEAVING, closed=True)

    assert steps(machine, workloads=(web,)) == ()


def test_an_empty_node_that_a_pod_came_to_stays() -> None:
    """It was to go because nobody used it."""
    (step,) = steps(a_machine("a", a_pod("new"), departure=a_departure("Empty"), closed=True))

    assert isinstance(step, GiveUp)
    assert step.message == "default/new came to its node"


def test_a_pod_that_may_not_leave_any_more_is_waited_for_and_then_the_node_stays() -> None:
    """Its annotation came after the decision."""
    held = a_pod("p", annotations={"karpenter.sh/do-not-disrupt": "true", labels.DELETION_COST: "-1"})

    def at(minutes: int) -> EvacuationPlan:
        departure = a_departure("Expired", ago=timedelta(minutes=minutes))
        return evacuate(a_machine("a", held, departure=departure, closed=True))

    assert at(14).steps == ()
    assert "do-not-disrupt" in at(14).waits[0]
    assert at(14).look_again_at == NOW + timedelta(minutes=1)
    (step,) = at(15).steps
    assert isinstance(step, GiveUp)
    assert step.pods == ("default/p",)


def test_the_more_pods_are_to_move_the_longer_it_may_take() -> None:
    """A budget that lets one of forty be missing makes them move one by one."""
    web = a_workload(surge=1, ready=3)
    machine = a_machine("a", a_pod("web-1", of=web), departure=a_departure("Expired", pods=40), closed=True)

    assert evacuate(machine, workloads=(web,)).look_again_at == NOW + timedelta(minutes=35)


def test_a_broken_node_is_not_emptied_with_care() -> None:
    """Nothing on it serves anybody."""
    held = a_pod("p", ready=False, annotations={"karpenter.sh/do-not-disrupt": "true"})

    assert steps(a_machine("a", held, departure=a_departure("Unhealthy"))) == (Finish("a"),)


def test_a_machine_that_ends_already_is_nobodys_business_here() -> None:
    """Its drain is the machine's own."""
    assert steps(a_machine("a", a_pod("p"), departure=LEAVING, wanted=Wanted.GONE)) == ()
