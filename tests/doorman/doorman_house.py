"""A doorman's port, with clients in front of it and backends behind it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

NUMBER = "x-number"


@asynccontextmanager
async def a_backend(answer: Answer) -> AsyncIterator[int]:
    """What listens where a pod would; the block is given its port."""
    serving = web.Server(answer, access_log=None)
    server = await asyncio.get_running_loop().create_server(serving, "127.0.0.1", 0, backlog=4096)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await serving.shutdown(0.1)


class CountingBackend:
    """Answers with the number of the request, and counts how often it saw each."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        number = request.headers.get(NUMBER, "")
        self.asked[number] += 1
        return web.Response(text=f"answer {number}")
