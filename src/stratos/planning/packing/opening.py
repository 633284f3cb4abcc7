"""Which machine to open for a pod that fits nowhere: not the cheapest for it alone, but for all that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import Vector
from stratos.planning.packing.counting import Company
from stratos.planning.packing.lots import Lot


class Outlook:
    """What is still to come: how much the pods that are not placed yet ask for."""

    def __init__(self, lots: Sequence[Lot]) -> None:
        self._lots = lots
        self._by_lot: dict[bytes, NDArray[np.int64]] = {}  # [lot, resource], by which resources are asked for
        self._of_company: dict[Company, Vector] = {}
        self._number_of: dict[Company, int] = {}

    def expect(self, wanted: Vector, lots: NDArray[np.bool_], company: Company, number: int) -> None:
        """``number`` more pods of a class that ``lots`` admit (or fewer, when negative) are to come."""
        asked = _asked(wanted)
        if asked not in self._by_lot:
            self._by_lot[asked] = np.zeros((len(self._lots), wanted.size), dtype=np.int64)
        self._by_lot[asked] += lots[:, None] * (number * wanted)
        self._of_company[company] = self._of_company.get(company, 0 * wanted) + number * wanted
        self._number_of[company] = self._number_of.get(company, 0) + number

    def in_lot(self, wanted: Vector, lot: int) -> Vector:
        """What pods that ask for the same resources want in all: GPU machines are not sized by who wants no GPU."""
        demand: Vector = self._by_lot[_asked(wanted)][lot]
        return demand

    def of_company(self, company: Company) -> Vector:
        """What the pods that state the same rules about each other want in all."""
        return self._of_company.get(company, np.zeros(1, dtype=np.int64))

    def number_of(self, company: Company) -> int:
        return self._number_of.get(company, 0)


def _asked(wanted: Vector) -> bytes:
    return (wanted > 0).tobytes()


@dataclass(frozen=True, slots=True)
class Opening:
    lot: int
    choice: int  # the candidate of the lot


def choose_opening(
    bins: Bins,
    outlook: Outlook,
    wanted: Vector,
    lots: NDArray[np.bool_],
    *,
    number: int,
    machines: int,
) -> Opening | None:
    """The candidate at which all that is to come would cost least, if machines like it were all one could have.

    ``number`` pods need one now, on ``machines`` machines at least. Among equals the largest is taken: what it has too
    much is given back at the end.
    """
    best: tuple[float, int, int] | None = None
    free = bins.free_by_lot()
    asked = wanted.nonzero()[0].tolist()
    for index in lots.nonzero()[0].tolist():
        lot = bins.lots[index]
        (fitting,) = lot.holding(wanted).nonzero()
        if not fitting.size:
            continue
        coming = np.maximum(outlook.in_lot(wanted, index) - free[index], number * wanted)
        needed = np.full(fitting.size, float(max(1, machines)))
        for row in asked:
            np.maximum(needed, coming[row] / lot.capacity[fitting, row], out=needed)
        costs = needed * lot.prices[fitting]
        lowest = float(costs.min())
        choice = int(fitting[(costs <= lowest * (1 + 1e-9)).nonzero()[0][-1]])
        if best is None or lowest < best[0] * (1 - 1e-9):
            best = lowest, index, choice
    return None if best is None else Opening(best[1], best[2])


def choose_for_group(bins: Bins, wanted: Vector, group: Vector, lots: NDArray[np.bool_]) -> Opening | None:
    """One machine for pods that all have to be on the same one: the cheapest that holds them, or else the roomiest."""
    best: tuple[float, float, int, int] | None = None
    for index in lots.nonzero()[0].tolist():
        lot = bins.lots[index]
        asked = group > 0
        for choice in lot.holding(wanted).nonzero()[0].tolist():
            share = min(1.0, float((lot.capacity[choice][asked] / group[asked]).min()))
            rank = (-share, float(lot.prices[choice]), index, choice)
            best = rank if best is None else min(best, rank)
    return None if best is None else Opening(best[2], best[3])
