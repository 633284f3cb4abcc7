"""A lower bound by amounts alone: whatever the machines, they must hold in sum what the pods on them want.

The bound is the best price that can be put on each resource so that no candidate is worth more than it costs. A linear
program finds these prices; what it finds is scaled until it is true of every candidate, so that no tolerance of a
solver is part of the claim.
"""

from __future__ import annotations

import highspy
import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.demand import Demand


def aggregate_bound(needs: Demand) -> float:
    """What machines cost at least that hold, in sum, what all pods want in sum."""
    demand = needs.pods @ needs.requests
    rows = demand > 0
    if not rows.any():
        return 0.0
    # In units of the whole demand, so that bytes and devices weigh alike for the solver.
    share = needs.capacity[:, rows] / demand[rows]
    prices = needs.price_usd_per_hour
    worth = _best_worth(share, prices)
    asked = float((share @ worth / np.where(prices > 0, prices, 1e-300)).max())
    return float(worth.sum() / max(asked, 1.0))


def _best_worth(share: NDArray[np.float64], prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The worth of each resource that makes the whole demand worth most, while no candidate is worth its price more."""
    candidates, resources = share.shape
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = resources, candidates
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_ = np.ones(resources)
    program.col_lower_ = np.zeros(resources)
    program.col_upper_ = np.full(resources, highspy.kHighsInf)
    program.row_lower_ = np.full(candidates, -highspy.kHighsInf)
    program.row_upper_ = prices
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.arange(0, share.size + 1, resources, dtype=np.int32)
    program.a_matrix_.index_ = np.tile(np.arange(resources, dtype=np.int32), candidates)
    program.a_matrix_.value_ = share.ravel()
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return np.zeros(resources)  # nothing proved
    return np.maximum(np.array(solver.getSolution().col_value, dtype=np.float64), 0.0)
