"""Everything pods can be put into: nodes that are there, and machines opened on the way. Rows of numbers, one a bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.classes import Scale, Vector
from stratos.planning.packing.lots import Lot
from stratos.planning.packing.problem import Candidate, ExistingNode
from stratos.planning.packing.sites import Sites


class Bins:
    """What is free in each bin. Existing nodes come first, the fullest of them leading; machines follow as opened."""

    def __init__(self, existing: Sequence[ExistingNode], lots: Sequence[Lot], scale: Scale, sites: Sites) -> None:
        self.lots = lots
        self._scale = scale
        free = {node.description.name: _free(node, scale) for node in existing}
        # Filling the fullest first leaves the emptiest free to go.
        in_order = sorted(existing, key=lambda node: (tuple(free[node.description.name]), node.description.name))
        self.existing = tuple(in_order)
        self.size = len(in_order)
        rows = max(64, 2 * self.size)
        self._room = np.zeros((scale.rows, rows), dtype=np.int64)
        self._site = np.zeros(rows, dtype=np.int64)
        self._lot = np.full(rows, -1, dtype=np.int64)
        self._choice = np.full(rows, -1, dtype=np.int64)
        for index, node in enumerate(in_order):
            self._room[:, index] = free[node.description.name]
            self._site[index] = sites.number(node.description)

    @property
    def room(self) -> NDArray[np.int64]:
        """[resource, bin]"""
        return self._room[:, : self.size]

    @property
    def capacity(self) -> NDArray[np.int64]:
        """What each bin has for pods when it is empty: [resource, bin]"""
        there = [self._scale.offered(node.description) for node in self.existing]
        machines = [self.lots[lot].capacity[choice] for lot, choice in self._machines()]
        return np.array([*there, *machines], dtype=np.int64).reshape(self.size, self._scale.rows).T

    def _machines(self) -> list[tuple[int, int]]:
        first = len(self.existing)
        return list(zip(self.lot[first:].tolist(), self.choice[first:].tolist(), strict=True))

    @property
    def site(self) -> NDArray[np.int64]:
        return self._site[: self.size]

    @property
    def lot(self) -> NDArray[np.int64]:
        """Of machines; -1 for nodes that are there."""
        return self._lot[: self.size]

    @property
    def choice(self) -> NDArray[np.int64]:
        """Which candidate of its lot a machine is to be, as things stand."""
        return self._choice[: self.size]

    def free_by_lot(self) -> NDArray[np.int64]:
        """What is free in the machines of each lot together: [lot, resource]"""
        first = len(self.existing)
        lot = self.lot[first:]
        sums = [np.bincount(lot, weights=row[first:], minlength=len(self.lots)) for row in self.room]
        return np.array(sums).T.astype(np.int64)

    def is_machine(self, index: int) -> bool:
        return index >= len(self.existing)

    def machine(self, index: int) -> Candidate:
        """What a machine is, as things stand."""
        return self.lots[int(self._lot[index])].candidates[int(self._choice[index])]

    def load(self, index: int) -> Vector:
        """What the pods in a machine take together."""
        lot = self.lots[int(self._lot[index])]
        load: Vector = lot.capacity[int(self._choice[index])] - self._room[:, index]
        return load

    def open(self, lot: int, choice: int, number: int) -> NDArray[np.int64]:
        """Open ``number`` machines; returns their bins."""
        first, last = self.size, self.size + number
        if last > self._site.size:
            self._grow(max(last, 2 * self._site.size))
        self._room[:, first:last] = self.lots[lot].capacity[choice][:, None]
        self._site[first:last] = self.lots[lot].site
        self._lot[first:last] = lot
        self._choice[first:last] = choice
        self.lots[lot].left[choice] -= number
        self.size = last
        return np.arange(first, last)

    def choose(self, index: int, choice: int) -> None:
        """Let a machine be another candidate of its lot, one that holds what is in it."""
        lot = self.lots[int(self._lot[index])]
        before = int(self._choice[index])
        self._room[:, index] += lot.capacity[choice] - lot.capacity[before]
        lot.left[before] += 1
        lot.left[choice] -= 1
        self._choice[index] = choice

    def take(self, bins: NDArray[np.int64], numbers: NDArray[np.int64], wanted: Vector) -> None:
        """Put ``numbers`` pods that each want ``wanted`` into ``bins``, each of which is named once."""
        if bins.size == 1:
            self._room[:, bins[0]] -= wanted * numbers[0]
            return
        self._room[:, bins] -= wanted[:, None] * numbers

    def fits(self, wanted: Vector, allowed: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
        """How many such pods, at most ``most``, go into each bin where they are ``allowed``."""
        room = self.room
        asked = wanted.nonzero()[0].tolist()
        open_to = allowed.copy()
        for row in asked:
            open_to &= room[row] >= wanted[row]
        numbers = open_to.astype(np.int64)
        if most > 1:
            (bins,) = open_to.nonzero()
            if bins.size:
                each = np.full(bins.size, most, dtype=np.int64)
                for row in asked:
                    np.minimum(each, room[row, bins] // wanted[row], out=each)
                numbers[bins] = each
        return numbers

    def _grow(self, rows: int) -> None:
        self._room = np.pad(self._room, ((0, 0), (0, rows - self._room.shape[1])))
        more = rows - self._site.size
        self._site = np.pad(self._site, (0, more))
        self._lot = np.pad(self._lot, (0, more), constant_values=-1)
        self._choice = np.pad(self._choice, (0, more), constant_values=-1)


def _free(node: ExistingNode, scale: Scale) -> Vector:
    free = scale.offered(node.description)
    for pod in node.pods:
        free = free - scale.wanted(pod.requirements)
    return free
