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

from stratos.planning.packing.patterns.knapsack import TINY, Knapsacks
from stratos.planning.packing.patterns.master import Master, MasterSolution
from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf, Values
from stratos.planning.packing.patterns.solver import SAFETY
from stratos.planning.packing.patterns.tables import Tables

SMOOTHING = 0.5  # how much of the best values so far goes into those asked about
WORTH_MORE = 1 + 1e-6  # than its price, and a pattern is of interest
NEARLY = 0.98  # of its price, and a pattern is of interest before anything better is known
TASTES = (0.0, 0.1, -0.1)  # the first families: as values say, with larger pods worth more, and with smaller ones
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
    effort_to_leave: float = 0.0,
) -> Generated | None:
    """Start from patterns that cover the pods, and from some values.

    Ends when the gap is closed, nothing is new, or no more than a share of the effort is left. None: the patterns do
    not cover the pods within the limits.
    """
    master = Master(shelf, waiting, stock)
    master.add(patterns)
    size = shelf.weight.max(axis=1, initial=0.0)
    worth = knapsacks.worth_at_most(values, waiting)
    bound, best = bound_of(shelf, worth, values, waiting, stock)
    price = shelf.demand.price_usd_per_hour
    for taste in TASTES:
        flavoured = values * (1 + taste * size)
        master.add(_family(shelf, knapsacks, flavoured, price * NEARLY, waiting))
    solution = master.solve()
    if solution is None:
        return None
    costs = [solution.cost_usd_per_hour]
    for _ in range(most_rounds):
        knapsacks.effort.spend_on_master(len(waiting), len(master.patterns))
        if costs[-1] <= bound * (1 + good_enough) or _stalls(costs) or not knapsacks.effort.has_left(effort_to_leave):
            break
        for share in (SMOOTHING, 0.0):
            asked = share * best + (1 - share) * solution.values
            worth = knapsacks.worth_at_most(asked, waiting)
            proved, scaled = bound_of(shelf, worth, asked, waiting, stock)
            if proved > bound:
                bound, best = proved, scaled
            cost = (price + solution.scarcity) * WORTH_MORE
            if master.add(_family(shelf, knapsacks, asked, cost, waiting)):
                break
        else:
            break
        better = master.solve()
        if better is None:  # more patterns cover what fewer did: the solver lost its footing
            break
        solution = better
        costs.append(solution.cost_usd_per_hour)
    return Generated(master, solution, best, bound)


def deepen(
    shelf: Shelf,
    knapsacks: Knapsacks,
    tables: Tables,
    generated: Generated,
    waiting: Counts,
    stock: NDArray[np.int64],
    *,
    good_enough: float,
    effort_to_leave: float,
) -> Generated:
    """Go on with tables of fillings, where the fast ones find nothing more: better patterns, and a better bound.

    Values come from a master program that also knows the fillings that are a little too much: only so do they get to
    be of no worth.
    """
    effort, price = knapsacks.effort, shelf.demand.price_usd_per_hour
    relaxed = Master(shelf, waiting, stock)
    relaxed.add(generated.master.patterns)
    solution = generated.solution
    bound, best = generated.bound_usd_per_hour, generated.values
    while solution.cost_usd_per_hour > bound * (1 + good_enough) and effort.has_left(effort_to_leave):
        for share in (SMOOTHING, 0.0):
            asked = share * best + (1 - share) * solution.values
            fillings = tables.fill(asked, (price + solution.scarcity) * WORTH_MORE, waiting)
            worth = np.minimum(knapsacks.worth_at_most(asked, waiting), fillings.worth)
            proved, scaled = bound_of(shelf, worth, asked, waiting, stock)
            if proved > bound:
                bound, best = proved, scaled
            generated.master.add(fillings.patterns)
            if relaxed.add(fillings.relaxed):
                break
        else:
            break
        effort.spend_on_master(len(waiting), len(relaxed.patterns))
        better = relaxed.solve()
        if better is None:
            break
        solution = better
    real = generated.master.solve()
    return Generated(generated.master, generated.solution if real is None else real, best, bound)


def _stalls(costs: list[float]) -> bool:
    return len(costs) > PATIENCE and costs[-1] > costs[-1 - PATIENCE] * (1 - STALLING) and costs[-1] < costs[0]


def _family(
    shelf: Shelf, knapsacks: Knapsacks, values: Values, cost: NDArray[np.float64], waiting: Counts
) -> list[Pattern]:
    """Patterns worth more than they cost, kind after kind, each of pods that the ones before left."""
    promised = knapsacks.promised(values, waiting)
    order = np.argsort(-promised / np.maximum(cost, TINY), kind="stable")
    kinds = [kind for kind in order.tolist() if promised[kind] > cost[kind]]
    left = waiting.copy()
    family: list[Pattern] = []
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


def bound_of(
    shelf: Shelf, worth: NDArray[np.float64], values: Values, waiting: Counts, stock: NDArray[np.int64]
) -> tuple[float, Values]:
    """What these values prove, once scaled so that no kind that can be had at will holds more than its price."""
    price = shelf.demand.price_usd_per_hour
    at_will = (stock < 0) & (worth > TINY)
    scale = float((price[at_will] / worth[at_will]).min(initial=np.inf))
    if not np.isfinite(scale):
        scale = 1.0
    bonus = np.where(stock > 0, stock * np.maximum(worth * scale - price, 0.0), 0.0).sum()
    bound = float(scale * (values @ waiting) - bonus)
    return max(0.0, bound) * SAFETY, values * scale
