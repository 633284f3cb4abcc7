"""A term that is over shuts the door to the API, at the moment of each write and for those under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from stratos.base.errors import NotLeading, Unavailable
from stratos.kube.fenced import FencedTransport
from stratos.kube.transport import NOTHING, Response, StreamResponse
from stratos.testing import virtual_time


@dataclass(slots=True)
class SlowServer:
    """Answers after a while, and remembers what it answered."""

    seconds: float = 1.0
    answered: list[str] = field(default_factory=list)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        await asyncio.sleep(self.seconds)
        self.answered.append(method)
        return Response(200, {}, b"{}")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[StreamResponse]:
        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        yield StreamResponse(200, {}, nothing())

    async def close(self) -> None:
        self.answered.append("closed")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_write_leaves_after_the_term(method: str) -> None:
    """A paused leader goes on with whatever it was about to do: somebody else leads by then."""

    async def story() -> list[str]:
        server = SlowServer()
        fenced = FencedTransport(server, lambda: 0.0)
        with pytest.raises(NotLeading, match="does not lead any more"):
            await fenced.request(method, "/api/v1/nodes/a")
        return server.answered

    assert virtual_time.run(story()) == []


def test_a_write_that_is_under_way_when_the_term_ends_is_given_up() -> None:
    """It may be waiting for a connection: then it has not been sent yet, and must not be."""

    async def story() -> list[str]:
        server = SlowServer(seconds=5)
        with pytest.raises(Unavailable, match="given up"):
            await FencedTransport(server, lambda: 2.0).request("PATCH", "/api/v1/nodes/a")
        await asyncio.sleep(10)
        return server.answered

    assert virtual_time.run(story()) == []


def test_reads_pass_and_the_shared_transport_stays_open() -> None:
    """Looking harms nobody, and the election goes on over the same connections."""

    async def story() -> list[str]:
        server = SlowServer()
        fenced = FencedTransport(server, lambda: 0.0)
        await fenced.request("GET", "/api/v1/nodes")
        async with fenced.stream("GET", "/api/v1/nodes") as answer:
            assert answer.status == 200
        await fenced.close()
        return server.answered

    assert virtual_time.run(story()) == ["GET"]
