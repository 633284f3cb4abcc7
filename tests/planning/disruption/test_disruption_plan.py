from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

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
from stratos.apis.nodetemplate import BackedOff, NodeTemplate
from stratos.catalog.instance_type import CapacityType
from stratos.planning.disruption import plan_disruption
from stratos.planning.disruption.plan import DisruptionPlan, Reason
from stratos.testing.provisioning_builders import NOW, a_template, a_waiting_pod

FIVE_MINUTES = timedelta(minutes=5)
LONG = timedelta(minutes=10)


def plan(*machines: Machine, **more: Any) -> DisruptionPlan:
    return plan_disruption(a_look(*machines, **more))


def gone(plan: DisruptionPlan) -> dict[str, Reason]:
    return {claim: each.reason for each in plan.disruptions for claim in each.claims}


def blocked(plan: DisruptionPlan) -> dict[str, str]:
    return {each.claim: each.message for each in plan.blocked}


def by_thresholds(**disruption: Any) -> NodeTemplate:
    """A template whose machines go by how used they are, not by what would be cheaper."""
    return a_template(strategy="thresholds", disruption=disruption)


# Empty and little used


def test_an_empty_machine_goes_once_it_has_been_so_for_long_enough() -> None:
    """The next pod may come any moment: a machine that is given back at once is bought again at once."""
    template = by_thresholds(nodeUnneededDuration="5m")

    assert gone(plan(a_machine("a", unneeded_for=FIVE_MINUTES), templates=(template,))) == {"a": Reason.EMPTY}
    early = plan(a_machine("a", unneeded_for=timedelta(minutes=4)), templates=(template,))
    assert not early.disruptions
    assert early.look_again_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("packing", "share", "goes"),
    [
        ("bin-packing", 0.19, True),
        ("bin-packing", 0.21, False),
        ("bin-selection", 0.74, True),
        ("bin-selection", 0.76, False),
    ],
)
def test_b25_a_node_below_its_threshold_goes_if_its_pods_fit_elsewhere(packing: str, share: float, goes: bool) -> None:
    """20 % for shared nodes, 75 % for selected ones: those are meant to be full."""
    template = by_thresholds()
    capacity = 3920  # what a c.medium leaves of its four cores
    pod = a_pod("little", cpu=f"{int(capacity * share)}m")
    full = a_machine("full", a_pod("much", cpu="3"), type_="c.large", packing=packing)

    found = plan(a_machine("a", pod, packing=packing, unneeded_for=FIVE_MINUTES), full, templates=(template,))

    assert gone(found) == ({"a": Reason.UNDERUTILIZED} if goes else {})
    if not goes:
        assert ("a", None) in [(mark.claim, mark.unneeded_since) for mark in found.marks]


def test_b25_a_node_stays_when_its_pods_fit_nowhere_else() -> None:
    """The message is the one that operators of other autoscalers know."""
    template = by_thresholds()
    pod = a_pod("little", cpu="700m")
    full = a_machine("full", a_pod("much", cpu="3500m"))

    found = plan(a_machine("a", pod, unneeded_for=LONG), full, templates=(template,))

    assert not found.disruptions
    assert blocked(found)["a"] == "pod default/little cannot be scheduled on another of 1 node choice"


def test_the_resource_that_is_asked_for_most_tells_how_used_a_node_is() -> None:
    """A node whose memory is full is full, and one whose GPU works is at work."""
    template = by_thresholds()
    memory = a_machine("memory", a_pod("cache", cpu="10m", memory="6Gi"), unneeded_for=LONG)
    gpu = a_machine("gpu", a_pod("model", cpu="10m", gpus=1), type_="g.one", unneeded_for=LONG)

    assert not gone(plan(memory, gpu, a_machine("free", a_pod("x", cpu=3), type_="c.huge"), templates=(template,)))


def test_b27_with_a_threshold_of_zero_only_nodes_without_managed_pods_go() -> None:
    """Pods that the template would not get machines for do not keep its machines."""
    template = a_template(
        pods={"labels": {"elotl-luna": "true"}},
        strategy="thresholds",
        disruption={"binPackUtilizationThreshold": 0.0},
    )
    managed = a_machine("managed", a_pod("m", cpu="10m", labels_={"elotl-luna": "true"}), unneeded_for=LONG)
    other = a_machine("other", a_pod("o", cpu="10m"), unneeded_for=LONG)

    assert gone(plan(managed, other, templates=(template,))) == {"other": Reason.UNDERUTILIZED}


def test_b28_a_spike_starts_the_time_anew() -> None:
    """Continuously little used is what counts."""
    template = by_thresholds()
    busy = a_pod("busy", cpu="3")

    during = plan(a_machine("a", busy, unneeded_for=timedelta(minutes=4)), templates=(template,))
    after = plan(a_machine("a"), templates=(template,), at=NOW + timedelta(minutes=2))

    assert [(mark.claim, mark.unneeded_since) for mark in during.marks] == [("a", None)]
    assert [(mark.claim, mark.unneeded_since) for mark in after.marks] == [("a", NOW + timedelta(minutes=2))]
    assert not after.disruptions


def test_a_mark_that_holds_no_more_is_not_heeded() -> None:
    """The pod came between two looks: the mark is still there, and means nothing."""
    assert not gone(plan(a_machine("a", a_pod("busy", cpu="3"), unneeded_for=LONG), templates=(by_thresholds(),)))


def test_a_machine_that_pods_are_on_their_way_to_is_neither_empty_nor_marked() -> None:
    """It was bought for them a moment ago."""
    waiting = a_waiting_pod("soon")
    machine = a_machine("a", unneeded_for=LONG, promised_to=("default/soon",))

    found = plan(machine, waiting=(waiting,), templates=(by_thresholds(),))

    assert not found.disruptions
    assert [(mark.claim, mark.unneeded_since) for mark in found.marks] == [("a", None)]


@pytest.mark.parametrize(("policy", "goes"), [("Never", []), ("WhenEmpty", ["empty"])])
def test_the_policy_says_which_nodes_may_go_to_save_money(policy: str, goes: list[str]) -> None:
    """WhenEmpty moves no pod."""
    template = a_template(disruption={"policy": policy, "budgets": [{"nodes": "100%"}]})
    machines = (
        a_machine("empty", unneeded_for=LONG),
        a_machine("little", a_pod("p", cpu="10m"), unneeded_for=LONG),
        a_machine("other", a_pod("q", cpu="2"), type_="c.large"),
    )

    assert sorted(gone(plan(*machines, templates=(template,)))) == goes


def test_two_nodes_do_not_count_on_the_same_room() -> None:
    """Either fits on the third, both do not."""
    template = by_thresholds(budgets=[{"nodes": "100%"}], binPackUtilizationThreshold=0.3)
    machines = (
        a_machine("a", a_pod("p", cpu="1"), unneeded_for=LONG),
        a_machine("b", a_pod("q", cpu="1"), unneeded_for=LONG),
        a_machine("full", a_pod("r", cpu="2500m")),
    )

    found = plan(*machines, templates=(template,))

    assert gone(found) == {"a": Reason.UNDERUTILIZED}
    assert "default/q cannot be scheduled" in blocked(found)["b"]


def test_machines_that_leave_already_are_no_place_to_move_to() -> None:
    """The pod of the first will need the room of the only one that stays."""
    template = by_thresholds(budgets=[{"nodes": "100%"}], binPackUtilizationThreshold=0.9)
    machines = (
        a_machine("leaves", a_pod("p", cpu="3"), departure=a_departure("Underutilized")),
        a_machine("leaves-too", departure=a_departure("Empty")),
        a_machine("little", a_pod("q", cpu="3"), unneeded_for=LONG),
        a_machine("stays", a_pod("r", cpu="500m")),
    )

    found = plan(*machines, templates=(template,))

    assert not found.disruptions
    assert "default/q cannot be scheduled on another of 1 node choice" in blocked(found)["little"]


# What bars the way


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("pod.elotl.co/do-not-evict", "true"),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
        ("karpenter.sh/do-not-disrupt", "true"),
        ("autoscaling.cast.ai/removal-disabled", "true"),
        ("stratos.sh/do-not-evict", "true"),
    ],
)
def test_b26_a_pod_that_is_not_to_be_evicted_keeps_its_node(annotation: str, value: str) -> None:
    """And the plan names the pod, and the annotation."""
    pod = a_pod("precious", cpu="10m", annotations={annotation: value})

    found = plan(a_machine("a", pod, unneeded_for=LONG), a_machine("b", a_pod("x", cpu="3")))

    assert "a" not in gone(found)
    assert blocked(found)["a"] == f"node node-a stays: pod default/precious has annotation {annotation}={value}"


def test_b26_false_does_not_keep_it() -> None:
    """``do-not-evict: "false"`` says that it may go."""
    pod = a_pod("cheap", cpu="10m", annotations={"pod.elotl.co/do-not-evict": "false"})

    found = plan(a_machine("a", pod, unneeded_for=LONG), a_machine("b", a_pod("x", cpu="3")))

    assert gone(found)["a"] == Reason.UNDERUTILIZED


def test_a_pod_that_nobody_would_start_again_keeps_its_node() -> None:
    """Unless it says itself that it may go."""
    bare = a_machine("bare", a_pod("bare", owner="", cpu="10m"), unneeded_for=LONG)
    safe = a_pod("safe", owner="", cpu="10m", annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"})
    other = a_machine("other", a_pod("x", cpu="3"))

    assert "no controller" in blocked(plan(bare, other))["bare"]
    assert "safe" in gone(plan(a_machine("safe", safe, unneeded_for=LONG), other))


@pytest.mark.parametrize(
    "more",
    [
        {"node_labels": {"autoscaling.cast.ai/removal-disabled": "true"}},
        {"node_annotations": {"karpenter.sh/do-not-disrupt": "true"}},
        {"node_annotations": {"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}},
    ],
)
def test_a_node_that_is_not_to_be_removed_stays(more: dict[str, Any]) -> None:
    """In the words of three projects."""
    assert not gone(plan(a_machine("a", unneeded_for=LONG, **more)))


def test_a_budget_of_pods_that_spares_none_keeps_the_node() -> None:
    """The plan names the PodDisruptionBudget and what it needs."""
    web = a_workload(replicas=3)
    pod = a_pod("web-1", of=web, cpu="10m")
    budget = a_budget(healthy=3, max_unavailable=0)

    found = plan(a_machine("a", pod, unneeded_for=LONG), a_machine("b"), workloads=(web,), budgets=(budget,))

    assert "PodDisruptionBudget default/web-budget needs 3 healthy pods of 3 and has 3" in blocked(found)["a"]


@pytest.mark.parametrize(
    ("mode", "can_surge", "goes"),
    [("Wait", True, False), ("Surge", True, True), ("Surge", False, False), ("Evict", False, True)],
)
def test_d21_a_lone_replica_goes_by_the_mode_of_its_template(mode: str, can_surge: bool, goes: bool) -> None:
    """Normal evictors ignore single replicas, aggressive ones do not; here the third way is to start another first."""
    template = by_thresholds(singleReplica=mode)
    lone = a_workload("lone", replicas=1, can_surge=can_surge, kind="Deployment" if can_surge else "StatefulSet")
    machine = a_machine("a", a_pod("lone-1", of=lone, cpu="10m"), unneeded_for=LONG)

    found = plan(machine, a_machine("b", a_pod("x", cpu="3")), workloads=(lone,), templates=(template,))

    assert ("a" in gone(found)) is goes
    if not goes:
        assert "default/lone" in blocked(found)["a"]


# Budgets of the template


def test_a_tenth_of_three_nodes_is_one_at_a_time() -> None:
    """A percentage is rounded up, or small templates would never change."""
    machines = [a_machine(name, unneeded_for=LONG) for name in "abc"]

    first = plan(*machines)
    assert gone(first) == {"a": Reason.EMPTY}
    assert blocked(first)["b"] == "the budgets of NodeTemplate general are used up"
    second = plan(a_machine("a", departure=a_departure("Empty")), *machines[1:])
    assert not second.disruptions


def test_budgets_hold_by_reason_and_by_schedule() -> None:
    """Nothing is cleaned up in office hours, here."""
    closed = {"nodes": "0", "reasons": ["Empty"], "schedule": "0 9 * * mon-fri", "duration": "8h"}
    template = a_template(disruption={"budgets": [{"nodes": "100%"}, closed]})

    def at(hour: int) -> dict[str, Reason]:
        moment = datetime(2026, 1, 1, hour, tzinfo=UTC)  # a Thursday
        return gone(plan(a_machine("a", unneeded_for=LONG, now=moment), templates=(template,), at=moment))

    assert [hour for hour in range(24) if at(hour)] == [*range(9), *range(17, 24)]


def test_a_budget_with_a_schedule_that_is_none_lets_nothing_go_and_says_so() -> None:
    """Better too careful than to guess what was meant."""
    template = a_template(disruption={"budgets": [{"nodes": "1", "schedule": "when it suits"}]})

    found = plan(a_machine("a", unneeded_for=LONG), templates=(template,))

    assert not found.disruptions
    assert "spec.disruption.budgets[0].schedule: 'when it suits' is not a cron schedule" in blocked(found)["a"]


# Old, drifted, broken


def test_b29_expired_nodes_are_replaced_one_after_another_the_oldest_first() -> None:
    """Their replacement is there before they go: the capacity never falls below what is asked for."""
    template = a_template(disruption={"nodeTTL": "168h", "budgets": [{"nodes": "100%"}]})
    week = timedelta(days=7)
    machines = [
        a_machine("younger", a_pod("p", cpu="3"), age=week),
        a_machine("older", a_pod("q", cpu="3"), age=week + timedelta(hours=1)),
        a_machine("young", a_pod("r", cpu="3"), age=week - timedelta(hours=1)),
    ]

    found = plan(*machines, templates=(template,))

    assert gone(found) == {"older": Reason.EXPIRED}
    assert [machine.pods for machine in found.disruptions[0].machines] == [("default/q",)]
    assert found.look_again_at == NOW + timedelta(hours=1)


def test_b29_a_pod_that_is_not_to_be_evicted_is_waited_for() -> None:
    """The next oldest goes meanwhile."""
    template = a_template(disruption={"nodeTTL": "168h"})
    week = timedelta(days=7)
    held = a_pod("p", cpu="3", annotations={"pod.elotl.co/do-not-evict": "true"})

    found = plan(
        a_machine("held", held, age=2 * week), a_machine("b", a_pod("q", cpu="3"), age=week), templates=(template,)
    )

    assert gone(found) == {"b": Reason.EXPIRED}
    assert "default/p" in blocked(found)["held"]


def test_d19_an_edit_touches_only_new_nodes() -> None:
    """Until it is asked for: then nodes that the template would not make any more are replaced."""
    machine = a_machine("a", a_pod("p", cpu="3"))
    edited: dict[str, Any] = {"customLabels": {"team": "ml"}}

    kept = plan(machine, templates=(a_template(**edited),))
    replaced = plan(machine, templates=(a_template(**edited, disruption={"replaceDrifted": True}),))

    assert not gone(kept)
    assert gone(replaced) == {"a": Reason.DRIFTED}
    assert replaced.disruptions[0].message == "labels of the node changed"
    assert replaced.disruptions[0].machines[0].node.labels["team"] == "ml"


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"minCpu": 8}, "constraints.minCpu: the template does not allow c.medium any more"),
        ({"azs": ["r-b"]}, "constraints.azs: the template does not allow r-a any more"),
        ({"spot": True}, "constraints.onDemand: the template does not allow on-demand any more"),
    ],
)
def test_drift_is_told_by_the_constraint_that_changed(constraints: dict[str, Any], message: str) -> None:
    """A reader finds it in the manifest."""
    template = a_template(constraints=constraints, disruption={"replaceDrifted": True})

    found = plan(a_machine("a", a_pod("p", cpu="3")), templates=(template,))

    assert found.disruptions[0].message == message


def test_a_node_that_is_not_ready_for_long_is_replaced() -> None:
    """Its kubelet is dead: nothing on it needs to be moved with care, and nothing holds it."""
    held = a_pod("p", ready=False, annotations={"karpenter.sh/do-not-disrupt": "true"})

    assert gone(plan(a_machine("a", held, unready_for=LONG))) == {"a": Reason.UNHEALTHY}
    early = plan(a_machine("a", held, unready_for=timedelta(minutes=9)))
    assert not early.disruptions
    assert early.look_again_at == NOW + timedelta(minutes=1)


def test_a_node_that_fails_the_moment_it_comes_into_service_is_replaced() -> None:
    """It was never seen ready in service, and its time to join is over: nobody else would give it up."""
    machine = a_machine("a", unready_for=LONG)
    status = msgspec.structs.replace(machine.claim.status, ready_at=None)
    never_ready = replace(machine, claim=msgspec.structs.replace(machine.claim, status=status))

    assert gone(plan(never_ready)) == {"a": Reason.UNHEALTHY}


# Cheaper


def test_a_machine_that_is_too_large_is_replaced_by_a_smaller_one() -> None:
    """Its pods ask for half a core: the rest is paid for nothing."""
    found = plan(a_machine("a", a_pod("p", cpu="500m"), type_="c.large"))

    (change,) = found.disruptions
    assert (change.reason, change.claims, change.pods) == (Reason.CHEAPER, ("a",), ("default/p",))
    assert [machine.candidate.offering.instance_type for machine in change.machines] == ["c.small"]
    assert (change.cost_before_usd_per_hour, change.cost_after_usd_per_hour) == (0.40, 0.10)
    assert found.cost_after_usd_per_hour == pytest.approx(0.10)


def test_several_machines_become_one() -> None:
    """Four that are half empty cost more than one that is full."""
    template = a_template(disruption={"budgets": [{"nodes": "100%"}]})
    machines = [a_machine(name, a_pod(f"p-{name}", cpu="900m"), type_="c.medium") for name in "abcd"]

    found = plan(*machines, templates=(template,))

    assert found.cost_usd_per_hour == pytest.approx(0.80)
    assert found.cost_after_usd_per_hour < 0.45


def test_a_saving_that_is_too_small_moves_nobody() -> None:
    """Each move is a risk, which a few cents are not worth."""
    pod = a_pod("p", cpu="500m")

    assert gone(plan(a_machine("a", pod), templates=(a_template(disruption={"minSavingPercent": 50}),)))
    assert not gone(plan(a_machine("a", pod), templates=(a_template(disruption={"minSavingPercent": 51}),)))


def test_a_machine_that_was_made_to_save_money_is_left_alone_for_an_hour() -> None:
    """Prices swing; pods shall not swing with them."""
    made: dict[str, Any] = {"made_for": "Cheaper", "type_": "c.large"}
    pod = a_pod("p", cpu="500m")

    rested = plan(a_machine("a", pod, age=timedelta(minutes=60), **made))
    early = plan(a_machine("a", pod, age=timedelta(minutes=59), **made))

    assert gone(rested) == {"a": Reason.CHEAPER}
    assert not gone(early)
    assert early.look_again_at == NOW + timedelta(minutes=1)


def test_nothing_is_replaced_to_save_money_while_pods_wait_for_machines() -> None:
    """Where those pods go decides what is cheap."""
    machine = a_machine("a", a_pod("p", cpu="500m"), type_="c.large")

    assert not gone(plan(machine, waiting=(a_waiting_pod("new"),)))


def test_d08_a_machine_that_stands_in_for_spot_goes_when_spot_is_back() -> None:
    """At the restore rate, and not while the offering is backed off."""
    spec: dict[str, Any] = {"constraints": {"spot": True, "useSpotFallbacks": True, "fallbackRestoreRateSeconds": 1800}}
    template = a_template(**spec, strategy="thresholds")
    stand_in = a_machine("a", a_pod("p", cpu="3"), template=template, age=timedelta(minutes=30))
    node = stand_in.claim.spec.node
    assert node is not None
    fallback = Machine(_standing_in(stand_in), stand_in.node, stand_in.pods)
    soon = plan(fallback, templates=(template,), at=NOW - timedelta(minutes=1))
    none = [
        BackedOff(type_, zone, CapacityType.SPOT, "OutOfStock", 1, NOW + FIVE_MINUTES)
        for type_ in ("c.medium", "c.large", "c.huge", "g.one")
        for zone in ("r-a", "r-b")
    ]

    back = plan(fallback, templates=(template,))

    assert gone(back) == {"a": Reason.CHEAPER}
    assert [each.candidate.offering.capacity_type for each in back.disruptions[0].machines] == [CapacityType.SPOT]
    assert not gone(soon) and soon.look_again_at == NOW
    assert not gone(plan(fallback, templates=(template,), backed_off=none))


def _standing_in(machine: Machine) -> Any:
    spec = machine.claim.spec
    assert spec.node is not None
    marked = msgspec.structs.replace(spec.node, labels={**spec.node.labels, labels.SPOT_FALLBACK: "true"})
    return msgspec.structs.replace(machine.claim, spec=msgspec.structs.replace(spec, node=marked))


# The whole


def test_b41_d15_a_gpu_machine_goes_with_its_last_job() -> None:
    """No jobs, no GPU nodes."""
    assert gone(plan(a_machine("gpu", type_="g.one", unneeded_for=LONG))) == {"gpu": Reason.EMPTY}


def test_b42_a_pod_that_became_small_frees_the_node_that_was_selected_for_it() -> None:
    """After a resize it was started anew on a shared node."""
    template = a_template(strategy="thresholds")
    selected = a_machine("selected", packing="bin-selection", unneeded_for=LONG)
    shared = a_machine("shared", a_pod("resized", cpu="163m"), packing="bin-packing")

    assert gone(plan(selected, shared, templates=(template,))) == {"selected": Reason.EMPTY}


def test_b60_a_machine_that_came_too_late_for_its_pods_goes() -> None:
    """They vanished while it was started; nobody is on the way to it any more."""
    machine = a_machine("a", promised_to=("default/gone",), unneeded_for=LONG, age=LONG)

    assert gone(plan(machine)) == {"a": Reason.EMPTY}


def test_the_order_of_what_is_seen_makes_no_difference() -> None:
    """Two controllers that look at the same cluster decide the same."""
    template = a_template(disruption={"budgets": [{"nodes": "50%"}]})
    machines = [a_machine(f"m{n}", a_pod(f"p{n}", cpu="300m"), unneeded_for=LONG) for n in range(6)]

    assert plan(*machines, templates=(template,)) == plan(*reversed(machines), templates=(template,))
