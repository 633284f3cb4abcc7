"""The cheapest blend of machines when pods may be cut in pieces: a first set of values, and a first mix of kinds.

It knows nothing of patterns, so its cost is too low where few pods fill a machine. Where many do, it is nearly true.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.shelf import Counts, Shelf, Values
from stratos.planning.packing.patterns.solver import quiet_solver


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    values: Values  # [C]
    room_prices: NDArray[np.float64]  # [K, R] what a unit of a resource costs on a machine of the kind
    machines: NDArray[np.float64]  # [K] how many of each kind, fractions and all


def blend_of(shelf: Shelf, waiting: Counts, stock: NDArray[np.int64]) -> Blend | None:
    """Solve for pods of each class on each kind, and machines of each kind with room for them. None: impossible."""
    classes, kinds = np.nonzero(np.minimum(shelf.most, waiting[:, None]))
    pieces, resources = len(classes), shelf.room.shape[1]
    class_rows, room_rows = shelf.most.shape[0], shelf.room.size
    each_kind = np.arange(len(shelf.room))

    # A column for each (class, kind) that may meet: a pod placed, room taken. Then one a kind: room brought.
    index = np.empty((pieces, 1 + resources), dtype=np.int64)
    value = np.empty((pieces, 1 + resources))
    index[:, 0], value[:, 0] = classes, 1.0
    index[:, 1:] = class_rows + kinds[:, None] * resources + np.arange(resources)
    value[:, 1:] = -shelf.weight[classes]
    brought = class_rows + each_kind[:, None] * resources + np.arange(resources)

    program = highspy.HighsLp()
    program.num_col_ = pieces + len(each_kind)
    program.num_row_ = class_rows + room_rows
    program.col_cost_ = np.concatenate([np.zeros(pieces), shelf.demand.price_usd_per_hour])
    program.col_lower_ = np.zeros(program.num_col_)
    program.col_upper_ = np.concatenate(
        [np.full(pieces, highspy.kHighsInf), np.where(stock < 0, highspy.kHighsInf, stock)]
    )
    program.row_lower_ = np.concatenate([waiting.astype(np.float64), np.zeros(room_rows)])
    program.row_upper_ = np.full(program.num_row_, highspy.kHighsInf)
    starts = np.arange(pieces + 1) * (1 + resources)
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.concatenate([starts, starts[-1] + np.arange(1, len(each_kind) + 1) * resources])
    program.a_matrix_.index_ = np.concatenate([index.ravel(), brought.ravel()])
    program.a_matrix_.value_ = np.concatenate([value.ravel(), shelf.room.ravel()])
    solver = quiet_solver()
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    duals = np.maximum(np.array(solution.row_dual), 0.0)
    return Blend(
        values=duals[:class_rows],
        room_prices=duals[class_rows:].reshape(shelf.room.shape),
        machines=np.maximum(np.array(solution.col_value)[pieces:], 0.0),
    )
