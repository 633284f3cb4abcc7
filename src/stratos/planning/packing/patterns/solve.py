"""The door to patterns: make the question small, list or generate patterns, and trust nothing that was not checked."""

from __future__ import annotations

from collections import Counter

import numpy as np

from stratos.planning.packing.demand import Demand, Machine, PatternAnswer
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.exact import solve_exactly
from stratos.planning.packing.patterns.parts import MOST_CLASSES, search_in_parts
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.patterns.repair import repair
from stratos.planning.packing.patterns.search import search
from stratos.planning.packing.patterns.shelf import Pattern, shelf_of


def solve_patterns(demand: Demand, start: tuple[Machine, ...], *, allowance_seconds: float = 8.0) -> PatternAnswer:
    """Improve on ``start``, which holds all the pods, and say what no mix of machines can undercut.

    The same question has the same answer, whatever the machine: work is counted, and ``allowance_seconds`` is turned
    into an amount of it.
    """
    if not holds(demand, start):
        raise ValueError("the machines to start from do not hold all pods within the rules")
    start_cost = _cost(demand, start)
    reduction = reduce_demand(demand)
    shelf = shelf_of(reduction.demand)
    known = [pattern_of(machine, len(shelf.demand.pods)) for machine in reduction.shrink(start)]
    if not known:
        return PatternAnswer((), start_cost, 0.0)
    effort = Effort(allowance_seconds)
    found = solve_exactly(shelf, known, effort)
    report = "every pattern there is was listed" if found is not None else "patterns were generated as they were needed"
    if found is None and len(shelf.demand.pods) > MOST_CLASSES:
        found = search_in_parts(shelf, known, effort)
    elif found is None:
        found = search(shelf, known, effort)
    machines = reduction.expand([machine_of(pattern) for pattern in repair(shelf, found.patterns)])
    if _cost(demand, machines) >= start_cost or not holds(demand, machines):
        machines = tuple(start)
    cost = _cost(demand, machines)
    return PatternAnswer(machines, cost, min(found.bound_usd_per_hour, cost), (report,))


def pattern_of(machine: Machine, classes: int) -> Pattern:
    counts = np.zeros(classes, dtype=np.int64)
    for c, pods in machine.counts:
        counts[c] = pods
    return Pattern(machine.kind, counts)


def machine_of(pattern: Pattern) -> Machine:
    return Machine(pattern.kind, tuple((int(c), int(pattern.counts[c])) for c in np.flatnonzero(pattern.counts)))


def _cost(demand: Demand, machines: tuple[Machine, ...]) -> float:
    return float(demand.price_usd_per_hour[[machine.kind for machine in machines]].sum())


def holds(demand: Demand, machines: tuple[Machine, ...]) -> bool:
    """Whether these machines exist, hold every pod exactly once, and keep every rule."""
    placed = np.zeros_like(demand.pods)
    for machine in machines:
        counts = pattern_of(machine, len(demand.pods)).counts
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
