"""What `patterns` needs of a packing problem, as arrays: classes of pods against kinds of machines.

Only what can be said of one machine alone is here. Rules about pods on other machines are kept by whoever splits the
pods into classes (one class a zone, say), and checked on the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Demand:
    """``C`` classes of pods, ``K`` kinds of machines, ``R`` resources.

    A pod takes ``requests[c]`` of a machine that has ``capacity[k]``; ``pods[c]`` of them want a place.
    ``allowed[c, k]`` says whether such a pod may run there at all, ``most_per_machine[c]`` how many of the class one
    machine may hold (hostname anti-affinity or spread; a large number for any). ``apart`` pairs classes that may not
    share a machine. ``limit[k]`` is how many machines of the kind there are (-1: any number). A node that is there is a
    kind of price 0 and limit 1.
    """

    requests: NDArray[np.int64]  # [C, R]
    pods: NDArray[np.int64]  # [C]
    capacity: NDArray[np.int64]  # [K, R]
    price_usd_per_hour: NDArray[np.float64]  # [K]
    allowed: NDArray[np.bool_]  # [C, K]
    most_per_machine: NDArray[np.int64]  # [C]
    limit: NDArray[np.int64]  # [K]
    apart: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of kind ``kind`` holding ``counts[c]`` pods of each class in it."""

    kind: int
    counts: tuple[tuple[int, int], ...]  # (class, pods), by class, none of them 0


@dataclass(frozen=True, slots=True)
class PatternAnswer:
    """Machines that hold all the pods, at a cost no higher than that of the machines one came with."""

    machines: tuple[Machine, ...]
    cost_usd_per_hour: float
    lower_bound_usd_per_hour: float
    report: tuple[str, ...] = ()
