"""The master program: how many machines of each known pattern hold all the pods at least cost?

As a linear program it says what a pod of each class is worth (the duals); as an integer program it is an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.patterns.shelf import Counts, Pattern, Shelf, Values
from stratos.planning.packing.patterns.solver import HOPELESS_SECONDS, SAFETY, quiet_solver

PRIMAL, DUAL = 4, 1  # ways of the simplex method, as the solver numbers them


@dataclass(frozen=True, slots=True, eq=False)
class MasterSolution:
    cost_usd_per_hour: float
    values: Values  # [C]
    scarcity: NDArray[np.float64]  # [K] what one more machine of a limited kind would save; 0 for others
    amounts: NDArray[np.float64]  # by pattern


@dataclass(frozen=True, slots=True, eq=False)
class WholeSolution:
    patterns: list[Pattern]  # together they hold all pods, some perhaps twice
    bound_usd_per_hour: float  # no whole machines of the patterns known cost less


class Master:
    """Covers the pods that wait with the patterns it was given so far."""

    def __init__(self, shelf: Shelf, waiting: Counts, stock: NDArray[np.int64]) -> None:
        self.patterns: list[Pattern] = []
        self._shelf = shelf
        self._known: set[tuple[int, bytes]] = set()
        self._limited = np.flatnonzero(stock >= 0)
        self._row_of_kind = {int(kind): len(waiting) + i for i, kind in enumerate(self._limited)}
        rows = len(waiting) + len(self._limited)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = 0, rows
        program.row_lower_ = np.concatenate([waiting, np.full(len(self._limited), -highspy.kHighsInf)])
        program.row_upper_ = np.concatenate([np.full(len(waiting), highspy.kHighsInf), stock[self._limited]])
        self._solver: Any = quiet_solver(simplex_strategy=PRIMAL)  # patterns that come leave it feasible
        self._solver.passModel(program)

    def add(self, patterns: Iterable[Pattern]) -> int:
        """Add patterns that are new; how many were."""
        starts: list[int] = []
        rows: list[int] = []
        values: list[int] = []
        added = len(self.patterns)
        for pattern in patterns:
            name = _name(pattern)
            if name in self._known:
                continue
            self._known.add(name)
            self.patterns.append(pattern)
            starts.append(len(rows))
            held = np.flatnonzero(pattern.counts)
            rows.extend(held.tolist())
            values.extend(pattern.counts[held].tolist())
            if pattern.kind in self._row_of_kind:
                rows.append(self._row_of_kind[pattern.kind])
                values.append(1)
        new = len(starts)
        self._solver.addCols(
            new,
            self._shelf.demand.price_usd_per_hour[[pattern.kind for pattern in self.patterns[added:]]],
            np.zeros(new),
            np.full(new, highspy.kHighsInf),
            len(rows),
            np.array(starts, dtype=np.int32),
            np.array(rows, dtype=np.int32),
            np.array(values, dtype=np.float64),
        )
        return new

    def solve(self) -> MasterSolution | None:
        """The linear program. None: these patterns do not cover the pods within the limits."""
        self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._solver.getSolution()
        duals = np.array(solution.row_dual)
        classes = self._shelf.most.shape[0]
        scarcity = np.zeros(len(self._shelf.room))
        scarcity[self._limited] = np.maximum(-duals[classes:], 0.0)
        return MasterSolution(
            cost_usd_per_hour=self._solver.getInfo().objective_function_value,
            values=np.maximum(duals[:classes], 0.0),
            scarcity=scarcity,
            amounts=np.maximum(np.array(solution.col_value), 0.0),
        )

    def solve_whole(self, start: list[Pattern], *, most_nodes: int, relative_gap: float) -> WholeSolution:
        """The integer program, as far as so many nodes go, from an answer that is known: never a worse one."""
        self.add(start)
        columns = len(self.patterns)
        self._solver.changeColsIntegrality(
            columns, np.arange(columns, dtype=np.int32), np.full(columns, highspy.HighsVarType.kInteger)
        )
        known = highspy.HighsSolution()
        number = Counter(_name(pattern) for pattern in start)
        known.col_value = [float(number[_name(pattern)]) for pattern in self.patterns]
        self._solver.setSolution(known)
        for name, value in (
            ("simplex_strategy", DUAL),
            ("mip_max_nodes", most_nodes),
            ("mip_rel_gap", relative_gap),
            ("time_limit", HOPELESS_SECONDS),
        ):
            self._solver.setOptionValue(name, value)
        self._solver.run()
        info = self._solver.getInfo()
        bound = max(0.0, float(info.mip_dual_bound)) * SAFETY
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible.value:
            return WholeSolution(start, bound)
        amounts = np.rint(np.array(self._solver.getSolution().col_value)).astype(int)
        chosen = [pattern for pattern, n in zip(self.patterns, amounts.tolist(), strict=True) for _ in range(n)]
        return WholeSolution(min(chosen, start, key=self._shelf.cost), bound)


def _name(pattern: Pattern) -> tuple[int, bytes]:
    return pattern.kind, pattern.counts.tobytes()
