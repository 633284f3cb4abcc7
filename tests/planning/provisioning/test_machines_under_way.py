"""What was asked for already, and what cannot be read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.provisioning.plans import everybodys, plan_of, selected, types_of
from stratos.apis.meta import ObjectMeta
from stratos.apis.node import Node, NodeSpec, NodeStatus, Taint
from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.testing.provisioning_builders import NOW, a_waiting_pod, claims_for


def test_pods_that_a_machine_is_under_way_for_get_no_second_one() -> None:
    """Between the claim and the node lie minutes, and many plans."""
    pods = [selected(f"p{n}") for n in range(3)]
    first = plan_of(everybodys(), waiting=pods)
    claims = claims_for(first)

    again = plan_of(everybodys(), waiting=pods, claims=claims)
    assert again.machines == ()
    assert set(again.assignments) == {pod.metadata.key for pod in pods}
    more = plan_of(everybodys(), waiting=[*pods, selected("late")], claims=claims)
    assert [new.pods for new in more.machines] == [("default/late",)]


def test_b30_room_on_a_machine_that_is_coming_is_used_before_another_is_bought() -> None:
    """What pods have left behind, or never came to, is paid for already."""
    template = everybodys(strategy="thresholds")
    claims = claims_for(plan_of(template, waiting=[selected("gone")]))
    plan = plan_of(template, waiting=[selected("next")], claims=claims)

    assert plan.machines == ()
    assert plan.assignments == {"default/next": claims[0].metadata.name}


def joined(
    claim: NodeClaim, *, ready_for: timedelta | None = None, taints: tuple[Taint, ...] = ()
) -> tuple[NodeClaim, Node]:
    """The claim with its node, which takes pods since ``ready_for``, or not yet."""
    name = f"node-{claim.metadata.name}"
    ready_at = None if ready_for is None else NOW - ready_for
    status = msgspec.structs.replace(claim.status, node_name=name, zone=claim.spec.zone, ready_at=ready_at)
    node = Node(
        metadata=ObjectMeta(name=name, labels={"topology.kubernetes.io/zone": claim.spec.zone}),
        spec=NodeSpec(taints=taints),
        status=NodeStatus(allocatable={"cpu": "3900m", "memory": "7Gi", "pods": "58"}),
    )
    return msgspec.structs.replace(claim, status=status), node


def test_a_node_that_has_joined_keeps_its_pods_places_while_it_is_closed() -> None:
    """Until its network is up it takes nobody: that is no reason to buy another."""
    pod = selected("p")
    (claim,) = claims_for(plan_of(everybodys(), waiting=[pod]))
    closed = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")
    claim, node = joined(claim, taints=(closed,))

    plan = plan_of(everybodys(), waiting=[pod], claims=[claim], nodes=[node])
    assert plan.machines == ()
    assert plan.assignments == {"default/p": node.metadata.name}


def test_a_pod_that_did_not_get_its_place_is_looked_after_again() -> None:
    """Once the node serves, who sits there counts, not who was meant to."""
    pod = selected("p")
    (claim,) = claims_for(plan_of(everybodys(), waiting=[pod]))
    claim, node = joined(claim, ready_for=timedelta(minutes=1))
    intruder = selected("intruder")
    bound = msgspec.structs.replace(intruder, spec=msgspec.structs.replace(intruder.spec, node_name=node.metadata.name))

    free = plan_of(everybodys(), waiting=[pod], claims=[claim], nodes=[node])
    assert free.assignments == {"default/p": node.metadata.name}
    taken = plan_of(everybodys(), waiting=[pod], claims=[claim], nodes=[node], pods=[bound])
    assert [new.pods for new in taken.machines] == [("default/p",)]


def test_a_node_with_start_up_taints_is_still_coming_for_as_long_as_joining_may_take() -> None:
    """A driver that is being installed removes the taint later; one that never does must not hold the pods for ever."""
    pod = selected("p")
    driver = {"key": "driver.example/not-ready", "effect": "NoSchedule"}
    template = everybodys(startupTaints=[driver], scaleUpTimeout="10m")
    (claim,) = claims_for(plan_of(template, waiting=[pod]))
    taint = Taint(key="driver.example/not-ready", effect="NoSchedule")

    claim, node = joined(claim, ready_for=timedelta(minutes=5), taints=(taint,))
    plan = plan_of(template, waiting=[pod], claims=[claim], nodes=[node])
    assert (plan.machines, plan.assignments) == ((), {"default/p": node.metadata.name})
    claim, node = joined(claim, ready_for=timedelta(minutes=11), taints=(taint,))
    assert len(plan_of(template, waiting=[pod], claims=[claim], nodes=[node]).machines) == 1


def test_nobody_is_sent_to_a_node_that_is_going() -> None:
    """Its pods are being moved off; whoever came would be moved next."""
    pod = selected("p")
    (claim,) = claims_for(plan_of(everybodys(), waiting=[selected("other")]))
    claim, node = joined(claim, ready_for=timedelta(hours=1))
    going = msgspec.structs.replace(claim, spec=msgspec.structs.replace(claim.spec, wanted=Wanted.GONE))

    assert len(plan_of(everybodys(), waiting=[pod], claims=[going], nodes=[node]).machines) == 1


def test_selected_pods_do_not_take_room_of_machines_that_break_their_wishes() -> None:
    """A pod that wants an L4 is not served by room beside a T4, even if it asks for no GPU."""
    claims = claims_for(plan_of(everybodys(), waiting=[a_waiting_pod("t4", gpus=1)]))
    pod = a_waiting_pod("l4", annotations={"stratos.sh/instance-gpu-skus": "L4"})

    assert types_of(plan_of(everybodys(), waiting=[pod], claims=claims)) == ["g6.xlarge"]


def test_b50_a_pause_pod_holds_a_machine_and_is_replaced_when_it_loses_it() -> None:
    """Over-provisioning is pods of negative priority: they get machines like all others, after all others."""
    template = everybodys(limits={"nodes": 1})
    pods = [selected("pause", priority=-10), selected("real")]

    assert [new.pods for new in plan_of(template, waiting=pods).machines] == [("default/real",)]
    assert [new.pods for new in plan_of(template, waiting=pods[:1]).machines] == [("default/pause",)]


def test_an_annotation_without_meaning_leaves_its_pod_and_no_other_without_a_machine() -> None:
    """One typo must not hold up everybody's pods."""
    broken = selected("broken", annotations={"node.elotl.co/instance-max-cost": "cheap"})
    plan = plan_of(everybodys(), waiting=[broken, selected("fine")])

    assert [new.pods for new in plan.machines] == [("default/fine",)]
    (left,) = plan.unplaced
    assert left.message.startswith("metadata.annotations[node.elotl.co/instance-max-cost]: 'cheap' is not a price")


def test_a_template_that_contradicts_itself_buys_nothing_and_says_why() -> None:
    """What cannot be right is found before it is used."""
    plan = plan_of(everybodys(constraints={"minCpu": 8, "maxCpu": 4}), waiting=[selected("p")])

    assert plan.machines == ()
    why = "template default: spec.constraints.minCpu: 8 is more than maxCpu, 4: no machine is both"
    assert why in plan.report
    assert [left.message for left in plan.unplaced] == [why]


@settings(max_examples=25, deadline=None)
@given(
    asked=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_every_pod_is_placed_or_explained_in_any_order(asked: list[tuple[int, int]], order: Any) -> None:
    """The law, over two templates with limits."""
    pods = [a_waiting_pod(f"p{n}", cpu=f"{cpu * 900}m", gpus=gpus) for n, (cpu, gpus) in enumerate(asked)]
    templates = (everybodys("a", limits={"nodes": 1}, weight=1), everybodys("b", limits={"gpus": 1}))
    plan = plan_of(*templates, waiting=pods)
    placed = [pod for new in plan.machines for pod in new.pods]
    told = [left.pod for left in plan.unplaced]
    shuffled = list(pods)
    order.shuffle(shuffled)

    assert sorted([*placed, *told, *plan.assignments]) == sorted(pod.metadata.key for pod in pods)
    assert all(left.message for left in plan.unplaced)
    assert plan_of(*reversed(templates), waiting=shuffled) == plan
