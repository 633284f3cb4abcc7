"""A doorman's port on the loopback interface, with clients in front of it and backends behind it, in real time."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from opentelemetry.trace import TracerProvider
from yarl import URL

from doorman.doorman_world import World, a_world, until
from stratos.doorman import Doorman, RoomLimits, serving
from stratos.wiring.clock import SystemClock

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

NUMBER = "x-number"


@asynccontextmanager
async def a_backend(answer: Answer, bound: socket.socket | None = None) -> AsyncIterator[int]:
    """What listens where a pod would; the block is given its port. It may have been ``bound`` before."""
    serving = web.Server(answer, access_log=None)
    if bound is None:
        bound = a_free_port()
    server = await asyncio.get_running_loop().create_server(serving, sock=bound, backlog=4096)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await serving.shutdown(0.1)


def a_free_port() -> socket.socket:
    """Ours, though nobody listens there yet."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    return bound


class CountingBackend:
    """Answers with the number of the request, and counts how often it saw each."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        number = request.headers.get(NUMBER, "")
        self.asked[number] += 1
        return web.Response(text=f"answer {number}")


@dataclass
class House:
    """A world with its doorman, and a client in front of it."""

    world: World
    doorman: Doorman
    port: int
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str = "/", host: str = "web.test", **headers: str) -> tuple[int, str]:
        named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.client.get(URL(f"{self.url}{path}", encoded=True), headers=named) as answer:
            return answer.status, await answer.text()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """For what no well-behaved client would send."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def awake(self, answer_port: int, name: str = "web", **wishes: str) -> None:
        """A Service that runs already."""
        await self.world.add_service(name, replicas=1, **wishes)
        await self.world.bring_up(name, answer_port)
        await until(lambda: (gate := self.doorman.gate(f"{name}.test")) is not None and gate.open)

    def held(self, name: str = "web") -> float:
        return self.world.counted("held_requests", route=f"default/{name}")

    def ended(self, outcome: str, name: str = "web") -> float:
        return self.world.counted("requests_total", route=f"default/{name}", outcome=outcome)


@asynccontextmanager
async def a_house(
    room: RoomLimits | None = None, tracer_provider: TracerProvider | None = None
) -> AsyncIterator[House]:
    async with (
        a_world(SystemClock()) as world,
        world.doorman(room=room, tracer_provider=tracer_provider) as doorman,
        serving(doorman, host="127.0.0.1", port=0, resolve=world.resolve, grace_seconds=1.0) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as client,
    ):
        yield House(world, doorman, port, client)
