"""A request's way through a gate: it waits, finds a backend that can be reached, and leaves.

A backend that cannot be reached has not seen the request, so another is tried, or the same again: pods without a
readiness probe count as ready before they listen. Once a byte was sent, nothing is ever sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from stratos.base.errors import StratosError
from stratos.doorman.gate import Backend, Gate, TurnedAway
from stratos.doorman.metrics import Outcome

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.05
_PAUSE_MAX_SECONDS = 1.0


class Unreachable(StratosError):
    """No connection to the backend: it knows nothing of the request."""


class BackendBroke(StratosError):
    """The backend took the request, or a part of it, and broke off. It may have acted on it."""


@asynccontextmanager
async def passage(gate: Gate, body_bytes: int, reach: Callable[[Backend], Awaitable[T]]) -> AsyncIterator[T]:
    """What ``reach`` made of a backend, for the length of the block. Raises `TurnedAway` at the route's deadline.

    ``body_bytes`` is the most that the request's body takes up while it waits.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + gate.route.hold_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        backend = gate.enter() or await gate.wait(body_bytes, deadline)
        try:
            try:
                reached = await reach(backend)
            except Unreachable as error:
                if loop.time() + pause >= deadline:
                    message = f"{gate.route.service} was woken, and cannot be reached"
                    raise TurnedAway(message, Outcome.TIMED_OUT, looked_at=(error.message,)) from error
            else:
                yield reached
                return
        finally:
            gate.leave()
        await asyncio.sleep(pause)
        pause = min(2 * pause, _PAUSE_MAX_SECONDS)
