"""Put pods into bins class by class, and open machines as they are needed.

Rules about nodes and amounts are kept exactly here, rules about other pods as far as counts by domain tell. What comes
out is a proposal: `settling` binds it pod by pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import PodClass, Vector
from stratos.planning.packing.counting import Company, Counting
from stratos.planning.packing.dividing import divide
from stratos.planning.packing.domains import Domains
from stratos.planning.packing.opening import Outlook, choose_for_group, choose_opening
from stratos.planning.packing.reach import Reach, reach_of
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.requirements import PodRequirements


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pod goes. Places are listed in the order in which the pods are to be bound."""

    pod: str
    requirements: PodRequirements
    bin: int


class Filling:
    def __init__(
        self,
        bins: Bins,
        sites: Sites,
        domains: Domains,
        counting: Counting,
        wanted: Mapping[PodRequirements, Vector],
    ) -> None:
        self._bins = bins
        self._sites = sites
        self._domains = domains
        self._counting = counting
        self._wanted = wanted
        self._lot_sites = np.array([lot.site for lot in bins.lots], dtype=np.int64)
        self._outlook = Outlook(bins.lots)
        self.places: list[Place] = []

    def fill(self, pieces: Sequence[PodClass]) -> list[PodClass]:
        """Place the pods of ``pieces`` in their order; returns what is left over."""
        for piece in pieces:
            self._expect(piece, 1)
        waiting = list(pieces)
        while True:
            left_over = []
            for piece in waiting:
                self._expect(piece, -1)
                placed = self._place(piece)
                if placed < len(piece.keys):
                    left_over.append(PodClass(piece.requirements, piece.keys[placed:]))
                    self._expect(left_over[-1], 1)
            if sum(len(each.keys) for each in left_over) == sum(len(each.keys) for each in waiting):
                return left_over
            waiting = left_over  # the company that some waited for may be there now

    def _expect(self, piece: PodClass, sign: int) -> None:
        requirements = piece.requirements
        company = self._counting.company(requirements)
        lots = self._sites.admitting(requirements.node_rules)[self._lot_sites]
        self._outlook.expect(self._wanted[requirements], lots, company, sign * len(piece.keys))

    def _place(self, piece: PodClass) -> int:
        placed = 0
        while placed < len(piece.keys):
            more = self._place_some(piece, placed)
            if not more:
                break
            placed += more
        return placed

    def _place_some(self, piece: PodClass, placed: int) -> int:
        """Place as many as can be decided about at once."""
        requirements = piece.requirements
        wanted = self._wanted[requirements]
        company = self._counting.company(requirements)
        number = len(piece.keys) - placed
        admitted = self._sites.admitting(requirements.node_rules)
        reach = reach_of(company, self._domains, admitted[self._bins.site], admitted[self._lot_sites], number)
        fits = self._bins.fits(wanted, reach.bins, min(number, reach.in_one_machine))
        if reach.most is not None:
            np.minimum(fits, reach.most, out=fits)
        if reach.starts_by is not None:
            return self._start(piece, placed, reach, reach.starts_by, fits)
        if reach.divides_by is not None:
            return self._divide(piece, placed, reach, reach.divides_by, fits)
        number = min(number, reach.at_once)
        chosen = _first(fits, number)
        self._put(piece, placed, chosen, wanted, company)
        if chosen.size < number:
            opened = self._open(company, wanted, reach, reach.lots, number - chosen.size)
            self._put(piece, placed + chosen.size, opened, wanted, company)
            return int(chosen.size + opened.size)
        return int(chosen.size)

    def _divide(self, piece: PodClass, placed: int, reach: Reach, key: str, fits: NDArray[np.int64]) -> int:
        """Place pods that are spread over zones or the like: as evenly as there is room."""
        company = self._counting.company(piece.requirements)
        wanted = self._wanted[piece.requirements]
        number = min(len(piece.keys) - placed, reach.at_once)
        lot_codes = self._domains.of_lots(key)
        able = reach.lots & np.array([bool(lot.holding(wanted).any()) for lot in self._bins.lots], dtype=np.bool_)
        obtainable = set(lot_codes[able].tolist())
        codes = self._domains.of_bins(key)
        in_bins = _sum_by(codes, fits)
        reachable = sorted(obtainable | set(in_bins))
        room = [
            # Apart means one a domain; where there is no domain nobody is in the way.
            min(1 if key in company.alone_by and code >= 0 else number, number if code in obtainable else in_bins[code])
            for code in reachable
        ]
        holds, elsewhere, max_skew = [0] * len(reachable), None, number
        for rule in reach.dividing:
            pods = rule.count.pods(self._domains.size(key))
            holds = [int(pods[code]) for code in reachable]
            known = {*rule.count.seen(self._domains), *reachable}
            others = [int(pods[code]) for code in sorted(known - set(reachable))]
            if len(known) < rule.constraint.min_domains:
                others.append(0)
            elsewhere, max_skew = min(others, default=None), rule.constraint.max_skew
        amounts = divide(number, holds, room, lowest_elsewhere=elsewhere, max_skew=max_skew)
        turns: list[tuple[int, int, int]] = []  # of each pod: how many are there then, domain, bin
        for code, held, amount in zip(reachable, holds, amounts, strict=True):
            if not amount:
                continue
            here = np.where(codes == code, fits, 0)
            chosen = _first(here, amount).tolist()
            if len(chosen) < amount:
                lots = reach.lots & (lot_codes == code)
                chosen += self._open(company, wanted, reach, lots, amount - len(chosen)).tolist()
                codes = self._domains.of_bins(key)
                fits = np.pad(fits, (0, codes.size - fits.size))
            turns += [(held + turn, code, index) for turn, index in enumerate(chosen)]
        order = np.array([index for _, _, index in sorted(turns)], dtype=np.int64)
        self._put(piece, placed, order, wanted, company)
        return int(order.size)

    def _start(self, piece: PodClass, placed: int, reach: Reach, key: str, fits: NDArray[np.int64]) -> int:
        """Place the first pods of a group that wants to be together, where there is room for the whole group."""
        company = self._counting.company(piece.requirements)
        wanted = self._wanted[piece.requirements]
        number = min(len(piece.keys) - placed, reach.at_once)
        group = self._outlook.of_company(company) + number * wanted
        if self._domains.is_unique(key):
            (bins,) = fits.nonzero()
            roomy = bins[(self._bins.room[:, bins] >= group[:, None]).all(axis=0)]
            if roomy.size:
                chosen = np.full(min(number, int(fits[roomy[0]])), roomy[0])
            else:
                chosen = self._open(company, wanted, reach, reach.lots, number, group=group)
                if not chosen.size and bins.size:
                    best = int(fits.argmax())
                    chosen = np.full(min(number, int(fits[best])), best)
        else:
            codes = self._domains.of_bins(key)
            in_bins = _sum_by(codes, fits)
            roomiest = max(sorted(in_bins), key=lambda code: in_bins[code], default=None)
            here = fits if roomiest is None else np.where(codes == roomiest, fits, 0)
            chosen = _first(here, number)
            if chosen.size < number:
                chosen = self._open(company, wanted, reach, reach.lots, number)
                if not chosen.size:
                    chosen = _first(here, number)
        self._put(piece, placed, chosen, wanted, company)
        return int(chosen.size)

    def _open(
        self,
        company: Company,
        wanted: Vector,
        reach: Reach,
        lots: NDArray[np.bool_],
        number: int,
        *,
        group: Vector | None = None,
    ) -> NDArray[np.int64]:
        """Open machines for ``number`` pods; returns the bin of each pod that they have room for."""
        if not lots.any() or not reach.in_one_machine:
            return np.empty(0, dtype=np.int64)
        if group is None:
            machines = -(-(self._outlook.number_of(company) + number) // reach.in_one_machine)
            opening = choose_opening(self._bins, self._outlook, wanted, lots, number=number, machines=machines)
        else:
            opening = choose_for_group(self._bins, wanted, group, lots)
        if opening is None:
            return np.empty(0, dtype=np.int64)
        lot = self._bins.lots[opening.lot]
        asked = wanted > 0
        in_each = min(int((lot.capacity[opening.choice][asked] // wanted[asked]).min()), reach.in_one_machine)
        needed = 1 if group is not None else -(-number // in_each)
        opened = self._bins.open(opening.lot, opening.choice, min(needed, int(lot.left[opening.choice])))
        return np.repeat(opened, in_each)[:number]

    def _put(self, piece: PodClass, placed: int, bins: NDArray[np.int64], wanted: Vector, company: Company) -> None:
        """Put the pods of a class from number ``placed`` on into ``bins``, one each."""
        if not bins.size:
            return
        indices, numbers = np.unique(bins, return_counts=True)
        self._bins.take(indices, numbers, wanted)
        self._counting.add(company, indices, numbers)
        for key, index in zip(piece.keys[placed : placed + bins.size], bins.tolist(), strict=True):
            self.places.append(Place(key, piece.requirements, index))


def _first(fits: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """The bin of each pod, for as many as there is room for, when the first bins are filled first."""
    (bins,) = fits.nonzero()
    return np.repeat(bins, np.diff(np.minimum(np.cumsum(fits[bins]), number), prepend=0))


def _sum_by(codes: NDArray[np.int64], fits: NDArray[np.int64]) -> dict[int, int]:
    """How many pods fit into the bins of each domain, for those where any do."""
    open_to = fits > 0
    sums = np.bincount(codes[open_to] + 1, weights=fits[open_to])  # from 1 on: bins in no domain have code -1
    return {int(code) - 1: int(sums[code]) for code in sums.nonzero()[0]}


def shrink_machines(bins: Bins) -> None:
    """Let each machine be the cheapest of its lot that holds what is in it."""
    for index in range(len(bins.existing), bins.size):
        cheapest = bins.lots[int(bins.lot[index])].cheapest_holding(bins.load(index))
        if cheapest is not None and cheapest < int(bins.choice[index]):
            bins.choose(index, cheapest)
