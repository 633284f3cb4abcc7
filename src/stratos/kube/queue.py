"""The work queue of a controller: keys, each at most once in it and with one worker at a time.

A key added while it is being worked on is handed out again when that work is done. Keys can be added after a delay, and
a key that fails again and again waits longer each time.
"""

from __future__ import annotations

import asyncio
from collections import deque

from stratos.kube.backoff import Backoff

DEFAULT_BACKOFF = Backoff(first_seconds=0.1, max_seconds=60.0)


class Closed(Exception):
    """The queue hands out nothing more."""


class Queue:
    def __init__(self, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self._backoff = backoff
        self._ready: deque[str] = deque()
        self._wanted: set[str] = set()  # in _ready, or to be put there when its present work is done
        self._in_work: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._wanted)

    def add(self, key: str, after_seconds: float = 0.0) -> None:
        """Hand out ``key`` soon, or after a delay; of several delays the earliest counts."""
        if self._closed:
            return
        if after_seconds > 0:
            self._add_later(key, after_seconds)
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._wanted:
            return
        self._wanted.add(key)
        self._idle.clear()
        if key not in self._in_work:
            self._ready.append(key)
            self._wake_one()

    def add_failed(self, key: str) -> float:
        """Hand out ``key`` again after its back-off, and say how many seconds that is."""
        self._failures[key] = self._failures.get(key, 0) + 1
        seconds = self._backoff.seconds(self._failures[key])
        self.add(key, seconds)
        return seconds

    def forget(self, key: str) -> None:
        """The key did well: its next failure counts as the first."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key, to be returned with `done`. Raises `Closed` at the end."""
        while not self._ready:
            if self._closed:
                raise Closed
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake_one()  # we were woken and leave: somebody else takes the key
                raise
        if self._closed:
            raise Closed
        key = self._ready.popleft()
        self._wanted.discard(key)
        self._in_work.add(key)
        return key

    def done(self, key: str) -> None:
        self._in_work.discard(key)
        if key in self._wanted:
            self._ready.append(key)
            self._wake_one()
        elif not self._wanted and not self._in_work:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no key waits or is worked on; delayed keys do not count."""
        await self._idle.wait()

    def close(self) -> None:
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._getters:
            self._wake_one()

    def _add_later(self, key: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if timer := self._timers.get(key):
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def _due(self, key: str) -> None:
        del self._timers[key]
        self.add(key)

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
