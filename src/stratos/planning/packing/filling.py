"""Put pods into bins class by class, the largest first, and open machines as they are needed.

Rules about nodes and amounts are kept exactly. What is placed here is a proposal: `settling` binds it pod by pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import PodClass, Vector
from stratos.planning.packing.opening import Outlook, choose_opening
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.requirements import PodRequirements


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pod goes. Places are listed in the order in which the pods are to be bound."""

    pod: str
    requirements: PodRequirements
    bin: int


class Filling:
    def __init__(self, bins: Bins, sites: Sites, wanted: Mapping[PodRequirements, Vector]) -> None:
        self._bins = bins
        self._sites = sites
        self._wanted = wanted
        self._lot_sites = np.array([lot.site for lot in bins.lots], dtype=np.int64)
        self.places: list[Place] = []
        self.left_over: list[PodClass] = []

    def fill(self, classes: Sequence[PodClass]) -> None:
        outlook = Outlook(self._bins.lots, len(next(iter(self._wanted.values()), ())))
        for each in classes:
            outlook.expect(self._wanted[each.requirements], self._lots_admitting(each.requirements), len(each.keys))
        for each in classes:
            wanted = self._wanted[each.requirements]
            lots = self._lots_admitting(each.requirements)
            placed = self._place(each, wanted, lots, outlook)
            outlook.expect(wanted, lots, -len(each.keys))
            if placed < len(each.keys):
                self.left_over.append(PodClass(each.requirements, each.keys[placed:]))

    def _place(self, each: PodClass, wanted: Vector, lots: NDArray[np.bool_], outlook: Outlook) -> int:
        admitted = self._sites.admitting(each.requirements.node_rules)
        number = len(each.keys)
        fits = self._bins.fits(wanted, admitted[self._bins.site], number)
        placed = self._put(each, 0, wanted, fits)
        while placed < number:
            opening = choose_opening(self._bins, outlook, wanted, lots, number=number - placed, machines=0)
            if opening is None:
                break
            lot = self._bins.lots[opening.lot]
            asked = wanted > 0
            in_each = int((lot.capacity[opening.choice][asked] // wanted[asked]).min())
            machines = min(-(-(number - placed) // in_each), int(lot.left[opening.choice]))
            opened = self._bins.open(opening.lot, opening.choice, machines)
            fits = np.zeros(self._bins.size, dtype=np.int64)
            fits[opened] = in_each
            placed += self._put(each, placed, wanted, fits)
        return placed

    def _put(self, each: PodClass, placed: int, wanted: Vector, fits: NDArray[np.int64]) -> int:
        """Put the pods of a class from number ``placed`` on into the first bins that fit; returns how many."""
        (bins,) = fits.nonzero()
        if not bins.size:
            return 0
        up_to = np.minimum(np.cumsum(fits[bins]), len(each.keys) - placed)
        numbers = np.diff(up_to, prepend=0)
        used = numbers > 0
        bins, numbers = bins[used], numbers[used]
        self._bins.take(bins, numbers, wanted)
        keys = each.keys[placed : placed + int(up_to[-1])]
        for key, index in zip(keys, np.repeat(bins, numbers).tolist(), strict=True):
            self.places.append(Place(key, each.requirements, index))
        return len(keys)

    def _lots_admitting(self, requirements: PodRequirements) -> NDArray[np.bool_]:
        admitted: NDArray[np.bool_] = self._sites.admitting(requirements.node_rules)[self._lot_sites]
        return admitted


def shrink_machines(bins: Bins) -> None:
    """Let each machine be the cheapest of its lot that holds what is in it."""
    for index in range(len(bins.existing), bins.size):
        cheapest = bins.lots[int(bins.lot[index])].cheapest_holding(bins.load(index))
        if cheapest is not None and cheapest < int(bins.choice[index]):
            bins.choose(index, cheapest)
