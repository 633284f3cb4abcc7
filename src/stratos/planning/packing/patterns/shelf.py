"""A demand with what every search over it asks for again and again worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.demand import Demand

Counts = NDArray[np.int64]  # [C] pods of each class
Values = NDArray[np.float64]  # [C] what a pod of each class is worth, in dollars per hour


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A kind of machine, and how many pods of each class it holds."""

    kind: int
    counts: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    demand: Demand
    most: NDArray[np.int64]  # [C, K] how many pods of a class one machine of a kind holds, alone
    weight: NDArray[np.float64]  # [C, R] requests, as shares of the largest machine
    room: NDArray[np.float64]  # [K, R] capacities, likewise
    rivals: tuple[tuple[int, ...], ...]  # classes that may not share a machine with this one

    def holds(self, pattern: Pattern) -> bool:
        """Whether such a machine really holds so many, and may."""
        demand, counts = self.demand, pattern.counts
        return bool(
            (counts <= self.most[:, pattern.kind]).all()
            and (counts @ demand.requests <= demand.capacity[pattern.kind]).all()
            and not any(counts[a] and counts[b] for a, b in demand.apart)
        )

    def cost(self, patterns: list[Pattern]) -> float:
        return float(self.demand.price_usd_per_hour[[pattern.kind for pattern in patterns]].sum())


def shelf_of(demand: Demand) -> Shelf:
    most = np.minimum(demand.most_per_machine, demand.pods)[:, None] * demand.allowed
    for asked, there in zip(demand.requests.T, demand.capacity.T, strict=True):
        fitting = there[None, :] // np.maximum(asked, 1)[:, None]
        most = np.minimum(most, np.where(asked[:, None] > 0, fitting, most))
    scale = np.maximum(demand.capacity.max(axis=0, initial=1), 1).astype(np.float64)
    rivals: list[set[int]] = [set() for _ in demand.pods]
    for a, b in demand.apart:
        rivals[a].add(b)
        rivals[b].add(a)
    return Shelf(
        demand=demand,
        most=most,
        weight=demand.requests / scale,
        room=demand.capacity / scale,
        rivals=tuple(tuple(sorted(each)) for each in rivals),
    )
