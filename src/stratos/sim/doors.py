"""What stands between each component and the outside: the API on one side, the cloud on the other.

Through the doors come the faults that no server or cloud would play by itself: requests that fail, answers that get
lost, streams that break or lag, and components that die in the middle of a call. A component that died goes on running
until it is stopped, but nothing it does reaches anything any more, and nothing reaches it: to the rest of the world,
and to itself after its restart, it ended at that instant.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from stratos.base.errors import Unavailable
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport
from stratos.providers.contract import Provider
from stratos.providers.contract.in_front import InFront
from stratos.sim.actions import ActionLog
from stratos.wiring.api import CONTROLLER_MANAGER, KUBELETS, SCHEDULER, STRATOS

T = TypeVar("T")

NAMES: Mapping[str, str] = {
    STRATOS: "stratos",
    SCHEDULER: "scheduler",
    CONTROLLER_MANAGER: "controller manager",
    KUBELETS: "kubelets",
}
"""What each user of the API is called in a run's story: for the first three, the name of their component."""

_READS = frozenset({"GET", "HEAD"})
_OPEN_SECONDS = 0.1


class DeathMoment(StrEnum):
    BEFORE = "before"  # the call is never made
    AFTER = "after"  # it takes effect, and nobody lives to see the answer


@dataclass(slots=True)
class Doom:
    """A component dies at one of its next calls that change something, or ask the cloud."""

    calls_left: int
    moment: DeathMoment


@dataclass(slots=True)
class Life:
    """A component from one start to its end."""

    component: str
    doom: Doom | None = None
    dead: bool = False
    streams: dict[_Stream, None] = field(default_factory=dict)

    async def wait_for_ever_if_dead(self) -> None:
        if self.dead:
            await never()


class Doors:
    """All doors of a run, and the levers by which faults work them."""

    def __init__(self, log: ActionLog, rng: random.Random) -> None:
        self.server_is_down = False
        self.cloud_is_flaky = 0.0  # how likely an answer of the cloud gets lost
        self.calls_refused = 0.0  # how likely the cloud turns a call away as one too many
        self.lost_answers: dict[str, float] = {}  # by component: how likely the answer to a write is
        self.lag_seconds: dict[str, float] = {}  # by component: how long its watches are held up at most
        self.registrations_refused = False  # of nodes
        self.lives: dict[str, Life] = {}
        self.died: Callable[[Life], None] = lambda life: None
        self.asked: Callable[[str, str, str], None] = lambda component, method, path: None
        self.answered: Callable[[str, str, str, int | None], None] = lambda component, method, path, status: None
        self.log = log
        self.rng = rng

    def in_front_of_api(self, user: str, transport: Transport) -> Transport:
        """A new life of the component begins with its way to the API."""
        component = NAMES[user]
        life = self.lives[component] = Life(component)
        return _ApiDoor(self, life, transport)

    def in_front_of_cloud(self, provider: Provider) -> Provider:
        return _CloudDoor(self, self.lives[NAMES[STRATOS]], provider)

    def break_streams(self, component: str) -> None:
        for stream in tuple(self.lives[component].streams):
            stream.break_off()

    async def die(self, life: Life, doing: str) -> NoReturn:
        """The component ends here; only its restart goes on."""
        if not life.dead:
            life.dead = True
            self.log.note("fault", f"{life.component} dies {doing}")
            self.died(life)
        await never()

    async def through(self, life: Life, doing: str, call: Callable[[], Awaitable[T]], *, risky: bool) -> T:
        """Make a call, unless its component is dead or dies of it."""
        await life.wait_for_ever_if_dead()
        doom = self._doom_of(life) if risky else None
        if doom is DeathMoment.BEFORE:
            await self.die(life, f"before {doing}")
        # What has been sent takes effect even if the sender does not live to see it.
        sent = asyncio.ensure_future(call())
        sent.add_done_callback(_retrieve)
        answer = await asyncio.shield(sent)
        if doom is DeathMoment.AFTER:
            await self.die(life, f"after {doing}")
        await life.wait_for_ever_if_dead()
        return answer

    def _doom_of(self, life: Life) -> DeathMoment | None:
        """Whether the call that comes is the last one, and where in it the component dies."""
        doom = life.doom
        if doom is None:
            return None
        doom.calls_left -= 1
        return doom.moment if doom.calls_left <= 0 else None


def _retrieve(sent: asyncio.Future[Any]) -> None:
    """Nobody may be left to hear of a failure; that is no reason for a warning."""
    if not sent.cancelled():
        sent.exception()


async def never() -> NoReturn:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nothing ends this wait but its cancellation")


class _ApiDoor:
    """A `Transport`."""

    def __init__(self, doors: Doors, life: Life, transport: Transport) -> None:
        self._doors = doors
        self._life = life
        self._transport = transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        doors, life = self._doors, self._life
        writes = method not in _READS

        async def call() -> Response:
            self._check_server(method, path)
            doors.asked(life.component, method, path)
            status = None
            try:
                response = await self._transport.request(method, path, query=query, headers=headers, body=body)
                status = response.status
            finally:
                doors.answered(life.component, method, path, status)
            return response

        if life.component != NAMES[KUBELETS]:
            await asyncio.sleep(doors.rng.uniform(0.001, 0.02))
        response = await doors.through(life, f"{method} {path}", call, risky=writes)
        chance = doors.lost_answers.get(life.component, 0.0)
        if writes and chance and doors.rng.random() < chance:
            doors.log.note("fault", f"{life.component} never hears of {method} {path} {response.status}")
            raise Unavailable(f"{method} {path}: the connection was lost before the answer came")
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[StreamResponse]:
        await self._life.wait_for_ever_if_dead()
        self._check_server(method, path)
        async with self._transport.stream(method, path, query=query, headers=headers) as opened:
            stream = _Stream(self._doors, self._life, path, opened.chunks)
            self._life.streams[stream] = None
            try:
                yield StreamResponse(opened.status, opened.headers, stream)
            finally:
                del self._life.streams[stream]

    async def close(self) -> None:
        await self._transport.close()

    def _check_server(self, method: str, path: str) -> None:
        if self._doors.server_is_down:
            raise Unavailable(f"{method} {path}: connection refused")
        if self._doors.registrations_refused and (method, path) == ("POST", "/api/v1/nodes"):
            raise Unavailable(f"{method} {path}: no route to host")


class _Stream:
    """The chunks of a watch, as late as faults have it, until one breaks it off."""

    def __init__(self, doors: Doors, life: Life, path: str, chunks: AsyncIterator[bytes]) -> None:
        self._doors = doors
        self._life = life
        self._path = path
        self._chunks = chunks
        self._reading: asyncio.Future[bytes] | None = None
        self._broken = False
        self._open_until = 0.0
        self._share = doors.rng.random()  # of the lag: each watch of a component is late by another time

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def break_off(self) -> None:
        self._broken = True
        if self._reading is not None:
            self._reading.cancel()

    async def __anext__(self) -> bytes:
        await self._life.wait_for_ever_if_dead()
        self._reading = asyncio.ensure_future(self._read())
        try:
            return await self._reading
        except asyncio.CancelledError:
            if self._broken:
                raise Unavailable(f"the stream of {self._path} broke off") from None
            raise

    async def _read(self) -> bytes:
        chunk = await anext(self._chunks)
        lag = self._doors.lag_seconds.get(self._life.component, 0.0) * self._share
        now = asyncio.get_running_loop().time()
        if lag and now > self._open_until:
            # Held up, not slowed down: what comes meanwhile passes with it, so that nothing is later than the lag.
            self._open_until = now + lag + _OPEN_SECONDS
            await asyncio.sleep(lag)
        return chunk


class _CloudDoor(InFront):
    """Of one life of the controllers."""

    def __init__(self, doors: Doors, life: Life, provider: Provider) -> None:
        super().__init__(provider)
        self._doors = doors
        self._life = life

    async def _through(self, operation: str, call: Callable[[], Awaitable[T]], *, what: str = "") -> T:
        doors, doing = self._doors, f"{operation} {what}".rstrip()
        answer = await doors.through(self._life, doing, call, risky=True)
        if doors.cloud_is_flaky and doors.rng.random() < doors.cloud_is_flaky:
            doors.log.note("fault", f"stratos never hears of {doing}")
            raise Unavailable(f"{doing}: the connection was lost before the answer came")
        return answer
