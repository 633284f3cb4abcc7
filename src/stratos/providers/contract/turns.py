"""Turns at something that may be asked only so often. The urgent go first, among equals whoever came first.

A turn comes up in every interval. Those that nobody took are not lost until they are a burst old.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum
from itertools import count

from stratos.base.clock import Clock

_AS_GOOD_AS_NOW_SECONDS = 1e-9  # what adding up intervals may be off by


class Urgency(IntEnum):
    PODS_WAIT = 0
    USUAL = 1
    FOR_THE_RECORD = 2


class Turns:
    def __init__(self, *, per_second: float, burst: int, clock: Clock) -> None:
        self._interval_seconds = 1 / per_second
        self._burst_seconds = (burst - 1) / per_second
        self._clock = clock
        self._next = float("-inf")
        self._numbers = count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []  # a heap; those who left are skipped
        self._timer: asyncio.TimerHandle | None = None

    async def wait_turn(self, urgency: Urgency) -> None:
        if not self._waiting and self._take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), turn))
        self._set_timer()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next -= self._interval_seconds  # given to us as we left: somebody else may have it
                self._hand_out()
            raise

    def _take(self) -> bool:
        now = self._clock.monotonic()
        turn = max(self._next, now - self._burst_seconds)
        if turn > now + _AS_GOOD_AS_NOW_SECONDS:
            return False
        self._next = turn + self._interval_seconds
        return True

    def _hand_out(self) -> None:
        while self._waiting:
            turn = self._waiting[0][2]
            if not turn.done():
                if not self._take():
                    break
                turn.set_result(None)
            heapq.heappop(self._waiting)
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake up for the next turn, if anybody waits for it."""
        if self._waiting and self._timer is None:
            seconds = max(0.0, self._next - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._timer_over)

    def _timer_over(self) -> None:
        self._timer = None
        self._hand_out()
