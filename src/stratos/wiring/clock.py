"""The real clock, and a real event loop that can be hurried.

A simulated cloud takes as long to boot a machine as a real one. ``--speed 10`` runs the whole process, cloud, kubelets,
controllers and clock alike, ten times as fast: the loop's seconds are shorter, and nobody in it can tell.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class HurriedClock:
    """Shows ``start`` when made, then runs ``speed`` times as fast as the machine's own clock."""

    def __init__(self, speed: float, start: datetime) -> None:
        self._speed = speed
        self._start = start
        self._made = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._made) * self._speed)

    def monotonic(self) -> float:
        return time.monotonic() * self._speed


class _HurriedSelector(selectors.DefaultSelector):
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / self._speed)


class HurriedLoop(asyncio.SelectorEventLoop):
    """A real event loop, sockets and all, whose seconds are ``1/speed`` of a second long."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(_HurriedSelector(speed))

    def time(self) -> float:
        return time.monotonic() * self._speed
