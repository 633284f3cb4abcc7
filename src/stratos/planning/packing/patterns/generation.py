"""Column generation: find the patterns that a cheapest mix is made of, and prove what no mix can undercut.

The master program values the pods by the patterns it knows; whatever machine could hold pods worth more than its price
is a pattern it should know. No value is trusted alone: the values asked about lie between the master's and the best
ones so far (smoothing), because the master's swing wildly as long as it knows little. And of one set of values a whole
family of patterns is drawn that share no pods, so that every class is seen to in every round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.knapsack import Knapsacks
from stratos.planning.packing.patterns.master import Master, MasterSolution
from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf, Values
from stratos.planning.packing.patterns.solver import SAFETY

SMOOTHING = 0.5  # how much of the best values so far goes into those asked about
WORTH_MORE = 1 + 1e-6  # than its price, and a pattern is of interest
PATIENCE = 4  # rounds …
STALLING = 0.0007  # … in which the cost falls by no more than this: what follows is not worth its time
FAMILY = 400  # patterns in one round, at most


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    master: Master
    solution: MasterSolution
    values: Values  # the best found: those that prove the bound
    bound_usd_per_hour: float


def generate(
    shelf: Shelf,
    knapsacks: Knapsacks,
    waiting: Counts,
    stock: NDArray[np.int64],
    *,
    patterns: list[Pattern],
    values: Values,
    most_rounds: int,
    good_enough: float,
) -> Generated | None:
    """Start from patterns that cover the pods, and from some values. Ends when the gap is closed, or nothing is new."""
    master = Master(shelf, waiting, stock)
    master.add(patterns)
    no_scarcity = np.zeros(len(shelf.room))
    worth = knapsacks.worth_at_most(values, waiting)
    bound, best = _bound(shelf, worth, values, waiting, stock)
    master.add(_family(shelf, knapsacks, worth, values, no_scarcity, waiting))
    solution = master.solve()
    if solution is None:
        return None
    costs = [solution.cost_usd_per_hour]
    for _ in range(most_rounds):
        knapsacks.effort.spend_on_master(len(waiting), len(master.patterns))
        if costs[-1] <= bound * (1 + good_enough) or _stalls(costs) or knapsacks.effort.is_spent:
            break
        for share in (SMOOTHING, 0.0):
            asked = share * best + (1 - share) * solution.values
            worth = knapsacks.worth_at_most(asked, waiting)
            proved, scaled = _bound(shelf, worth, asked, waiting, stock)
            if proved > bound:
                bound, best = proved, scaled
            if master.add(_family(shelf, knapsacks, worth, asked, solution.scarcity, waiting)):
                break
        else:
            break
        solution = master.solve()
        assert solution is not None, "more patterns cover what fewer did"
        costs.append(solution.cost_usd_per_hour)
    return Generated(master, solution, best, bound)


def _stalls(costs: list[float]) -> bool:
    return len(costs) > PATIENCE and costs[-1] > costs[-1 - PATIENCE] * (1 - STALLING) and costs[-1] < costs[0]


def _family(
    shelf: Shelf,
    knapsacks: Knapsacks,
    worth: NDArray[np.float64],
    values: Values,
    scarcity: NDArray[np.float64],
    waiting: Counts,
) -> list[Pattern]:
    """Patterns worth more than their price, kind after kind, each of pods that the ones before left."""
    cost = (shelf.demand.price_usd_per_hour + scarcity) * WORTH_MORE
    rate = worth / np.maximum(cost, 1e-12)
    left = waiting.copy()
    family: list[Pattern] = []
    kinds = [kind for kind in np.argsort(-rate, kind="stable").tolist() if worth[kind] > cost[kind]]
    while kinds and len(family) < FAMILY:
        again = []
        for kind in kinds:
            counts = knapsacks.fill(kind, values, left)
            if values @ counts > cost[kind]:
                family.append(Pattern(kind, counts))
                left = left - counts
                again.append(kind)
        kinds = again
    return family


def _bound(
    shelf: Shelf, worth: NDArray[np.float64], values: Values, waiting: Counts, stock: NDArray[np.int64]
) -> tuple[float, Values]:
    """What these values prove, once scaled so that no kind that can be had at will holds more than its price."""
    price = shelf.demand.price_usd_per_hour
    at_will = (stock < 0) & (worth > 1e-12)
    scale = float((price[at_will] / worth[at_will]).min(initial=np.inf))
    if not np.isfinite(scale):
        scale = 1.0
    bonus = np.where(stock > 0, stock * np.maximum(worth * scale - price, 0.0), 0.0).sum()
    bound = float(scale * (values @ waiting) - bonus)
    return max(0.0, bound) * SAFETY, values * scale
