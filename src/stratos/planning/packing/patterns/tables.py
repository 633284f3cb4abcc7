"""Fill machines of every kind at once, where few pods fill one: dynamic programming over what pods ask for most.

A table says, for a machine of every size in whole steps, what the most valuable pods in it are worth. What pods ask for
is rounded down to steps, and rules that the table knows nothing of are left out: it never says too little, as a bound
has to be. So a filling may be a little too much for its machine; one for a machine a step or two smaller mostly is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf, Values

MOST_CELLS = 2**16
MOST_CELLS_AND_STEPS = 2**28  # of a table and of its making: bits to remember what was taken
MOST_RESOURCES = 3
WORTH_A_DIMENSION = 0.5  # of a resource of all machines that the pods on them take
SHARP = 40  # steps that a pod asks for in the mean: then they say nearly what amounts do
MOST_TABLES = 4  # one for each set of classes that some kinds are open to
SMALLER = 3  # how many sizes are tried for a filling that really fits
TINY = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Fillings:
    worth: Values  # [K] no filling of a machine of this kind is worth more; infinite where there is no table
    relaxed: list[Pattern]  # worth more than they cost, and a little too much for the machine perhaps
    patterns: list[Pattern]  # those that fit


class Tables:
    """The tables of a shelf: for kinds no larger than those that ``machines`` is made of, a number for each kind."""

    def __init__(
        self,
        shelf: Shelf,
        effort: Effort,
        waiting: Counts,
        machines: NDArray[np.float64],
        *,
        most_cells: int = MOST_CELLS,
    ) -> None:
        self._shelf = shelf
        self._effort = effort
        demand = shelf.demand
        pressure = (waiting @ demand.requests) / np.maximum(machines @ demand.capacity, 1)
        ranked = np.argsort(-pressure, kind="stable")[:MOST_RESOURCES]
        scarce = ranked[pressure[ranked] >= min(WORTH_A_DIMENSION, pressure.max(initial=0.0))]
        requests, capacity = demand.requests[:, scarce], demand.capacity[:, scarce]
        top = capacity[machines > TINY].max(axis=0, initial=1)
        rounds = sum(most.bit_length() for most in shelf.most.max(axis=1, initial=0).tolist())
        cells = min(most_cells, MOST_CELLS_AND_STEPS // max(1, rounds))
        self._step = _steps(requests, top, cells)
        self._weight = requests // self._step
        self._room = capacity // self._step
        typical = waiting @ requests / max(1, int(waiting.sum()))
        rounded = (requests % self._step).any(axis=0)
        self.are_sharp = bool((~rounded | (typical >= SHARP * self._step)).all())
        self._rounded = rounded.astype(np.int64)  # 1 where steps are coarser than requests
        in_reach = np.flatnonzero((capacity <= top).all(axis=1))
        self._groups = self._kinds_by_classes(in_reach) if scarce.size else []

    def _kinds_by_classes(self, kinds: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Kinds that are open to the same classes, as far as these fit: one table does for all their sizes."""
        demand = self._shelf.demand
        groups: list[tuple[list[int], NDArray[np.bool_], NDArray[np.bool_]]] = []
        for kind in kinds.tolist():
            fits, allowed = (demand.requests <= demand.capacity[kind]).all(axis=1), demand.allowed[:, kind]
            for members, known, is_open in groups:
                if not (known & fits & (is_open != allowed)).any():
                    members.append(kind)
                    known |= fits
                    is_open |= fits & allowed
                    break
            else:
                groups.append(([kind], fits, fits & allowed))
        largest = sorted((members for members, _, _ in groups), key=lambda members: (-len(members), members[0]))
        return [np.array(members, dtype=np.int64) for members in largest[:MOST_TABLES]]

    def fill(self, values: Values, cost: NDArray[np.float64], waiting: Counts) -> Fillings:
        """What each kind holds at most, and for each class the best filling with a pod of it in it."""
        fillings = Fillings(np.full(len(cost), np.inf), [], [])
        for kinds in self._groups:
            most = np.minimum(self._shelf.most[:, kinds].max(axis=1), waiting)
            table = _Table(self._weight, most, values, self._room[kinds].max(axis=0))
            self._effort.spend_on_table(table.work)
            fillings.worth[kinds] = table.worth(self._room[kinds])
            for number, pattern in self._drawn(table, kinds, values, cost, most):
                if number == 0:
                    fillings.relaxed.append(pattern)
                if self._shelf.holds(pattern):
                    fillings.patterns.append(pattern)
        return fillings

    def _drawn(
        self, table: _Table, kinds: NDArray[np.int64], values: Values, cost: NDArray[np.float64], most: Counts
    ) -> Iterator[tuple[int, Pattern]]:
        """Patterns worth more than they cost, each with how many steps smaller than its machine it was made."""
        room, price = self._room[kinds], cost[kinds]
        for smaller in range(SMALLER if self._rounded.any() else 1):
            smaller_room = np.maximum(room - smaller * self._rounded, 0)
            beside = smaller_room[None, :, :] - self._weight[:, None, :]  # what is left beside a pod of each class
            possible = (beside >= 0).all(axis=2) & (self._shelf.most[:, kinds] > 0) & (most > 0)[:, None]
            gain = np.where(possible, table.worth(np.maximum(beside, 0)) + values[:, None] - price, -np.inf)
            best = gain.argmax(axis=1)
            classes = np.flatnonzero(gain.max(axis=1) > TINY)
            by_class = table.filled(beside[classes, best[classes]])
            by_class[np.arange(len(classes)), classes] += 1
            by_kind = table.filled(smaller_room)
            chosen = np.concatenate([by_class, by_kind])
            np.minimum(chosen, most, out=chosen)
            of_kind = np.concatenate([kinds[best[classes]], kinds])
            for at in np.flatnonzero(chosen @ values > cost[of_kind] + TINY).tolist():
                yield smaller, Pattern(int(of_kind[at]), chosen[at])


def _steps(requests: NDArray[np.int64], top: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """How much of each resource a step is: as much as all requests are multiples of, or more to have fewer cells."""
    steps: NDArray[np.int64] = np.maximum(np.gcd.reduce(requests, axis=0), 1)
    resources = np.argsort(top // steps, kind="stable")
    for done, resource in enumerate(resources.tolist()):
        number = max(1, int(cells ** (1 / (len(resources) - done))) - 1)
        steps[resource] = max(int(steps[resource]), -(-int(top[resource]) // number))
        cells //= int(top[resource] // steps[resource]) + 1
    return steps


class _Table:
    def __init__(self, weight: NDArray[np.int64], most: Counts, values: Values, top: NDArray[np.int64]) -> None:
        self._classes = len(values)
        shape = tuple((top + 1).tolist())
        self._strides = np.array([int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))], dtype=np.int64)
        self.work = 0  # cells looked at
        best = np.zeros(shape)
        self._taken: list[tuple[int, int, NDArray[np.uint8]]] = []  # class, pods of it, where it pays to take them
        for c in np.flatnonzero((values > 0) & (most > 0)).tolist():
            for pods in _doubling(int(most[c])):
                taken = weight[c] * pods
                if (taken > top).any():
                    break
                with_them = best[tuple(slice(None, end) for end in (top + 1 - taken).tolist())] + pods * values[c]
                place = tuple(slice(begin, None) for begin in taken.tolist())
                pays = np.zeros(shape, dtype=np.bool_)
                np.greater(with_them, best[place], out=pays[place])
                np.maximum(with_them, best[place], out=best[place])
                self._taken.append((c, pods, np.packbits(pays.ravel())))
                self.work += with_them.size
        self._steps = weight @ self._strides
        self._best = best.ravel()

    def worth(self, room: NDArray[np.int64]) -> NDArray[np.float64]:
        """The value of the best filling for each row of steps."""
        worth: NDArray[np.float64] = self._best[room @ self._strides]
        return worth

    def filled(self, room: NDArray[np.int64]) -> NDArray[np.int64]:
        """That filling: pods of each class, a row for each."""
        cell = room @ self._strides
        counts = np.zeros((len(room), self._classes), dtype=np.int64)
        for c, pods, where in reversed(self._taken):
            pays = ((where[cell >> 3] >> (7 - (cell & 7))) & 1).astype(np.int64)
            counts[:, c] += pods * pays
            cell = cell - pods * pays * self._steps[c]
        return counts


def _doubling(number: int) -> Iterator[int]:
    """Parts of a number, of which some together come to any smaller one."""
    part = 1
    while number:
        part = min(part, number)
        yield part
        number -= part
        part *= 2
