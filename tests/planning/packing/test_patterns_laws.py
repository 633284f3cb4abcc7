"""What every answer of the pattern solver keeps to, held against all there is to try on small demands."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planning.packing.patterns_builders import (
    PLENTY,
    cheapest_by_trying_all,
    cost_of,
    one_pod_a_machine,
    problems_of,
    small_demands,
)
from stratos.planning.packing.demand import Demand, Machine, PatternAnswer
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.patterns.search import search
from stratos.planning.packing.patterns.shelf import shelf_of
from stratos.planning.packing.patterns.solve import machine_of, pattern_of, solve_patterns

CENT = 1e-6


def an_optimum(demand: Demand) -> tuple[Machine, ...]:
    optimum = cheapest_by_trying_all(demand)
    assume(optimum is not None)
    assert optimum is not None
    return optimum


def solved(demand: Demand, optimum: tuple[Machine, ...]) -> PatternAnswer:
    return solve_patterns(demand, one_pod_a_machine(demand) or optimum)


@settings(max_examples=120, deadline=None)
@given(small_demands())
def test_a_handful_of_pods_is_solved_to_the_optimum_and_proved(demand: Demand) -> None:
    """Most real calls are small: there the bound is the cost, and every rule is kept."""
    optimum = an_optimum(demand)
    start = one_pod_a_machine(demand) or optimum

    answer = solve_patterns(demand, start)

    assert problems_of(demand, answer.machines) == []
    assert answer.cost_usd_per_hour == cost_of(demand, answer.machines)
    assert answer.cost_usd_per_hour <= cost_of(demand, start)
    assert abs(answer.cost_usd_per_hour - cost_of(demand, optimum)) < CENT
    assert abs(answer.lower_bound_usd_per_hour - cost_of(demand, optimum)) < CENT


@settings(max_examples=120, deadline=None)
@given(small_demands())
def test_generated_patterns_prove_no_more_than_is_true_and_hold_all_pods(demand: Demand) -> None:
    """The way that large demands go, on small ones, where the truth is known. A bound above the optimum is a lie."""
    optimum = an_optimum(demand)
    reduction = reduce_demand(demand)
    shelf = shelf_of(reduction.demand)
    assume(shelf.demand.pods.size > 0)
    machines = reduction.shrink(one_pod_a_machine(demand) or optimum)
    start = [pattern_of(machine, len(shelf.demand.pods)) for machine in machines]

    found = search(shelf, start, Effort(8.0))

    assert found.bound_usd_per_hour <= cost_of(demand, optimum) + CENT
    assert cost_of(demand, optimum) - CENT <= shelf.cost(found.patterns) <= shelf.cost(start) + CENT
    assert problems_of(demand, reduction.expand([machine_of(pattern) for pattern in found.patterns])) == []


@settings(max_examples=40, deadline=None)
@given(small_demands())
def test_the_order_of_classes_and_kinds_makes_no_difference_to_the_cost(demand: Demand) -> None:
    """Pods and price tables come in any order; what they cost together does not depend on it."""
    optimum = an_optimum(demand)
    turned = dataclasses.replace(
        demand,
        requests=demand.requests[::-1],
        pods=demand.pods[::-1],
        capacity=demand.capacity[::-1],
        price_usd_per_hour=demand.price_usd_per_hour[::-1],
        allowed=demand.allowed[::-1, ::-1],
        most_per_machine=demand.most_per_machine[::-1],
        limit=demand.limit[::-1],
        apart=tuple((len(demand.pods) - 1 - a, len(demand.pods) - 1 - b) for a, b in demand.apart),
    )
    last_class, last_kind = len(demand.pods) - 1, len(demand.limit) - 1
    turned_optimum = tuple(
        Machine(last_kind - machine.kind, tuple(sorted((last_class - c, n) for c, n in machine.counts)))
        for machine in optimum
    )

    one, other = solve_patterns(demand, optimum), solve_patterns(turned, turned_optimum)

    assert abs(one.cost_usd_per_hour - other.cost_usd_per_hour) < CENT


@settings(max_examples=40, deadline=None)
@given(small_demands(), st.lists(st.integers(0, 12), min_size=3, max_size=3), st.sampled_from((0.1, 0.4, 1.0)))
def test_one_more_kind_never_raises_the_cost(demand: Demand, room: list[int], price: float) -> None:
    """A larger price table is more to choose from."""
    optimum = an_optimum(demand)
    classes, resources = demand.requests.shape
    larger = dataclasses.replace(
        demand,
        capacity=np.vstack([demand.capacity, np.array(room[:resources], dtype=np.int64)]),
        price_usd_per_hour=np.append(demand.price_usd_per_hour, price),
        allowed=np.hstack([demand.allowed, np.ones((classes, 1), dtype=np.bool_)]),
        limit=np.append(demand.limit, -1),
    )

    before, after = solved(demand, optimum), solve_patterns(larger, optimum)

    assert after.cost_usd_per_hour <= before.cost_usd_per_hour + CENT


@settings(max_examples=40, deadline=None)
@given(small_demands())
def test_a_rule_less_never_raises_the_cost(demand: Demand) -> None:
    """What a user gives up may help, and must not hurt."""
    optimum = an_optimum(demand)
    freer = dataclasses.replace(
        demand,
        allowed=np.ones_like(demand.allowed),
        most_per_machine=np.full_like(demand.most_per_machine, PLENTY),
        limit=np.full_like(demand.limit, -1),
        apart=(),
    )

    assert solve_patterns(freer, optimum).cost_usd_per_hour <= solved(demand, optimum).cost_usd_per_hour + CENT
