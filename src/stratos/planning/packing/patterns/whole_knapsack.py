"""The integer program of one machine: its most valuable filling, and a proof that there is none better."""

from __future__ import annotations

import highspy
import numpy as np

from stratos.planning.packing.patterns.shelf import Counts, Shelf, Values
from stratos.planning.packing.patterns.solver import HOPELESS_SECONDS, quiet_solver

MOST_NODES = 200
RELATIVE_GAP = 0.001


def best_filling(shelf: Shelf, kind: int, values: Values, waiting: Counts) -> tuple[Counts, float, int]:
    """Counts by class, a bound of the value of any filling, and the number of iterations it took."""
    most = np.minimum(shelf.most[:, kind], waiting)
    classes = np.flatnonzero(most)
    rivals = [(a, b) for a in classes.tolist() for b in shelf.rivals[a] if a < b and most[b]]
    place = {c: i for i, c in enumerate(classes.tolist())}
    pods, resources = len(classes), shelf.room.shape[1]
    involved = sorted({c for pair in rivals for c in pair})
    there = {c: pods + i for i, c in enumerate(involved)}  # columns that say whether a class is there at all

    # Rows: room for each resource; a class that is there at all is marked; of two rivals one is there at most.
    columns = pods + len(involved)
    matrix = np.zeros((resources + len(involved) + len(rivals), columns))
    matrix[:resources, :pods] = shelf.weight[classes].T
    for row, c in enumerate(involved, start=resources):
        matrix[row, place[c]], matrix[row, there[c]] = 1.0, -float(most[c])
    for row, (a, b) in enumerate(rivals, start=resources + len(involved)):
        matrix[row, there[a]] = matrix[row, there[b]] = 1.0

    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = matrix.shape
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_ = np.concatenate([values[classes], np.zeros(len(involved))])
    program.col_lower_ = np.zeros(columns)
    program.col_upper_ = np.concatenate([most[classes], np.ones(len(involved))]).astype(np.float64)
    program.integrality_ = [highspy.HighsVarType.kInteger] * columns
    program.row_lower_ = np.full(len(matrix), -highspy.kHighsInf)
    program.row_upper_ = np.concatenate([shelf.room[kind], np.zeros(len(involved)), np.ones(len(rivals))])
    rows, cols = np.nonzero(matrix)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(matrix)))])
    program.a_matrix_.index_ = cols
    program.a_matrix_.value_ = matrix[rows, cols]
    solver = quiet_solver(mip_max_nodes=MOST_NODES, mip_rel_gap=RELATIVE_GAP, time_limit=HOPELESS_SECONDS)
    solver.passModel(program)
    solver.run()
    info = solver.getInfo()
    counts = np.zeros(len(values), dtype=np.int64)
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible.value:
        counts[classes] = np.rint(np.array(solver.getSolution().col_value)[:pods]).astype(np.int64)
    if (counts @ shelf.demand.requests > shelf.demand.capacity[kind]).any():  # within the solver's tolerance only
        counts = np.zeros_like(counts)
    return counts, float(info.mip_dual_bound), int(info.simplex_iteration_count)
