"""From a fractional mix of patterns to whole machines: settle a part, look at what is left afresh, and so on.

Rounding a whole mix at once would leave many half-used machines. Settled are the patterns used most; then column
generation goes on for the remaining pods, which draws the patterns that they, and no others, can fill.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.construct import one_by_one
from stratos.planning.packing.patterns.generation import Generated, generate
from stratos.planning.packing.patterns.knapsack import TINY, Knapsacks
from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf

ROUNDS_IN_BETWEEN = 3
FINISHED_BELOW = 0.1  # of all pods, by value: what is left is also tried one by one
BEARABLE_LOSS = 0.005  # of a machine's price that its pods are not worth
MANY = 4  # machines of a pattern: some of them stay in any case …
SURE = 0.8  # … namely this share
WORTH_KEEPING = 0.9  # of its price that a clipped pattern must still hold to be kept


def round_to_machines(
    shelf: Shelf,
    knapsacks: Knapsacks,
    generated: Generated,
    waiting: Counts,
    stock: NDArray[np.int64],
    *,
    settled_at_once: float,
) -> list[Pattern] | None:
    """Settle a share of what is left, by value, each time. None: the kinds ran out."""
    waiting, stock = waiting.copy(), stock.copy()
    settled: list[Pattern] = []
    best: list[Pattern] | None = None
    total = float(generated.values @ waiting)
    while waiting.any():
        is_last = not knapsacks.effort.has_left()
        if is_last:
            settled.extend(_settle(shelf, generated, waiting, stock, 1.0))
        rest: list[Pattern] | None = None
        if is_last or float(generated.values @ waiting) < FINISHED_BELOW * total:
            rest = one_by_one(shelf, knapsacks, generated.solution.values, waiting, stock)
        if rest is not None and (best is None or shelf.cost(settled + rest) < shelf.cost(best)):
            best = settled + rest
        if is_last:
            return best
        news = _settle(shelf, generated, waiting, stock, settled_at_once)
        settled.extend(news)
        if not waiting.any():
            break
        again = generate(
            shelf,
            knapsacks,
            waiting,
            stock,
            patterns=[*_clipped(shelf, generated, waiting), *(rest if rest is not None else ())],
            values=generated.values,
            most_rounds=ROUNDS_IN_BETWEEN,
            good_enough=0.001,
        )
        if again is None:
            return best
        generated = again
    if best is None or shelf.cost(settled) < shelf.cost(best):
        best = settled
    return best


def _settle(
    shelf: Shelf, generated: Generated, waiting: Counts, stock: NDArray[np.int64], share: float
) -> list[Pattern]:
    """Take the patterns used most, as often as they are used. Changes ``waiting`` and ``stock``."""
    values = generated.solution.values
    amounts = generated.solution.amounts
    enough = share * float(values @ waiting)
    taken: list[Pattern] = []
    worth = 0.0
    for i in np.argsort(-amounts, kind="stable").tolist():
        is_enough = bool(taken) and worth >= enough
        if amounts[i] < (MANY if is_enough else TINY):
            break
        pattern = generated.master.patterns[i]
        counts = np.minimum(pattern.counts, waiting)
        if stock[pattern.kind] == 0 or not counts.any():
            continue
        loss = 1 - float(values @ counts) / max(shelf.demand.price_usd_per_hour[pattern.kind], 1e-12)
        if taken and loss > BEARABLE_LOSS:
            continue
        held = counts > 0
        wanted = int(SURE * amounts[i]) if is_enough else max(1, int(amounts[i]))
        times = min(wanted, int((waiting[held] // counts[held]).min()))
        if stock[pattern.kind] > 0:
            times = min(times, int(stock[pattern.kind]))
            stock[pattern.kind] -= times
        taken.extend([Pattern(pattern.kind, counts)] * times)
        waiting -= times * counts
        worth += times * float(values @ counts)
    return taken


def _clipped(shelf: Shelf, generated: Generated, waiting: Counts) -> list[Pattern]:
    """The patterns as far as they can still be filled; the ones in use always, others only when that is nearly all."""
    kept = []
    price = shelf.demand.price_usd_per_hour
    # Patterns that came after the solution are not in use, and not looked at.
    for pattern, amount in zip(generated.master.patterns, generated.solution.amounts.tolist(), strict=False):
        counts = np.minimum(pattern.counts, waiting)
        if counts.any() and (amount > 0 or float(generated.values @ counts) >= WORTH_KEEPING * price[pattern.kind]):
            kept.append(Pattern(pattern.kind, counts))
    return kept
