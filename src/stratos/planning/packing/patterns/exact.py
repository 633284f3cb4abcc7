"""Few pods, as in most calls: list every pattern there is, and let the integer program choose. Its answer is the best,
unless the effort ends before the proof.

Listed are only patterns that no more pod fits into, on kinds that no cheaper one could replace.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.effort import Effort
from stratos.planning.packing.patterns.master import Master, WholeSolution
from stratos.planning.packing.patterns.shelf import Pattern, Shelf

MOST_COUNTS = 4096  # ways to choose some of the pods: twelve different ones, or sixty-four pairs of two classes
MOST_PATTERNS = 1500


def solve_exactly(shelf: Shelf, start: list[Pattern], effort: Effort) -> WholeSolution | None:
    """None: there are too many patterns to list. Otherwise no worse than ``start``."""
    patterns = _all_patterns(shelf)
    if patterns is None:
        return None
    master = Master(shelf, shelf.demand.pods, shelf.demand.limit)
    master.add(patterns)
    return master.solve_whole(start, most_nodes=effort.nodes_left(), relative_gap=0.0)


def _all_patterns(shelf: Shelf) -> list[Pattern] | None:
    demand = shelf.demand
    shape = tuple(int(pods) + 1 for pods in demand.pods)
    if math.prod(shape) > MOST_COUNTS:
        return None
    counts = np.indices(shape).reshape(len(shape), -1).T  # [N, C] every way to choose some of the pods
    lawful = _lawful(shelf, counts)
    load = counts @ demand.requests
    held_for_less = np.zeros(len(counts), dtype=np.bool_)  # by a kind that can be had at will
    patterns: list[Pattern] = []
    # Of equal price those first that can be had at will: they make limited ones superfluous.
    for kind in np.lexsort((demand.limit >= 0, demand.price_usd_per_hour)).tolist():
        held = lawful & (load <= demand.capacity[kind]).all(axis=1) & (counts <= shelf.most[:, kind]).all(axis=1)
        new = np.flatnonzero(held & ~held_for_less & ~_can_take_more(held.reshape(shape)).ravel())
        patterns.extend(Pattern(kind, counts[i]) for i in new.tolist() if i)
        if len(patterns) > MOST_PATTERNS:
            return None
        if demand.limit[kind] < 0:
            held_for_less |= held
    return patterns


def _lawful(shelf: Shelf, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    lawful = np.ones(len(counts), dtype=np.bool_)
    for a, b in shelf.demand.apart:
        lawful &= (counts[:, a] == 0) | (counts[:, b] == 0)
    return lawful


def _can_take_more(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By number of pods of each class: whether one pod more of some class is held as well."""
    more = np.zeros_like(held)
    for axis in range(held.ndim):
        here, there = [slice(None)] * held.ndim, [slice(None)] * held.ndim
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        more[tuple(here)] |= held[tuple(there)]
    return more
