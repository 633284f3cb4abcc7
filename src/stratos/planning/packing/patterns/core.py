"""Long price tables: choose the few kinds that a cheapest mix is made of, and leave the others to the proof and repair.

Many sizes at the same price per core are as good as one another as long as many machines are needed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.blend import blend_of
from stratos.planning.packing.patterns.knapsack import TINY, Knapsacks
from stratos.planning.packing.patterns.shelf import Shelf, shelf_of

MOST_KINDS = 48  # fewer are taken as they are
ROUNDS = 3  # of asking which kinds the chosen ones undervalue …
JOINING = 8  # … and how many of those join at once
UNDERVALUED = 1.001


def core_of(shelf: Shelf, knapsacks: Knapsacks) -> NDArray[np.int64]:
    """The kinds to search with, in order."""
    kinds = _spread_out(shelf)
    if len(kinds) == len(shelf.room):
        return kinds
    waiting, price = shelf.demand.pods, shelf.demand.price_usd_per_hour
    for _ in range(ROUNDS):
        blend = blend_of(only(shelf, kinds), waiting, shelf.demand.limit[kinds])
        if blend is None:
            return np.arange(len(shelf.room))
        rate = knapsacks.worth_at_most(blend.values, waiting) / np.maximum(price, TINY)
        rate[kinds] = 0.0
        joining = np.argsort(-rate, kind="stable")[:JOINING]
        joining = joining[rate[joining] > UNDERVALUED]
        if not joining.size:
            break
        kinds = np.sort(np.concatenate([kinds, joining]))
    return kinds


def only(shelf: Shelf, kinds: NDArray[np.int64]) -> Shelf:
    """The same with these kinds alone."""
    demand = shelf.demand
    return shelf_of(
        replace(
            demand,
            capacity=demand.capacity[kinds],
            price_usd_per_hour=demand.price_usd_per_hour[kinds],
            allowed=demand.allowed[:, kinds],
            limit=demand.limit[kinds],
        )
    )


def _spread_out(shelf: Shelf) -> NDArray[np.int64]:
    """All kinds that are limited, and of those open to the same classes some of every size."""
    demand = shelf.demand
    groups: dict[bytes, list[int]] = defaultdict(list)
    for kind in np.argsort(demand.price_usd_per_hour, kind="stable").tolist():
        if demand.limit[kind] < 0:
            groups[demand.allowed[:, kind].tobytes()].append(kind)
    chosen = set(np.flatnonzero(demand.limit >= 0).tolist())
    each = max(2, MOST_KINDS // max(1, len(groups)))
    for group in groups.values():
        steps = np.linspace(0, len(group) - 1, min(each, len(group)))
        chosen.update(group[round(step)] for step in steps.tolist())
    return np.array(sorted(chosen), dtype=np.int64)
