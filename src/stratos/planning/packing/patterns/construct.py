"""Whole machines, one after another, guided by good values per pod.

Guided so, the first machines lose next to nothing; the last ones waste room, when only awkward pods are left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.blend import blend_of
from stratos.planning.packing.patterns.knapsack import TINY, Knapsacks
from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf, Values

KINDS_TRIED = 6  # for each machine: the ones that promise most
BEARABLE_LOSS = 0.01  # of a machine's price that its pods are not worth, when a blend is followed
SHARE_AT_ONCE = 0.5  # of a blend: then what is left is looked at again


def follow_blend(shelf: Shelf, knapsacks: Knapsacks, waiting: Counts, stock: NDArray[np.int64]) -> list[Pattern] | None:
    """Take the kinds of the cheapest blend as long as they can be filled, and the best there is for the rest."""
    waiting, stock = waiting.copy(), stock.copy()
    price = shelf.demand.price_usd_per_hour
    chosen: list[Pattern] = []
    while True:
        blend = blend_of(shelf, waiting, stock)
        if blend is None:
            return None
        wanted = np.floor(np.maximum(blend.machines * SHARE_AT_ONCE, blend.machines >= 1)).astype(np.int64)
        before = len(chosen)
        while wanted.any():
            kind = int((wanted / np.maximum(blend.machines, TINY)).argmax())
            counts = knapsacks.fill(kind, blend.values, waiting)
            if not counts.any() or blend.values @ counts < price[kind] * (1 - BEARABLE_LOSS):
                wanted[kind] = 0
                continue
            times = min(_times(counts, waiting), int(wanted[kind]))
            wanted[kind] -= times
            _take(Pattern(kind, counts), times, chosen, waiting, stock)
        if len(chosen) == before:
            rest = one_by_one(shelf, knapsacks, blend.values, waiting, stock)
            return None if rest is None else chosen + rest


def one_by_one(
    shelf: Shelf, knapsacks: Knapsacks, values: Values, waiting: Counts, stock: NDArray[np.int64]
) -> list[Pattern] | None:
    """Take the machine that gives most for its price, until no pod waits. None: the kinds ran out."""
    waiting, stock = waiting.copy(), stock.copy()
    chosen: list[Pattern] = []
    values = np.maximum(values, values.max(initial=0.0) * 1e-6 + TINY)  # a pod that came for free wants a place too
    while waiting.any():
        pattern = _best_filling(shelf, knapsacks, values, waiting, stock)
        if pattern is None:
            return None
        _take(pattern, _times(pattern.counts, waiting), chosen, waiting, stock)
    return chosen


def in_turns(
    shelf: Shelf, knapsacks: Knapsacks, values: Values, waiting: Counts, stock: NDArray[np.int64], *, turns: int
) -> list[list[Pattern]]:
    """One by one, several times: pods that ended on a machine that wastes room are worth more the next time."""
    price = shelf.demand.price_usd_per_hour
    answers: list[list[Pattern]] = []
    while len(answers) < turns and knapsacks.effort.has_left():
        answer = one_by_one(shelf, knapsacks, values, waiting, stock)
        if answer is None:
            break
        answers.append(answer)
        paid = np.zeros(len(values))  # by class: for its pods, as multiples of what they are worth
        for machine in answer:
            paid += machine.counts * price[machine.kind] / max(float(values @ machine.counts), TINY)
        values = values * (1 + paid / np.maximum(waiting, 1)) / 2
    return answers


def _best_filling(
    shelf: Shelf, knapsacks: Knapsacks, values: Values, waiting: Counts, stock: NDArray[np.int64]
) -> Pattern | None:
    price = np.maximum(shelf.demand.price_usd_per_hour, TINY)
    promised = np.where(stock != 0, knapsacks.promised(values, waiting), 0.0) / price
    best: Pattern | None = None
    best_rate = 0.0
    for kind in np.argsort(-promised, kind="stable")[:KINDS_TRIED].tolist():
        if promised[kind] <= best_rate:
            break
        counts = knapsacks.fill(kind, values, waiting)
        rate = float(values @ counts) / price[kind]
        if rate > best_rate:
            best, best_rate = Pattern(kind, counts), rate
    return best


def _times(counts: Counts, waiting: Counts) -> int:
    """How many such machines the waiting pods fill."""
    held = counts > 0
    return int((waiting[held] // counts[held]).min())


def _take(pattern: Pattern, times: int, chosen: list[Pattern], waiting: Counts, stock: NDArray[np.int64]) -> None:
    if stock[pattern.kind] >= 0:
        times = min(times, int(stock[pattern.kind]))
        stock[pattern.kind] -= times
    chosen.extend([pattern] * times)
    waiting -= times * pattern.counts
