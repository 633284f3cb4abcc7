"""The gate in front of one Service: requests pass while it is open, and wait while it is not.

It counts who is inside, so that nothing is put to sleep under a request, and who waits, so that neither requests nor
their bodies fill the memory. Why it is closed, and what opens it, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from opentelemetry import context
from opentelemetry.context import Context

from stratos.base.clock import Clock
from stratos.base.duration import format_duration
from stratos.base.errors import StratosError
from stratos.doorman.metrics import DoormanMetrics, Outcome
from stratos.doorman.traces import Spans
from stratos.planning.doorman.routes import Route
from stratos.planning.doorman.targets import Traffic

_RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """One ready pod."""

    pod: str  # namespace/name, or empty where the endpoint is not a pod
    host: str
    port: int


class TurnedAway(StratosError):
    """The request is not let through: it waited too long, too many wait, or nothing can be woken for it."""

    def __init__(self, message: str, outcome: Outcome, *, looked_at: tuple[str, ...] = ()) -> None:
        super().__init__(message, looked_at=looked_at)
        self.outcome = outcome
        self.retry_after_seconds = _RETRY_AFTER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLimits:
    """What may wait at all gates together."""

    requests: int = 10_000
    body_bytes: int = 128 * 1024 * 1024


class WaitingRoom:
    """Shared by all gates."""

    def __init__(self, limits: RoomLimits) -> None:
        self.limits = limits
        self.requests = 0
        self.body_bytes = 0


class Gate:
    """``knock`` is called whenever somebody begins to wait and when nobody waits any more; ``why`` says what for."""

    def __init__(
        self,
        route: Route,
        room: WaitingRoom,
        *,
        clock: Clock,
        metrics: DoormanMetrics,
        spans: Spans,
        knock: Callable[[Gate], None],
        why: Callable[[Gate], str],
    ) -> None:
        self.route = route
        self.metrics = metrics.of_route(route.service)
        self.trouble = ""  # why the last attempt to open it failed
        self.cause = Context()  # the trace of the request that was first to wait
        self._room = room
        self._clock = clock
        self._spans = spans
        self._knock = knock
        self._why = why
        self._backends: tuple[Backend, ...] = ()
        self._leaving: frozenset[Backend] = frozenset()  # of replicas taken away: ready for a moment longer
        self._turn = 0
        self._inside = 0
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._last_active: datetime | None = None

    @property
    def open(self) -> bool:
        return bool(self._backends)

    @property
    def traffic(self) -> Traffic:
        return Traffic(len(self._waiting), self._inside, self._last_active)

    # From the street

    def enter(self) -> Backend | None:
        """Pass at once, if the gate is open. Whoever passes must `leave`."""
        if not self._backends:
            return None
        self._inside += 1
        self.metrics.inside.inc()
        self._turn = (self._turn + 1) % len(self._backends)
        return self._backends[self._turn]

    def leave(self) -> None:
        self._inside -= 1
        self.metrics.inside.dec()
        self._last_active = self._clock.now()

    async def wait(self, body_bytes: int, deadline: float) -> Backend:
        """Wait until the gate opens, and `enter`. Raises `TurnedAway`; ``deadline`` is in the loop's time."""
        self._refuse_if_full(body_bytes)
        self._room.requests += 1
        self._room.body_bytes += body_bytes
        self.metrics.held.inc()
        self.metrics.held_bytes.inc(body_bytes)
        began = self._clock.monotonic()
        try:
            with self._spans.during("hold"):
                return await self._wait_until(deadline)
        finally:
            self._room.requests -= 1
            self._room.body_bytes -= body_bytes
            self.metrics.held.dec()
            self.metrics.held_bytes.dec(body_bytes)
            self.metrics.hold_seconds.observe(self._clock.monotonic() - began)

    async def _wait_until(self, deadline: float) -> Backend:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._wait_open()
        except TimeoutError as error:
            waited = format_duration(self.route.hold_seconds)
            raise TurnedAway(
                f"{self.route.service} was not ready within {waited}", Outcome.TIMED_OUT, looked_at=(self._why(self),)
            ) from error

    async def _wait_open(self) -> Backend:
        while (backend := self.enter()) is None:
            opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[opened] = None
            if len(self._waiting) == 1:
                self.cause = context.get_current()
            self._knock(self)
            try:
                await opened
            finally:
                del self._waiting[opened]
                self._last_active = self._clock.now()
                if not self._waiting:
                    self._knock(self)
        return backend

    def _refuse_if_full(self, body_bytes: int) -> None:
        limits = self._room.limits
        if len(self._waiting) >= self.route.max_held:
            full = f"{self.route.service} is waking up, and {self.route.max_held} requests wait for it already"
        elif self._room.requests >= limits.requests:
            full = f"{limits.requests} requests wait already"
        elif self._room.body_bytes + body_bytes > limits.body_bytes:
            full = f"the bodies of waiting requests fill the {limits.body_bytes} bytes they may"
        else:
            return
        raise TurnedAway(full, Outcome.FULL)

    # From the house

    def see(self, ready: Sequence[Backend], *, asleep: bool, closing: bool) -> None:
        """What there is to let requests through to. ``asleep``: no replicas are wanted, so that all are leaving."""
        there = frozenset(ready)
        self._leaving = there if asleep else self._leaving & there
        usable = () if asleep or closing else tuple(sorted(there - self._leaving))
        self._backends = usable
        if usable:
            self.trouble = ""
            for opened in self._waiting:
                if not opened.done():
                    opened.set_result(None)

    def turn_all_away(self, message: str, outcome: Outcome) -> None:
        """Nothing will open it: whoever waits need not wait longer."""
        for opened in self._waiting:
            if not opened.done():
                opened.set_exception(TurnedAway(message, outcome))
