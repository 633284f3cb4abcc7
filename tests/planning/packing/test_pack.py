"""Which machines for these pods: what is there first, then the cheapest, and an answer for every pod."""

from __future__ import annotations

from planning.packing.packing_builders import (
    ZONE,
    a_candidate,
    a_pod,
    apart,
    field_problem,
    in_zone,
    spread_by,
    to_place,
)
from stratos.apis.pod import Affinity, NodeAffinity, PreferredNode
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


def test_a_pod_left_over_is_told_how_many_candidates_each_constraint_rejected() -> None:
    """Whoever reads it at night must see which constraint to change, and that nothing was forgotten."""
    candidates = (
        a_candidate("small", 0.1, cpu=1000, gib=4),
        a_candidate("tiny", 0.05, cpu=500, gib=1),
        a_candidate("elsewhere", 0.1, cpu=8000, gib=32, zone="b"),
    )
    pod = to_place(a_pod("big", cpu="4", memory="2Gi", node_selector={"topology.kubernetes.io/zone": "a"}))

    (left,) = pack(PackingProblem((pod,), candidates, (a_node("here", cpu=2000),))).unplaced

    assert left.rule == "NodeResourcesFit"
    assert left.message == (
        "3 candidates: 1 not in zone a, 1 too small (cpu), 1 too small (cpu, memory); 1 node: 1 too full (cpu)"
    )


def test_a_pod_left_over_for_other_pods_sake_is_told_so() -> None:
    """No machine would help: the zone that holds its group is full, or holds those it keeps away from."""
    taken = a_pod("first", labels={"app": "web"}, affinity=apart(ZONE, {"app": "web"}))
    candidates = (a_candidate("large", 1.0, cpu=8000, gib=32),)
    pods = (to_place(taken), to_place(a_pod("second", labels={"app": "web"}, affinity=apart(ZONE, {"app": "web"}))))

    (left,) = pack(PackingProblem(pods, candidates)).unplaced

    assert left.rule == "InterPodAffinity"
    assert left.message.startswith("1 candidate: 1 with pods it keeps away from")


def test_what_a_pod_prefers_is_had_as_long_as_it_can_be_had() -> None:
    """A preference is worth a dearer machine, and never a pod that stays pending."""
    prefers_b = Affinity(
        node_affinity=NodeAffinity(
            preferred=(
                PreferredNode(weight=10, preference=in_zone("b")),
                PreferredNode(weight=5, preference=in_zone("nowhere")),
            )
        )
    )
    candidates = (a_candidate("m", 1.0, cpu=8000, gib=32), a_candidate("m", 2.0, cpu=8000, gib=32, zone="b", most=1))
    pods = tuple(to_place(a_pod(f"pod-{index}", cpu="6", affinity=prefers_b)) for index in range(2))

    packing = pack(PackingProblem(pods, candidates))

    assert sorted(machine.candidate.offering.zone for machine in packing.machines) == ["a", "b"]


def test_pods_are_spread_over_zones_as_evenly_as_they_ask_for() -> None:
    """One zone may be cheaper than the others; the pods asked not to be all in it."""
    app = {"app": "web"}
    candidates = tuple(
        a_candidate("m", price, cpu=8000, gib=32, zone=zone) for zone, price in zip("abc", (1, 2, 3), strict=True)
    )
    pods = tuple(to_place(a_pod(f"pod-{index}", labels=app, spread=(spread_by(ZONE, app),))) for index in range(7))

    packing = pack(PackingProblem(pods, candidates))

    assert sorted(len(machine.pods) for machine in packing.machines) == [2, 2, 3]


def test_patterns_make_the_answer_cheaper_and_prove_how_good_it_is() -> None:
    """Some pods want memory and some cores: the best mix has machines for both, and none of the kind in between."""
    candidates = tuple(
        a_candidate(f"{line}-{size}", round(price * size, 4), cpu=1000 * size, gib=gib * size)
        for line, gib, price in (("compute", 2, 0.042), ("general", 4, 0.048), ("memory", 8, 0.063))
        for size in (2, 4, 8)
    )
    shapes = (("1900m", "3Gi"), ("700m", "7Gi"), ("500m", "900Mi"), ("1100m", "12Gi"))
    pods = tuple(
        to_place(a_pod(f"{cpu}-{index}", cpu=cpu, memory=memory)) for cpu, memory in shapes for index in range(7)
    )

    first = pack(PackingProblem(pods, candidates), effort=Effort.FAST)
    best = pack(PackingProblem(pods, candidates), effort=Effort.BEST, allowance_seconds=1.0)

    assert best.cost_usd_per_hour < first.cost_usd_per_hour
    assert best.bound == "patterns"
    assert best.lower_bound_usd_per_hour > first.lower_bound_usd_per_hour
    assert best.gap < 0.05
