from __future__ import annotations

from typing import Any

from planning.disruption.disruption_builders import Machine, a_look, a_machine, a_pod, a_workload
from stratos.planning.disruption import plan_rebalancing
from stratos.planning.disruption.rebalance import Rebalancing
from stratos.planning.packing.pack import Effort
from stratos.testing.provisioning_builders import a_template


def rebalance(*machines: Machine, **more: Any) -> Rebalancing:
    (found,) = plan_rebalancing(a_look(*machines, **more), effort=Effort.FAST)
    return found


def half_empty(number: int) -> list[Machine]:
    return [a_machine(f"m{n}", a_pod(f"p{n}", cpu="900m")) for n in range(number)]


def test_d20_the_plan_shows_what_it_saves_and_whom_it_moves() -> None:
    """Four machines of which each is used to a quarter: one such machine holds all four pods."""
    found = rebalance(*half_empty(4), templates=(a_template(constraints={"minCpu": 4}),))

    assert found.change is not None
    assert (found.nodes_before, found.nodes_after) == (4, 1)
    assert (round(found.cost_before_usd_per_hour, 2), round(found.cost_after_usd_per_hour, 2)) == (0.80, 0.20)
    assert found.saving_percent == 75
    # The machine that would be bought again stays where it is, and so does its pod.
    assert found.kept == ("m0",)
    assert (found.change.claims, found.change.machines) == (("m1", "m2", "m3"), ())
    assert found.change.pods == ("default/p1", "default/p2", "default/p3")


def test_d20_at_least_so_many_nodes_are_left() -> None:
    """Somebody wants them spread, whatever it costs."""
    template = a_template(disruption={"minNodes": 3, "minSavingPercent": 1})

    found = rebalance(*half_empty(4), templates=(template,))

    assert found.nodes_after == 3
    assert (
        rebalance(*half_empty(3), templates=(template,)).why_not == "no machine may go: at least 3 nodes are to be left"
    )


def test_d20_what_is_not_to_be_removed_is_not_touched() -> None:
    """Neither such pods, nor such nodes."""
    held = a_pod("held", cpu="900m", annotations={"autoscaling.cast.ai/removal-disabled": "true"})
    node = a_machine("node", a_pod("p", cpu="900m"), node_labels={"autoscaling.cast.ai/removal-disabled": "true"})

    found = rebalance(a_machine("pod", held), node, *half_empty(2))

    assert {each.claim for each in found.untouched} == {"pod", "node"}
    assert found.change is not None
    assert set(found.change.claims) == {"m0", "m1"}
    assert set(found.change.pods) == {"default/p0", "default/p1"}


def test_d20_a_saving_that_is_too_small_is_told_and_not_planned() -> None:
    """Moving everybody has its own price."""
    template = a_template(disruption={"minSavingPercent": 80})

    found = rebalance(*half_empty(4), templates=(template,))

    assert found.change is None
    assert found.why_not == "it would save 75.0 %, less than the 80 % asked"


def test_d19_rebalancing_replaces_what_the_template_would_not_make_any_more() -> None:
    """Even where it saves nothing: that is what it is asked for then."""
    template = a_template(customLabels={"team": "ml"})

    found = rebalance(a_machine("a", a_pod("p", cpu="3")), templates=(template,))

    assert found.change is not None
    assert found.change.claims == ("a",)
    assert [machine.node.labels["team"] for machine in found.change.machines] == ["ml"]


def test_d24_machines_on_hosts_of_ones_own_are_replaced_by_such() -> None:
    """A group of hosts is a constraint like any other."""
    group = {"name": "ours", "azName": "r-a", "instanceTypes": ["c.large", "c.medium"]}
    template = a_template(constraints={"dedicatedNodeAffinity": [group]}, disruption={"minSavingPercent": 1})
    machines = [a_machine(f"m{n}", a_pod(f"p{n}", cpu="900m"), type_="c.large") for n in range(2)]

    found = rebalance(*machines, templates=(template,))

    assert found.change is not None
    assert {new.candidate.offering.zone for new in found.change.machines} == {"r-a"}
    assert {new.candidate.offering.instance_type for new in found.change.machines} == {"c.medium"}


def test_d25_pods_that_a_spreading_scheduler_put_on_many_nodes_need_few() -> None:
    """The same pods: six nodes as they were spread, two as they are packed."""
    machines = [a_machine(f"m{n}", *(a_pod(f"p{n}-{index}", cpu="300m") for index in range(4))) for n in range(6)]

    found = rebalance(*machines, templates=(a_template(constraints={"minCpu": 4}),))

    assert (found.nodes_before, found.nodes_after) == (6, 2)
    assert (round(found.cost_before_usd_per_hour, 2), round(found.cost_after_usd_per_hour, 2)) == (1.20, 0.40)


def test_a_machine_with_a_pod_that_cannot_move_now_stays() -> None:
    """A rollout is under way."""
    web = a_workload(changing=True)

    found = rebalance(a_machine("a", a_pod("web-1", of=web, cpu="900m")), a_machine("b"), workloads=(web,))

    assert [each.claim for each in found.untouched] == ["a"]
