"""Candidates sorted into lots: within a lot they differ in size and price alone, and no rule tells them apart.

A machine that is opened belongs to a lot from then on; which candidate of it the machine becomes is settled at the
end, when all its pods are known.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.classes import NO_LIMIT, Scale, Vector
from stratos.planning.packing.problem import Candidate
from stratos.planning.packing.sites import Sites


@dataclass(frozen=True, slots=True)
class Lot:
    """Candidates in order of price; rows of the arrays are candidates."""

    site: int
    candidates: tuple[Candidate, ...]
    capacity: NDArray[np.int64]  # [candidate, resource]
    prices: NDArray[np.float64]
    left: NDArray[np.int64]  # how many more of each may be had: counted down as machines are opened

    def holding(self, load: Vector) -> NDArray[np.bool_]:
        """Which candidates, of those still to be had, hold ``load``."""
        holding = self.left > 0
        for row in load.nonzero()[0].tolist():  # one comparison a resource is faster than one of whole vectors
            holding &= self.capacity[:, row] >= load[row]
        return holding

    def cheapest_holding(self, load: Vector) -> int | None:
        holding = self.holding(load)
        first = int(holding.argmax())  # the order is that of price
        return first if holding[first] else None


def make_lots(
    candidates: Sequence[Candidate], topology_keys: Sequence[str], scale: Scale, sites: Sites
) -> tuple[Lot, ...]:
    """``topology_keys`` are the labels that rules count pods by."""
    members: dict[Hashable, list[Candidate]] = {}
    for candidate in sorted(candidates, key=_rank):
        node = candidate.node
        domains = tuple(node.labels.get(key) for key in topology_keys)
        members.setdefault((sites.number(node), domains), []).append(candidate)
    return tuple(
        Lot(
            site=sites.number(lot[0].node),
            candidates=tuple(lot),
            capacity=np.asfortranarray([scale.offered(candidate.node) for candidate in lot], dtype=np.int64),
            prices=np.array([candidate.price_usd_per_hour for candidate in lot], dtype=np.float64),
            left=np.array([NO_LIMIT if each.most is None else each.most for each in lot], dtype=np.int64),
        )
        for lot in members.values()
    )


def _rank(candidate: Candidate) -> tuple[float, str, str, str, str]:
    name = candidate.offering
    return candidate.price_usd_per_hour, name.instance_type, name.zone, name.capacity_type, candidate.template
