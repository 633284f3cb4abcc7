"""How much work a search may still do: counted, not timed, so that answers do not depend on the machine they ran on."""

from __future__ import annotations

UNITS_PER_SECOND = 700.0  # on the machine the figures of docs/designs were taken on; a unit is about a millisecond
FILLING_UNITS = 0.4  # to fill one machine, whatever the number of classes …
FILLING_UNITS_PER_CLASS = 0.001  # … and for each of them
MASTER_UNITS_PER_CELL = 1e-4  # to solve the master program: for each class and pattern


class Effort:
    """Work left, in units of about a millisecond."""

    def __init__(self, allowance_seconds: float) -> None:
        self._left = allowance_seconds * UNITS_PER_SECOND

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def spend_on_filling(self, classes: int) -> None:
        self._left -= FILLING_UNITS + FILLING_UNITS_PER_CLASS * classes

    def spend_on_master(self, classes: int, patterns: int) -> None:
        self._left -= MASTER_UNITS_PER_CELL * classes * patterns
