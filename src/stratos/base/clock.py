"""Time comes through the door.

Nothing outside ``wiring`` asks the machine what time it is. Code that waits uses ``asyncio.sleep`` and
``asyncio.timeout``: in simulations and tests the event loop itself is virtual, and they take no time at all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall-clock time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring durations."""
        ...


class FixedClock:
    """A clock that stands still until told otherwise; for tests of code that only reads the time."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._at = at
        self._start = at

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return (self._at - self._start).total_seconds()

    def set(self, at: datetime) -> None:
        self._at = at
