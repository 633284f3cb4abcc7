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
from stratos.planning.packing.sites import Sites, Verdicts
from stratos.planning.scheduling.requirements import PodRequirements


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pod goes. Places are listed in the order in which the pods are to be bound."""

    pod: str
    requirements: PodRequirements
    bin: int
    version: PodRequirements  # with the preferences that were kept


@dataclass(slots=True)
class _Step:
    """Pods of one class, those that are decided about at once."""

    pods: tuple[str, ...]
    requirements: PodRequirements
    version: PodRequirements
    company: Company  # of the version
    wanted: Vector
    reach: Reach
    fits: NDArray[np.int64]  # how many go into each bin

    def limited(self) -> int:
        return min(len(self.pods), self.reach.at_once)


class Filling:
    def __init__(
        self,
        bins: Bins,
        sites: Sites,
        domains: Domains,
        counting: Counting,
        wanted: Mapping[PodRequirements, Vector],
        versions: Mapping[PodRequirements, Sequence[PodRequirements]],
    ) -> None:
        self._bins = bins
        self._sites = sites
        self._domains = domains
        self._counting = counting
        self._wanted = wanted
        self._versions = versions  # each with all its preferences, then with less and less of them
        self._lot_sites = np.array([lot.site for lot in bins.lots], dtype=np.int64)
        self._outlook = Outlook(bins.lots)
        self._admitted: dict[PodRequirements, tuple[Verdicts, Verdicts]] = {}
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
        version = self._versions[piece.requirements][0]
        company = self._counting.company(version)
        _, lots = self._admitting(version)
        self._outlook.expect(self._wanted[piece.requirements], lots, company, sign * len(piece.keys))

    def _admitting(self, version: PodRequirements) -> tuple[Verdicts, Verdicts]:
        """Which sites and which lots the rules about nodes admit."""
        admitted = self._admitted.get(version)
        if admitted is None:
            sites = self._sites.admitting(version.node_rules)
            admitted = self._admitted[version] = sites, sites[self._lot_sites]
        return admitted

    def _place(self, piece: PodClass) -> int:
        placed = 0
        for version in self._versions[piece.requirements]:
            while placed < len(piece.keys):
                more = self._place_some(piece.keys[placed:], piece.requirements, version)
                if not more:
                    break
                placed += more
        return placed

    def _place_some(self, pods: tuple[str, ...], requirements: PodRequirements, version: PodRequirements) -> int:
        """Place as many as can be decided about at once."""
        wanted = self._wanted[requirements]
        company = self._counting.company(version)
        sites, lots = self._admitting(version)
        reach = reach_of(company, self._domains, sites[self._bins.site], lots)
        fits = self._bins.fits(wanted, reach.bins, min(len(pods), reach.in_one_machine))
        if reach.most is not None:
            np.minimum(fits, reach.most, out=fits)
        step = _Step(pods, requirements, version, company, wanted, reach, fits)
        if reach.starts_by is not None:
            chosen = self._start(step, reach.starts_by)
        elif reach.divides_by is not None:
            chosen = self._divide(step, reach.divides_by)
        else:
            number = step.limited()
            chosen = _first(fits, number)
            if chosen.size < number:
                chosen = np.concatenate([chosen, self._open(step, reach.lots, number - chosen.size)])
        self._put(step, chosen)
        return int(chosen.size)

    def _divide(self, step: _Step, key: str) -> NDArray[np.int64]:
        """Bins for pods that are spread over zones or the like: as evenly as there is room."""
        number = step.limited()
        lots, lot_codes = step.reach.lots, self._domains.of_lots(key)
        able = lots & np.array([bool(lot.holding(step.wanted).any()) for lot in self._bins.lots], dtype=np.bool_)
        obtainable = set(lot_codes[able].tolist())
        codes = self._domains.of_bins(key)
        in_bins = _sum_by(codes, step.fits)
        reachable = sorted(obtainable | set(in_bins))
        alone = key in step.company.alone_by
        room = [
            # Apart means one a domain; where there is no domain nobody is in the way.
            min(1 if alone and code >= 0 else number, number if code in obtainable else in_bins[code])
            for code in reachable
        ]
        holds, elsewhere, max_skew = [0] * len(reachable), None, number
        if step.reach.dividing is not None:
            count, constraint = step.reach.dividing.count, step.reach.dividing.constraint
            pods = count.pods(self._domains.size(key))
            holds = [int(pods[code]) for code in reachable]
            known = {*count.seen(self._domains), *reachable}
            others = [int(pods[code]) for code in sorted(known - set(reachable))]
            if len(known) < constraint.min_domains:
                others.append(0)
            elsewhere, max_skew = min(others, default=None), constraint.max_skew
        amounts = divide(number, holds, room, lowest_elsewhere=elsewhere, max_skew=max_skew)
        turns: list[tuple[int, int, int]] = []  # of each pod: how many are there by then, domain, bin
        for code, held, amount in zip(reachable, holds, amounts, strict=True):
            chosen = _first(np.where(codes == code, step.fits, 0), amount).tolist()
            if len(chosen) < amount:
                chosen += self._open(step, lots & (lot_codes == code), amount - len(chosen)).tolist()
            turns += [(held + turn, code, index) for turn, index in enumerate(chosen)]
        return np.array([index for _, _, index in sorted(turns)], dtype=np.int64)

    def _start(self, step: _Step, key: str) -> NDArray[np.int64]:
        """Bins for the first of a group that wants to be together, where there is room for the whole group."""
        number = step.limited()
        group = self._outlook.of_company(step.company) + number * step.wanted
        if not self._domains.is_unique(key):
            codes = self._domains.of_bins(key)
            in_bins = _sum_by(codes, step.fits)
            roomiest = max(sorted(in_bins), key=lambda code: in_bins[code], default=None)
            here = step.fits if roomiest is None else np.where(codes == roomiest, step.fits, 0)
            chosen = _first(here, number)
            if chosen.size < number:
                opened = self._open(step, step.reach.lots, number)
                chosen = opened if opened.size else chosen
            return chosen
        (bins,) = step.fits.nonzero()
        roomy = bins[(self._bins.room[:, bins] >= group[:, None]).all(axis=0)]
        if roomy.size:
            return np.full(min(number, int(step.fits[roomy[0]])), roomy[0])
        opened = self._open(step, step.reach.lots, number, group=group)
        if opened.size or not bins.size:
            return opened
        best = int(step.fits.argmax())
        return np.full(min(number, int(step.fits[best])), best)

    def _open(
        self, step: _Step, lots: NDArray[np.bool_], number: int, *, group: Vector | None = None
    ) -> NDArray[np.int64]:
        """Open machines for ``number`` pods; returns the bin of each pod that they have room for."""
        in_one_machine, wanted = step.reach.in_one_machine, step.wanted
        if not lots.any() or not in_one_machine:
            return np.empty(0, dtype=np.int64)
        if group is None:
            machines = -(-(self._outlook.number_of(step.company) + number) // in_one_machine)
            opening = choose_opening(self._bins, self._outlook, wanted, lots, number=number, machines=machines)
        else:
            opening = choose_for_group(self._bins, wanted, group, lots)
        if opening is None:
            return np.empty(0, dtype=np.int64)
        lot = self._bins.lots[opening.lot]
        asked = wanted > 0
        in_each = min(int((lot.capacity[opening.choice][asked] // wanted[asked]).min()), in_one_machine)
        needed = 1 if group is not None else -(-number // in_each)
        opened = self._bins.open(opening.lot, opening.choice, min(needed, int(lot.left[opening.choice])))
        return np.repeat(opened, in_each)[:number]

    def _put(self, step: _Step, chosen: NDArray[np.int64]) -> None:
        """Put the first pods of a step into the bins chosen for them, one each."""
        if not chosen.size:
            return
        indices, numbers = (chosen, _ONE) if chosen.size == 1 else np.unique(chosen, return_counts=True)
        self._bins.take(indices, numbers, step.wanted)
        self._counting.add(self._counting.company(step.requirements), indices, numbers)
        for pod, index in zip(step.pods, chosen.tolist(), strict=False):
            self.places.append(Place(pod, step.requirements, index, step.version))


_ONE = np.ones(1, dtype=np.int64)


def _first(fits: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """The bin of each pod, for as many as there is room for, when the first bins are filled first."""
    if number == 1:
        first = fits.argmax() if fits.size else 0
        return np.array([first] if fits.size and fits[first] else [], dtype=np.int64)
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
