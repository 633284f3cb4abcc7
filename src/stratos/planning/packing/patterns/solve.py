"""The story of a near-optimal mix: make the question small, prove a bound, generate patterns, round, repair, check."""

from __future__ import annotations

from collections import Counter

import numpy as np

from stratos.planning.packing.demand import Demand, Machine, PatternAnswer
from stratos.planning.packing.patterns.blend import blend_of
from stratos.planning.packing.patterns.construct import follow_blend
from stratos.planning.packing.patterns.generation import generate
from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.patterns.rounding import round_to_machines
from stratos.planning.packing.patterns.shelf import Pattern, Shelf, shelf_of

GOOD_ENOUGH = 0.003


def solve_patterns(demand: Demand, start: tuple[Machine, ...], *, allowance_seconds: float = 8.0) -> PatternAnswer:
    """Improve on ``start``, which holds all the pods, and say what no mix of machines can undercut.

    The same question has the same answer: the work done is counted, not timed. ``allowance_seconds`` is what the
    integer program at the end may take, should it be slow.
    """
    reduction = reduce_demand(demand)
    shelf = shelf_of(reduction.demand)
    start_cost = float(demand.price_usd_per_hour[[machine.kind for machine in start]].sum())
    known = [_pattern(machine, len(shelf.demand.pods)) for machine in reduction.shrink(start)]
    patterns, bound = _search(shelf, known)
    machines = reduction.expand(_machines(patterns, shelf))
    cost = float(demand.price_usd_per_hour[[machine.kind for machine in machines]].sum())
    if cost >= start_cost or not holds(demand, machines):
        machines, cost = tuple(start), start_cost
    return PatternAnswer(machines, cost, min(bound, cost))


def _search(shelf: Shelf, known: list[Pattern]) -> tuple[list[Pattern], float]:
    waiting, stock = shelf.demand.pods, shelf.demand.limit
    knapsacks = Knapsacks(shelf)
    blend = blend_of(shelf, waiting, stock)
    assert blend is not None, "a start that holds all pods shows that they can be held"
    best = known
    followed = follow_blend(shelf, knapsacks, waiting, stock)
    if followed is not None and shelf.cost(followed) < shelf.cost(best):
        best = followed
    generated = generate(
        shelf,
        knapsacks,
        waiting,
        stock,
        patterns=[*known, *best],
        values=blend.values,
        most_rounds=40,
        good_enough=GOOD_ENOUGH,
    )
    assert generated is not None
    if shelf.cost(best) > generated.bound_usd_per_hour * (1 + GOOD_ENOUGH):
        rounded = round_to_machines(shelf, knapsacks, generated, waiting, stock)
        if rounded is not None and shelf.cost(rounded) < shelf.cost(best):
            best = rounded
    return best, generated.bound_usd_per_hour


def _pattern(machine: Machine, classes: int) -> Pattern:
    counts = np.zeros(classes, dtype=np.int64)
    for c, pods in machine.counts:
        counts[c] = pods
    return Pattern(machine.kind, counts)


def _machines(patterns: list[Pattern], shelf: Shelf) -> list[Machine]:
    """Patterns may cover more pods than there are: what is too much is left out, and a machine left empty too."""
    waiting = shelf.demand.pods.copy()
    machines = []
    for pattern in patterns:
        counts = np.minimum(pattern.counts, waiting)
        waiting -= counts
        held = np.flatnonzero(counts)
        if held.size:
            machines.append(Machine(pattern.kind, tuple((int(c), int(counts[c])) for c in held)))
    return machines


def holds(demand: Demand, machines: tuple[Machine, ...]) -> bool:
    """Whether these machines exist, hold every pod exactly once, and keep every rule."""
    placed = np.zeros_like(demand.pods)
    for machine in machines:
        counts = np.zeros_like(demand.pods)
        for c, pods in machine.counts:
            counts[c] = pods
        used = counts > 0
        if (
            not demand.allowed[used, machine.kind].all()
            or (counts > demand.most_per_machine).any()
            or (counts @ demand.requests > np.maximum(demand.capacity[machine.kind], 0)).any()
            or any(used[a] and used[b] for a, b in demand.apart)
        ):
            return False
        placed += counts
    number = Counter(machine.kind for machine in machines)
    within = all(demand.limit[kind] < 0 or n <= demand.limit[kind] for kind, n in number.items())
    return within and bool((placed == demand.pods).all())
