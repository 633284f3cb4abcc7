"""Fill one machine: the most valuable pods it can hold, and how valuable any filling can be at most.

Values per pod come from the master program (its dual prices). The fractional optimum bounds all fillings from above;
the filling itself starts from its whole pods, goes on greedily, and is improved by exchanging one pod for another.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.shelf import Counts, Shelf, Values
from stratos.planning.packing.patterns.solver import quiet_solver

MOST_EXCHANGES = 12  # few more follow, and each costs a look at all pairs
FEW_PODS = 10  # on a machine: then a bad choice weighs, and good pairs are worth looking for
PARTNERS = 48  # classes that pairs are made of
FULL = 0.999  # of the fractional optimum: not worth any more trouble
REFRESHED_AT_ONCE = 4
DECIDING = 1 + 1e-4  # kinds whose bound is higher than this times the highest one known are looked at
TINY = 1e-12


class Knapsacks:
    """One fractional knapsack a kind, made when it is first wanted and solved again as values change."""

    def __init__(self, shelf: Shelf, effort: Effort) -> None:
        self.effort = effort
        self._shelf = shelf
        self._prices = np.zeros_like(shelf.room)  # [K, R] what a unit of a resource was worth when last asked
        self._fractional: dict[int, _FractionalKnapsack] = {}

    def worth_at_most(self, values: Values, waiting: Counts) -> NDArray[np.float64]:
        """An upper bound of the value one machine of each kind can hold.

        Any prices of resources prove a bound, those of another kind mostly a good one; so only the kinds that would
        decide are looked at afresh.
        """
        cost = np.maximum(self._shelf.demand.price_usd_per_hour, TINY)
        most = np.minimum(self._shelf.most, waiting[:, None])
        bound = self._bound(values, most)
        fresh = np.zeros(len(bound), dtype=np.bool_)
        while not fresh.all():
            stale = np.where(fresh, -1.0, bound / cost)
            threshold = max(float((bound / cost)[fresh].max(initial=0.0)), TINY) * DECIDING
            kinds = np.argsort(-stale, kind="stable")[:REFRESHED_AT_ONCE]
            kinds = kinds[stale[kinds] > threshold]
            if not kinds.size:
                break
            for kind in kinds.tolist():
                self._solve(kind, values, waiting)
                self._lend(kind, bound, values, most)
            fresh[kinds] = True
        return bound

    def _lend(self, kind: int, bound: Values, values: Values, most: NDArray[np.int64]) -> None:
        """Let all kinds take over the prices found for one, where they prove more. Changes ``bound``."""
        prices = self._prices[kind]
        proved = self._shelf.room @ prices + np.maximum(values - self._shelf.weight @ prices, 0.0) @ most
        better = proved < bound
        self._prices[better] = prices
        bound[better] = proved[better]

    def promised(self, values: Values, waiting: Counts) -> NDArray[np.float64]:
        """Such a bound from the prices as they are: looser, and next to nothing to compute."""
        return self._bound(values, np.minimum(self._shelf.most, waiting[:, None]))

    def fill(self, kind: int, values: Values, waiting: Counts) -> Counts:
        """A good filling of one machine: pods of each class, none of them more than ``waiting``."""
        shelf = self._shelf
        requests = shelf.demand.requests
        self.effort.spend_on_filling(len(values))
        taken, optimum = self._solve(kind, values, waiting)
        most = np.minimum(shelf.most[:, kind], waiting)
        classes = np.flatnonzero(most)
        # The best first: worth most for the resources it takes; of equals the larger, since small ones fill gaps.
        rate = values[classes] / np.maximum(shelf.weight[classes] @ self._prices[kind], TINY)
        order = classes[np.lexsort((classes, -shelf.weight[classes].sum(axis=1), -rate))]
        if any(shelf.rivals[c] for c in order.tolist()):
            order = _without_rivals(shelf, order)
            taken = np.zeros_like(taken)
        left = shelf.demand.capacity[kind] - taken @ requests
        if (left < 0).any():  # the solver's arithmetic is not exact
            taken = np.zeros_like(taken)
            left = shelf.demand.capacity[kind].copy()
        _fill_in_order(requests, most, order, taken, left)
        if shelf.demand.apart or values @ taken >= optimum * FULL:
            return taken
        _exchange(requests, values, most, taken, left)
        if taken.sum() <= FEW_PODS and values @ taken < optimum * FULL:
            _exchange_pairs(requests, values, values - shelf.weight @ self._prices[kind], most, taken, left)
        return taken

    def _solve(self, kind: int, values: Values, waiting: Counts) -> tuple[Counts, float]:
        if kind not in self._fractional:
            self._fractional[kind] = _FractionalKnapsack(self._shelf, kind)
        self._prices[kind], whole_pods, optimum = self._fractional[kind].solve(values, waiting)
        return whole_pods, optimum

    def _bound(self, values: Values, most: NDArray[np.int64]) -> NDArray[np.float64]:
        surplus = np.maximum(values[:, None] - self._shelf.weight @ self._prices.T, 0.0)
        bound: NDArray[np.float64] = (self._prices * self._shelf.room).sum(axis=1) + (surplus * most).sum(axis=0)
        return bound


class _FractionalKnapsack:
    def __init__(self, shelf: Shelf, kind: int) -> None:
        self._classes = np.flatnonzero(shelf.most[:, kind]).astype(np.int32)
        self._most = shelf.most[self._classes, kind]
        weight = shelf.weight[self._classes]
        classes, resources = weight.shape
        self._columns = np.arange(classes, dtype=np.int32)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = classes, resources
        program.sense_ = highspy.ObjSense.kMaximize
        program.col_cost_ = program.col_lower_ = program.col_upper_ = np.zeros(classes)
        program.row_lower_ = np.full(resources, -highspy.kHighsInf)
        program.row_upper_ = shelf.room[kind]
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.arange(0, classes * resources + 1, max(classes, 1))
        program.a_matrix_.index_ = np.tile(self._columns, resources)
        program.a_matrix_.value_ = np.ascontiguousarray(weight.T).ravel()
        self._solver: Any = quiet_solver()
        self._solver.passModel(program)

    def solve(self, values: Values, waiting: Counts) -> tuple[NDArray[np.float64], Counts, float]:
        """What a unit of each resource is worth, the whole pods of the fractional filling, and its value."""
        most = np.minimum(self._most, waiting[self._classes]).astype(np.float64)
        self._solver.changeColsBounds(len(self._columns), self._columns, np.zeros(len(most)), most)
        self._solver.changeColsCost(len(self._columns), self._columns, values[self._classes])
        self._solver.run()
        solution = self._solver.getSolution()
        whole_pods = np.zeros(len(values), dtype=np.int64)
        whole_pods[self._classes] = np.clip(np.floor(np.array(solution.col_value) + 1e-6), 0, most)
        optimum = float(self._solver.getInfo().objective_function_value)
        return np.maximum(np.array(solution.row_dual), 0.0), whole_pods, optimum


def _without_rivals(shelf: Shelf, order: NDArray[np.int64]) -> NDArray[np.int64]:
    kept: list[int] = []
    banned: set[int] = set()
    for c in order.tolist():
        if c not in banned:
            kept.append(c)
            banned.update(shelf.rivals[c])
    return np.array(kept, dtype=np.int64)


def _fill_in_order(
    requests: NDArray[np.int64], most: Counts, order: NDArray[np.int64], taken: Counts, left: NDArray[np.int64]
) -> None:
    """Take as many more of each class as fit, in this order. Changes ``taken`` and the room ``left``."""
    while order.size:
        more = most[order] - taken[order]
        total = (requests[order] * more[:, None]).cumsum(axis=0)
        fits = (total <= left).all(axis=1)
        whole = len(order) if fits.all() else int(fits.argmin())
        if whole:
            taken[order[:whole]] += more[:whole]
            left -= total[whole - 1]
        if whole == len(order):
            return
        c = order[whole]
        asked = requests[c]
        some = int((left[asked > 0] // asked[asked > 0]).min())
        taken[c] += some
        left -= some * asked
        order = order[whole + 1 :]
        order = order[(requests[order] <= left).all(axis=1)]


def _exchange(
    requests: NDArray[np.int64], values: Values, most: Counts, taken: Counts, left: NDArray[np.int64]
) -> None:
    """Give one pod up for a more valuable one, as long as that helps. Changes ``taken`` and ``left``."""
    for _ in range(MOST_EXCHANGES):
        inside = np.flatnonzero(taken)
        outside = np.flatnonzero(taken < most)
        if not inside.size or not outside.size:
            return
        gain = values[outside][None, :] - values[inside][:, None]
        fits = np.ones_like(gain, dtype=np.bool_)
        for asked, free in zip(requests.T, left, strict=True):
            fits &= asked[outside][None, :] <= asked[inside][:, None] + free
        gain = np.where(fits, gain, 0.0)
        out, into = divmod(int(gain.argmax()), len(outside))
        if gain[out, into] <= TINY:
            return
        taken[inside[out]] -= 1
        taken[outside[into]] += 1
        left += requests[inside[out]] - requests[outside[into]]


def _exchange_pairs(
    requests: NDArray[np.int64],
    values: Values,
    gain: Values,
    most: Counts,
    taken: Counts,
    left: NDArray[np.int64],
) -> None:
    """Give up one pod, or two, for the best two that fit then. Changes ``taken`` and ``left``."""
    for _ in range(MOST_EXCHANGES):
        partners = np.flatnonzero(taken < most)
        partners = partners[np.argsort(-gain[partners], kind="stable")[:PARTNERS]]
        come_one, come_other = _pairs(partners, most - taken)
        inside = np.flatnonzero(taken)
        if not inside.size or not come_one.size:
            return
        go_one, go_other = _pairs(inside, taken)
        come = requests[come_one] + requests[come_other]
        go = np.concatenate([requests[inside], requests[go_one] + requests[go_other]])
        given_up = np.concatenate([values[inside], values[go_one] + values[go_other]])
        better = (values[come_one] + values[come_other])[None, :] - given_up[:, None]
        for asked, free in zip(come.T, (go + left).T, strict=True):
            better[asked[None, :] > free[:, None]] = 0.0
        out, into = divmod(int(better.argmax()), len(come_one))
        if better[out, into] <= TINY:
            return
        gone = [inside[out]] if out < len(inside) else [go_one[out - len(inside)], go_other[out - len(inside)]]
        np.subtract.at(taken, gone, 1)
        np.add.at(taken, [come_one[into], come_other[into]], 1)
        left += go[out] - come[into]


def _pairs(classes: NDArray[np.int64], there: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ways to take two pods of these classes, of the same one only if two are there."""
    one, other = np.triu_indices(len(classes))
    possible = (one != other) | (there[classes[one]] > 1)
    return classes[one[possible]], classes[other[possible]]
