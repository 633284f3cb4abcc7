"""Which machines for these pods: what is there first, then the cheapest, and an answer for every pod."""

from __future__ import annotations

from planning.packing.packing_builders import a_candidate, a_pod, field_problem, to_place
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import ExistingNode, PackingProblem
from stratos.planning.scheduling.nodes import NodeDescription

GIB = 1024**3


def a_node(name: str, *, cpu: int = 4000, zone: str = "a") -> ExistingNode:
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
    return ExistingNode(NodeDescription(name, labels=labels, allocatable={"cpu": cpu, "memory": 16 * GIB, "pods": 110}))


def test_what_is_free_on_nodes_is_used_before_anything_is_bought() -> None:
    """Room that is paid for already costs nothing."""
    pods = tuple(to_place(a_pod(f"pod-{index}", cpu="1")) for index in range(3))

    packing = pack(PackingProblem(pods, (a_candidate("large", 1.0, cpu=8000, gib=32),), (a_node("here"),)))

    assert set(packing.assignments.values()) == {"here"}
    assert packing.machines == ()
    assert packing.cost_usd_per_hour == packing.lower_bound_usd_per_hour == packing.gap == 0.0


def test_the_cheapest_machine_that_holds_all_is_bought() -> None:
    """Two small machines would do as well, at a higher price."""
    candidates = (a_candidate("small", 0.6, cpu=2000, gib=8), a_candidate("large", 1.0, cpu=4000, gib=16))
    pods = tuple(to_place(a_pod(f"pod-{index}", cpu="1")) for index in range(4))

    packing = pack(PackingProblem(pods, candidates))

    assert [machine.candidate.offering.instance_type for machine in packing.machines] == ["large"]
    assert packing.machines[0].pods == tuple(f"default/pod-{index}" for index in range(4))


def test_a_candidate_is_not_bought_more_often_than_it_may_be_had() -> None:
    """A cloud runs out, and a limit is a limit; what is left over is said."""
    pods = tuple(to_place(a_pod(f"pod-{index}", cpu="2")) for index in range(3))

    packing = pack(PackingProblem(pods, (a_candidate("small", 0.6, cpu=2000, gib=8, most=2),)))

    assert len(packing.machines) == 2
    assert len(packing.unplaced) == 1


def test_many_plain_pods_cost_hardly_more_than_their_amounts() -> None:
    """At prices in proportion to size, machines that are filled evenly waste next to nothing."""
    packing = pack(field_problem(1000), effort=Effort.FAST)

    assert packing.unplaced == ()
    assert packing.lower_bound_usd_per_hour <= packing.cost_usd_per_hour
