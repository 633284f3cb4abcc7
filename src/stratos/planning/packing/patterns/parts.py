"""Very many classes, as when no two pods are alike: solve parts of like composition, and prove one bound for all.

Machines are then filled from one part each, which costs next to nothing as long as every part fills many of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.blend import Blend, blend_of
from stratos.planning.packing.patterns.construct import follow_blend
from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.generation import bound_of
from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.master import WholeSolution
from stratos.planning.packing.patterns.repair import repair
from stratos.planning.packing.patterns.shelf import Pattern, Shelf, shelf_of

MOST_CLASSES = 2000  # beyond, a demand is cut in parts …
CLASSES_IN_A_PART = 1000  # … of about so many


def search_in_parts(
    shelf: Shelf, start: list[Pattern], effort: Effort, *, classes_in_a_part: int = CLASSES_IN_A_PART
) -> WholeSolution:
    """No worse than ``start``, which holds all pods."""
    # Sorted by size and dealt out like cards: each part has its share of the large and of the small.
    by_size = np.lexsort((np.arange(len(shelf.weight)), shelf.weight.sum(axis=1)))
    number = -(-len(by_size) // classes_in_a_part)
    stock = shelf.demand.limit.copy()
    whole: list[Pattern] = []
    bound = 0.0
    for classes in (by_size[i::number] for i in range(number)):
        part = _part_of(shelf, classes, stock)
        blend = blend_of(part, part.demand.pods, stock)
        found = follow_blend(part, Knapsacks(part, effort), part.demand.pods, stock)
        if blend is None or found is None:
            return WholeSolution(start, bound)
        bound = max(bound, _bound_by_prices(shelf, blend))
        for pattern in repair(part, found):
            counts = np.zeros(len(by_size), dtype=np.int64)
            counts[classes] = pattern.counts
            stock[pattern.kind] -= stock[pattern.kind] > 0
            whole.append(Pattern(pattern.kind, counts))
    return WholeSolution(min(start, whole, key=shelf.cost), bound)


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


def _bound_by_prices(shelf: Shelf, blend: Blend) -> float:
    """What a part's prices of resources prove for all: a pod is worth what its room costs where that is cheapest."""
    cost = np.where(shelf.most > 0, shelf.weight @ blend.room_prices.T, np.inf)
    values = cost.min(axis=1)
    worth = (blend.room_prices * shelf.room).sum(axis=1)
    return bound_of(shelf, worth, values, shelf.demand.pods, shelf.demand.limit)[0]
