"""Which machine to open for a pod that fits nowhere: not the cheapest for it alone, but for all that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import Vector
from stratos.planning.packing.lots import Lot


class Outlook:
    """What is still to come: how much the pods that are not placed yet ask for, by lot that admits them."""

    def __init__(self, lots: Sequence[Lot], rows: int) -> None:
        self._lots = lots
        self._rows = rows
        self._demand: dict[bytes, NDArray[np.int64]] = {}

    def expect(self, wanted: Vector, lots: NDArray[np.bool_], number: int) -> None:
        """``number`` more pods of such a class (or fewer, when negative) are to come."""
        demand = self._demand.get(_asked(wanted))
        if demand is None:
            demand = self._demand[_asked(wanted)] = np.zeros((len(self._lots), self._rows), dtype=np.int64)
        demand[lots] += number * wanted

    def of(self, wanted: Vector, lot: int) -> Vector:
        """What pods that ask for the same resources want in all: GPU machines are not sized by who wants no GPU."""
        demand: Vector = self._demand[_asked(wanted)][lot]
        return demand


def _asked(wanted: Vector) -> bytes:
    return (wanted > 0).tobytes()


@dataclass(frozen=True, slots=True)
class Opening:
    lot: int
    choice: int  # the candidate of the lot


def choose_opening(
    bins: Bins, outlook: Outlook, wanted: Vector, lots: NDArray[np.bool_], *, number: int, machines: int
) -> Opening | None:
    """The candidate at which all that is to come would cost least, if machines like it were all one could have.

    ``number`` pods need one now, on ``machines`` machines at least. Among equals the largest is taken: what it has too
    much is given back at the end.
    """
    best: tuple[float, int, int] | None = None
    for index in lots.nonzero()[0].tolist():
        lot = bins.lots[index]
        (fitting,) = lot.holding(wanted).nonzero()
        if not fitting.size:
            continue
        free = bins.room[:, bins.lot == index].sum(axis=1)
        coming = np.maximum(outlook.of(wanted, index) - free, number * wanted)
        asked = wanted > 0
        capacity = lot.capacity[fitting][:, asked]
        needed = np.maximum((coming[asked] / capacity).max(axis=1), max(1, machines))
        costs = needed * lot.prices[fitting]
        lowest = float(costs.min())
        choice = int(fitting[(costs <= lowest * (1 + 1e-9)).nonzero()[0][-1]])
        if best is None or lowest < best[0] * (1 - 1e-9):
            best = lowest, index, choice
    return None if best is None else Opening(best[1], best[2])
