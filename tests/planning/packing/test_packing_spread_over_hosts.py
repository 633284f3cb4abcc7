"""Pods that are spread over hosts and share them with those that they count, on machines that patterns chose."""

from __future__ import annotations

import random

from planning.packing.packing_builders import to_place
from stratos.cli.bench.sets import distinct_set
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import PackingProblem


def test_mixed_pods_of_which_no_two_are_alike_cost_little_more_than_their_bound() -> None:
    """What patterns found is worth nothing if a rule then sends its pods to machines of their own."""
    given = distinct_set(400, random.Random(42))
    problem = PackingProblem(tuple(map(to_place, given.pods)), tuple(given.candidates[: 6 * 24]))

    first, best = (pack(problem, effort=effort, allowance_seconds=2.0) for effort in (Effort.FAST, Effort.BEST))

    assert best.unplaced == ()
    assert len(best.machines) >= 50
    assert best.bound == "patterns"
    assert best.cost_usd_per_hour <= min(first.cost_usd_per_hour, 1.02 * best.lower_bound_usd_per_hour)
