"""Very many classes, as when no two pods are alike: search in parts of like composition, and prove one bound for all.

Machines are then filled from one part each, which costs next to nothing as long as every part fills many of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.blend import blend_of
from stratos.planning.packing.patterns.core import core_of, only
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.generation import bound_of
from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.master import WholeSolution
from stratos.planning.packing.patterns.repair import repair
from stratos.planning.packing.patterns.search import search
from stratos.planning.packing.patterns.shelf import Pattern, Shelf, shelf_of

MOST_CLASSES = 1200  # beyond, a demand is cut in parts, none of them larger …
MACHINES_IN_A_PART = 100  # … and each of about so many machines: the last of them, half empty, weighs little then
SAMPLE = 500  # classes that tell how many machines all will take


def search_in_parts(
    shelf: Shelf, start: list[Pattern], effort: Effort, *, machines_in_a_part: int = MACHINES_IN_A_PART
) -> WholeSolution:
    """No worse than ``start``, which holds all pods."""
    # Sorted by size and dealt out like cards: each part has its share of the large and of the small.
    by_size = np.lexsort((np.arange(len(shelf.weight)), shelf.weight.sum(axis=1)))
    stock = shelf.demand.limit.copy()
    sample = _part_of(shelf, by_size[:: -(-len(by_size) // SAMPLE)], stock)
    kinds = core_of(sample, Knapsacks(sample, effort))
    blend = blend_of(only(sample, kinds), sample.demand.pods, stock[kinds])
    if blend is None:
        return WholeSolution(start, 0.0)
    machines = blend.machines.sum() * len(by_size) / len(sample.demand.pods)
    number = max(-(-len(by_size) // MOST_CLASSES), int(machines / machines_in_a_part))
    whole: list[Pattern] = []
    bound = 0.0
    for first in range(number):
        classes = by_size[first::number]
        part = _part_of(shelf, classes, stock)
        bound = max(bound, _bound_by_prices(shelf, part, kinds, effort))
        own_effort = effort.split_off(number - first)
        own_start = [Pattern(each.kind, each.counts[classes]) for each in start if each.counts[classes].any()]
        found = search(part, own_start, own_effort)
        effort.take_back(own_effort)
        for pattern in found.patterns:
            counts = np.zeros(len(by_size), dtype=np.int64)
            counts[classes] = pattern.counts
            stock[pattern.kind] -= stock[pattern.kind] > 0
            whole.append(Pattern(pattern.kind, counts))
    return WholeSolution(min(start, repair(shelf, whole), key=shelf.cost), bound)


def _part_of(shelf: Shelf, classes: NDArray[np.int64], stock: NDArray[np.int64]) -> Shelf:
    demand = shelf.demand
    place = {c: i for i, c in enumerate(classes.tolist())}
    return shelf_of(
        replace(
            demand,
            requests=demand.requests[classes],
            pods=demand.pods[classes],
            allowed=demand.allowed[classes],
            most_per_machine=demand.most_per_machine[classes],
            limit=stock,
            apart=tuple((place[a], place[b]) for a, b in demand.apart if a in place and b in place),
        )
    )


def _bound_by_prices(shelf: Shelf, part: Shelf, kinds: NDArray[np.int64], effort: Effort) -> float:
    """What a part's prices of resources prove for all: a pod is worth what its room costs where that is cheapest."""
    blend = blend_of(only(part, kinds), part.demand.pods, part.demand.limit[kinds])
    if blend is None:
        return 0.0
    cost = np.where(shelf.most[:, kinds] > 0, shelf.weight @ blend.room_prices.T, np.inf).min(axis=1)
    values = np.where(np.isfinite(cost), cost, 0.0)  # bound_of proves whatever values it is given
    worth = Knapsacks(shelf, effort).worth_at_most(values, shelf.demand.pods)
    return bound_of(shelf, worth, values, shelf.demand.pods, shelf.demand.limit)[0]
