"""HTTP/1.1 through the doorman, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from doorman.doorman_world import World, a_world
from stratos.doorman import Doorman, RoomLimits, serving
from stratos.wiring.clock import SystemClock

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class House:
    """A world with its doorman, and a client in front of it."""

    world: World
    doorman: Doorman
    url: str
    client: aiohttp.ClientSession

    async def get(self, path: str = "/", host: str = "web.test") -> tuple[int, str]:
        async with self.client.get(f"{self.url}{path}", headers={"host": host}) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def a_house(room: RoomLimits | None = None) -> AsyncIterator[House]:
    async with (
        a_world(SystemClock()) as world,
        world.doorman(room=room) as doorman,
        serving(doorman, host="127.0.0.1", port=0, resolve=world.resolve, grace_seconds=1.0) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):
        yield House(world, doorman, f"http://127.0.0.1:{port}", client)


@asynccontextmanager
async def a_backend(answer: Answer) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(web.Server(answer, access_log=None), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"hello {request.path}")


def test_a_request_for_a_sleeping_service_is_held_until_its_pod_answers() -> None:
    """The whole point: whoever asks need not know that nothing ran."""

    async def story() -> None:
        async with a_house() as house, a_backend(hello) as port:
            await house.world.add_service()
            asking = asyncio.create_task(house.get("/a?b=%20c"))
            await house.world.wait_replicas(1)
            assert not asking.done()
            await house.world.bring_up(port=port)
            assert await asking == (200, "hello /a")

    asyncio.run(story())
