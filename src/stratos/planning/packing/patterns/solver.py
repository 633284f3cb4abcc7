"""The linear and integer solver, set up so that the same question always has the same answer."""

from __future__ import annotations

from typing import Any

import highspy

HOPELESS_SECONDS = 60.0
"""When an integer program is given up. Its work is counted and ends long before, unless the solver goes astray."""

SAFETY = 1 - 1e-9  # the solver's arithmetic is not exact; a bound must be


def quiet_solver(**options: bool | int | float | str) -> Any:
    """A solver that prints nothing and runs on one thread."""
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # its own module is only half typed
    for name, value in {"output_flag": False, "threads": 1, **options}.items():
        solver.setOptionValue(name, value)
    return solver
