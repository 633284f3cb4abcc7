"""How much work a search may still do: counted, not timed, so that answers do not depend on the machine they ran on."""

from __future__ import annotations

UNITS_PER_SECOND = 600.0  # a unit is about a millisecond; the rest is for work that nobody counts
FILLING_UNITS = 0.4  # to fill one machine, whatever the number of classes …
FILLING_UNITS_PER_CLASS = 0.001  # … and for each of them
TABLE_UNITS_PER_CELL = 2.5e-6  # to make a table of fillings: for each cell and class of pods
WHOLE_UNITS_PER_NODE = 4.0  # to branch once more in the integer program that chooses among all patterns
MASTER_UNITS_PER_CELL = 2.5e-5  # to solve the master program: for each class and pattern


class Effort:
    """Work left, in units of about a millisecond."""

    def __init__(self, allowance_seconds: float) -> None:
        self._whole = self._left = allowance_seconds * UNITS_PER_SECOND

    def split_off(self, parts: int) -> Effort:
        """One of so many equal parts of what is left, to be spent by itself."""
        part = Effort(max(0.0, self._left) / parts / UNITS_PER_SECOND)
        self._left -= part._whole
        return part

    def take_back(self, part: Effort) -> None:
        """What a part has left, or owes."""
        self._left += part._left

    def has_left(self, share: float = 0.0) -> bool:
        """Whether more than this share of the whole is left."""
        return self._left > share * self._whole

    def nodes_left(self) -> int:
        """How often an integer program may branch that has all the rest for itself; its root it has in any case."""
        return max(1, int(self._left / WHOLE_UNITS_PER_NODE))

    def spend_on_filling(self, classes: int) -> None:
        self._left -= FILLING_UNITS + FILLING_UNITS_PER_CLASS * classes

    def spend_on_table(self, cells: int) -> None:
        self._left -= TABLE_UNITS_PER_CELL * cells

    def spend_on_master(self, classes: int, patterns: int) -> None:
        self._left -= MASTER_UNITS_PER_CELL * classes * patterns
