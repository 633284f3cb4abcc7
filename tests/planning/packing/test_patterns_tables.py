"""Tables of fillings never say too little, and what is drawn from them fits."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planning.packing.patterns_builders import PLENTY, a_demand, one_machine_holds, small_demands
from stratos.planning.packing.demand import Demand
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.patterns.shelf import shelf_of
from stratos.planning.packing.patterns.tables import Fillings, Tables


def filled(demand: Demand, values: list[float], *, cells: int = 4096, effort: Effort | None = None) -> Fillings:
    machines = np.ones(len(demand.limit))
    tables = Tables(shelf_of(demand), effort or Effort(8.0), demand.pods, machines, most_cells=cells)
    return tables.fill(np.array(values), demand.price_usd_per_hour, demand.pods)


@settings(max_examples=100, deadline=None)
@given(
    small_demands(),
    st.lists(st.sampled_from((0.0, 0.2, 0.3, 1.0)), min_size=3, max_size=3),
    st.sampled_from((4, 16, 4096)),
)
def test_no_filling_is_worth_more_than_its_table_says(demand: Demand, values: list[float], cells: int) -> None:
    """A bound is made of it, however coarse the steps: too little would be a lie. What is to be bought must be real."""
    smaller = reduce_demand(demand).demand
    assume(smaller.pods.size > 0)
    classes = range(len(smaller.pods))
    values = values[: len(smaller.pods)]

    fillings = filled(smaller, values, cells=cells)

    for kind in range(len(smaller.limit)):
        for counts in product(*(range(int(pods) + 1) for pods in smaller.pods)):
            if one_machine_holds(smaller, kind, counts):
                worth = sum(n * value for n, value in zip(counts, values, strict=True))
                assert worth <= fillings.worth[kind] + 1e-9
    for pattern in fillings.patterns:
        assert one_machine_holds(smaller, pattern.kind, [int(pattern.counts[c]) for c in classes])


def test_exact_steps_find_the_best_filling_of_every_size_at_once() -> None:
    """One table for all sizes of a family: that is what makes it worth its time."""
    demand = a_demand(requests=[(3, 1), (2, 2)], pods=[5, 5], kinds=[((10, 10), 1.0), ((5, 3), 0.5)])

    fillings = filled(demand, [3.0, 2.5])

    assert fillings.worth.tolist() == pytest.approx([5 * 2.5, 3.0 + 2.5])
    assert {(pattern.kind, tuple(pattern.counts.tolist())) for pattern in fillings.patterns} >= {
        (0, (2, 2)),
        (1, (1, 1)),
    }


def test_every_class_gets_a_filling_with_a_pod_of_it() -> None:
    """Else the master program would hear of one class a round, and take hundreds of rounds."""
    random = Random(5)
    shapes = [(random.randrange(20, 60), random.randrange(20, 60)) for _ in range(20)]
    demand = a_demand(requests=shapes, pods=[2] * 20, kinds=[((100, 100), 0.001)])

    fillings = filled(demand, [1.0] * 20)

    assert set(np.flatnonzero(sum(pattern.counts for pattern in fillings.patterns))) == set(range(20))


def test_kinds_open_to_other_classes_have_a_table_of_their_own() -> None:
    """What is worth most somewhere may not be allowed elsewhere."""
    demand = a_demand(
        requests=[(1,), (1,)], pods=[4, 4], kinds=[((2,), 1.0), ((2,), 1.0)], allowed=[[True, False], [True, True]]
    )

    assert filled(demand, [5.0, 1.0]).worth.tolist() == [10.0, 2.0]


def test_tables_cost_the_effort_that_they_take() -> None:
    """The count has to end the search: a clock would give every machine another answer."""

    def spent_on(classes: int) -> float:
        demand = a_demand(requests=[(7, 5)] * classes, pods=[1] * classes, kinds=[((600, 600), 1.0)])
        effort = Effort(8.0)
        filled(demand, [1.0] * classes, cells=2**16, effort=effort)
        return 1.0 - next(left for left in np.arange(1.0, 0.0, -1e-6) if effort.has_left(left))

    assert spent_on(80) > 2 * spent_on(20) > 0


def test_a_cap_on_each_machine_is_kept() -> None:
    """Pods that spread over hosts are worth nothing twice on the same one."""
    demand = a_demand(requests=[(1,), (1,)], pods=[9, 9], kinds=[((8,), 1.0)], most_per_machine=[1, PLENTY])

    fillings = filled(demand, [9.0, 1.0])

    assert fillings.worth.tolist() == [16.0]
    assert fillings.patterns and all(pattern.counts[0] <= 1 for pattern in fillings.patterns)
