"""Mixes of hundreds of pods: how near the bound they come, and that they come out the same every time."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from planning.packing.patterns_builders import PLENTY, a_demand, cost_of, one_pod_a_machine, problems_of
from stratos.planning.packing.demand import Demand, Machine
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.parts import search_in_parts
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.patterns.shelf import shelf_of
from stratos.planning.packing.patterns.solve import machine_of, pattern_of, solve_patterns

# vCPU, GiB for each vCPU, price of a vCPU: three families as clouds sell them, in sizes that double
FAMILIES = ((2, 0.0385), (4, 0.0432), (8, 0.0565))
SIZES = (2, 4, 8, 16, 32)


def a_price_table() -> list[tuple[tuple[int, int, int], float]]:
    """Room in millicores, MiB and pods. What the kubelet keeps for itself makes small machines dearer per pod."""
    return [
        ((size * 970, size * gib * 1024 - 600, 15 * size), size * price) for gib, price in FAMILIES for size in SIZES
    ]


def a_burst(shapes: int, pods_of_each: int, *, memory_heavy: bool = False, seed: int = 4711) -> Demand:
    random = Random(seed)
    requests = []
    for i in range(shapes):
        cpu = random.randrange(250, 6000, 50)
        gib_for_each_core = random.uniform(24, 32) if memory_heavy and i % 10 == 0 else random.uniform(1, 6)
        requests.append((cpu, min(int(cpu / 1000 * gib_for_each_core * 1024), 200_000), 1))
    return a_demand(requests=requests, pods=[pods_of_each] * shapes, kinds=a_price_table())


def a_start(demand: Demand) -> tuple[Machine, ...]:
    start = one_pod_a_machine(demand)
    assert start is not None
    return start


@pytest.mark.parametrize("memory_heavy", [False, True])
def test_a_mix_of_many_machines_is_within_two_percent_of_the_bound(memory_heavy: bool) -> None:
    """The promise on cost: also where every tenth pod is heavy on memory, which misleads greedy planners most."""
    demand = a_burst(60, 8, memory_heavy=memory_heavy)

    answer = solve_patterns(demand, a_start(demand))

    assert problems_of(demand, answer.machines) == []
    assert len(answer.machines) >= 50
    assert answer.cost_usd_per_hour <= 1.02 * answer.lower_bound_usd_per_hour


def test_the_same_question_has_the_same_answer() -> None:
    """Two controllers, or one after a restart, must not buy different machines for the same pods."""
    demand = a_burst(14, 3)

    assert solve_patterns(demand, a_start(demand)) == solve_patterns(demand, a_start(demand))


def test_an_answer_no_better_than_the_start_is_the_start() -> None:
    """Machines already chosen are not exchanged for others of the same price."""
    demand = a_demand(requests=[(1,)], pods=[4], kinds=[((2,), 1.0), ((2,), 1.0)])
    start = (Machine(1, ((0, 2),)), Machine(1, ((0, 2),)))

    assert solve_patterns(demand, start).machines == start


def test_a_start_that_holds_too_few_pods_is_refused() -> None:
    """Nothing could be promised about an answer that is compared with half of one."""
    demand = a_demand(requests=[(1,)], pods=[4], kinds=[((2,), 1.0)])

    with pytest.raises(ValueError, match="do not hold all pods"):
        solve_patterns(demand, (Machine(0, ((0, 2),)),))


def test_a_node_that_is_there_is_filled_before_anything_is_bought() -> None:
    """Free room costs nothing, however little of it there is."""
    demand = a_demand(requests=[(2,), (3,)], pods=[2, 1], kinds=[((5,), 0.0), ((4,), 1.0)], limit=[1, -1])
    start = (Machine(1, ((0, 2),)), Machine(1, ((1, 1),)))

    answer = solve_patterns(demand, start)

    assert answer.cost_usd_per_hour == 1.0
    assert cost_of(demand, answer.machines) == 1.0


def test_few_pods_a_machine_are_proved_by_tables_of_fillings() -> None:
    """Where three pods fill a machine, fractions of pods prove next to nothing."""
    random = Random(7)
    shapes = [(random.randrange(11, 34), random.randrange(11, 34)) for _ in range(30)]
    demand = a_demand(requests=shapes, pods=[4] * 30, kinds=[((64, 64), 1.0), ((40, 40), 0.7)])

    answer = solve_patterns(demand, a_start(demand))

    assert problems_of(demand, answer.machines) == []
    assert answer.cost_usd_per_hour <= 1.02 * answer.lower_bound_usd_per_hour


def test_one_to_three_pods_a_machine_of_very_many_shapes_are_within_two_percent() -> None:
    """Where no machine is larger than a large pod, neither greedy fillings nor fractions of pods say much."""
    random = Random(3)
    requests = [(cpu := random.randrange(200, 7_700, 50), int(cpu * random.uniform(1, 8)), 1) for _ in range(120)]
    demand = a_demand(requests=requests, pods=[4] * 120, kinds=[kind for kind in a_price_table() if kind[0][0] < 8_000])

    answer = solve_patterns(demand, a_start(demand))

    assert problems_of(demand, answer.machines) == []
    assert len(answer.machines) >= 200
    assert answer.cost_usd_per_hour <= 1.005 * answer.lower_bound_usd_per_hour


def test_very_many_classes_are_solved_in_parts_and_proved_together() -> None:
    """Requests that are all distinct must not make a plan late, nor much dearer."""
    random = Random(11)
    requests = [(random.randrange(100, 2000), random.randrange(100, 8000), 1) for _ in range(160)]
    demand = a_demand(requests=requests, pods=[4] * 160, kinds=a_price_table())
    reduction = reduce_demand(demand)
    shelf = shelf_of(reduction.demand)
    start = [pattern_of(machine, 160) for machine in reduction.shrink(a_start(demand))]

    found = search_in_parts(shelf, start, Effort(8.0), machines_in_a_part=5)

    assert problems_of(demand, reduction.expand([machine_of(pattern) for pattern in found.patterns])) == []
    assert found.bound_usd_per_hour <= shelf.cost(found.patterns) <= 1.03 * found.bound_usd_per_hour


def test_what_one_part_leaves_of_its_effort_goes_to_the_next() -> None:
    """Parts end early when they are near their bound; what went to waste there would be missed elsewhere."""
    effort = Effort(1.0)

    first = effort.split_off(2)
    first.spend_on_filling(100)
    left_of_first = first.nodes_left()
    effort.take_back(first)
    second = effort.split_off(1)

    assert second.nodes_left() > left_of_first
    assert not effort.has_left()


def test_a_long_price_table_costs_no_accuracy() -> None:
    """Four hundred sizes at one price per core: a few stand for all, and the bound is proved against all."""
    kinds = [(((i + 1) * 1000, (i + 1) * 2048, (i + 1) * 10), 0.027 * (i + 1)) for i in range(400)]
    requests = [(cpu, memory, 1) for cpu in (100, 250, 500, 1000, 1500) for memory in (100, 512, 2048, 4096)]
    demand = a_demand(requests=requests, pods=[50] * 20, kinds=kinds)

    answer = solve_patterns(demand, a_start(demand))

    assert problems_of(demand, answer.machines) == []
    assert answer.cost_usd_per_hour <= 1.02 * answer.lower_bound_usd_per_hour


def test_kinds_that_others_make_superfluous_are_left_out() -> None:
    """A cloud sells far more kinds than a mix can use; each one kept costs time in every round."""
    demand = a_demand(
        requests=[(1, 1)],
        pods=[9],
        kinds=[((4, 4), 1.0), ((4, 4), 1.0), ((3, 4), 1.0), ((2, 2), 0.6), ((9, 1), 0.9)],
    )

    reduction = reduce_demand(demand)

    assert reduction.kinds == ((3,), (4,), (0,))
    assert [int(reduction.stands_for[kind]) for kind in (1, 2)] == [2, 2]


def test_equal_classes_count_as_one_unless_a_rule_names_them() -> None:
    """Two deployments of the same shape are one class, but each keeps its own cap per machine."""
    demand = a_demand(
        requests=[(1,), (1,), (1,), (1,)],
        pods=[2, 2, 3, 3],
        kinds=[((4,), 1.0)],
        most_per_machine=[PLENTY, PLENTY, 1, 1],
    )

    assert reduce_demand(demand).classes == ((0, 1), (2,), (3,))


def test_a_filling_never_exceeds_its_room_or_keeps_rivals_together() -> None:
    """The solver's arithmetic is inexact; what it suggests is checked in whole numbers."""
    demand = a_demand(
        requests=[(3, 1), (2, 2), (1, 3)],
        pods=[5, 5, 5],
        kinds=[((10, 10), 1.0)],
        most_per_machine=[2, PLENTY, PLENTY],
        apart=[(1, 2)],
    )
    shelf = shelf_of(demand)
    knapsacks = Knapsacks(shelf, Effort(1.0))
    values = np.array([3.0, 2.5, 2.4])

    counts = knapsacks.fill(0, values, demand.pods)

    held = tuple((c, int(n)) for c, n in enumerate(counts) if n)
    assert not [each for each in problems_of(demand, [Machine(0, held)]) if "cannot hold" in each]
    assert values @ counts <= knapsacks.worth_at_most(values, demand.pods)[0] + 1e-9
