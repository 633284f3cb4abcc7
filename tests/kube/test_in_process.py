"""Calling the server without a socket must feel like a socket: to the server, and to whoever hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from stratos.base.errors import Unavailable
from stratos.kube.in_process import AsgiApp, InProcessTransport
from stratos.testing.virtual_time import run

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def start(status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [(b"Content-Type", b"text/plain")]}


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def test_a_request_arrives_whole_and_so_does_its_answer() -> None:
    async def echo(scope: Message, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        headers = dict(scope["headers"])
        await send(start(201))
        await send(piece(scope["method"].encode() + b" " + scope["path"].encode(), more=True))
        await send(piece(b"?" + scope["query_string"] + b" " + headers[b"authorization"] + b" " + body))

    async def main() -> None:
        transport = InProcessTransport(echo, token="secret")
        answer = await transport.request("POST", "/x", query={"labelSelector": "a=b,c"}, body=b"hello")
        assert (answer.status, answer.headers) == (201, {"content-type": "text/plain"})
        assert answer.body == b"POST /x?labelSelector=a%3Db%2Cc Bearer secret hello"

    run(main())


def test_a_write_goes_on_when_its_caller_is_cancelled() -> None:
    """Over a socket the server would never know; a write torn apart in the middle is a fault of our own making."""
    written = list[str]()

    async def slow(_scope: Message, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(5)
        written.append("all of it")
        await send(start())
        await send(piece(b""))

    async def main() -> None:
        transport = InProcessTransport(slow)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await transport.request("PUT", "/x", body=b"{}")
        await transport.close()
        assert written == ["all of it"]

    run(main())


async def crashing(_scope: Message, _receive: Receive, _send: Send) -> None:
    raise ZeroDivisionError


async def silent(_scope: Message, _receive: Receive, _send: Send) -> None:
    return None


@pytest.mark.parametrize("app", [crashing, silent])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_crashes_or_says_nothing_is_unavailable(app: AsgiApp, method: str) -> None:
    async def main() -> None:
        with pytest.raises(Unavailable):
            await InProcessTransport(app).request(method, "/x")
        with pytest.raises(Unavailable):
            async with InProcessTransport(app).stream("GET", "/x"):
                pass

    run(main())


def test_hanging_up_on_a_stream_is_a_disconnect_and_leaves_nothing_behind() -> None:
    heard = list[str]()

    async def endless(_scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        await send(piece(b"one", more=True))
        heard.append((await receive())["type"])

    async def main() -> None:
        transport = InProcessTransport(endless)
        async with transport.stream("GET", "/x") as stream:
            assert await anext(stream.chunks) == b"one"
        assert heard == ["http.disconnect"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_server_that_does_not_listen_is_stopped_all_the_same() -> None:
    async def deaf(_scope: Message, _receive: Receive, send: Send) -> None:
        await send(start())
        await asyncio.sleep(1_000_000)

    async def main() -> None:
        async with InProcessTransport(deaf).stream("GET", "/x"):
            pass
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert asyncio.get_running_loop().time() < 5

    run(main())


def test_a_slow_reader_holds_up_the_sender_and_not_the_memory() -> None:
    sent = list[int]()

    async def eager(_scope: Message, _receive: Receive, send: Send) -> None:
        await send(start())
        for number in range(1000):
            await send(piece(b"x", more=True))
            sent.append(number)
        await send(piece(b""))

    async def main() -> None:
        async with InProcessTransport(eager).stream("GET", "/x") as stream:
            await asyncio.sleep(10)
            assert len(sent) < 100
            assert b"".join([chunk async for chunk in stream.chunks]) == b"x" * 1000

    run(main())


def test_hanging_up_frees_a_sender_that_waits_for_room() -> None:
    """It gets to hear of the disconnect and may tidy up, instead of being cancelled."""
    heard = list[str]()

    async def eager(_scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        for _ in range(1000):
            await send(piece(b"x", more=True))
        heard.append((await receive())["type"])

    async def main() -> None:
        async with InProcessTransport(eager).stream("GET", "/x"):
            await asyncio.sleep(10)
        assert heard == ["http.disconnect"]
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)

    run(main())


def test_a_stream_that_breaks_off_is_told_from_one_that_ends() -> None:
    """A watch that ended is resumed in peace; one that broke may be a server in trouble."""

    async def breaking(_scope: Message, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        raise ZeroDivisionError

    async def main() -> None:
        async with InProcessTransport(breaking).stream("GET", "/x") as stream:
            assert await anext(stream.chunks) == b"one"
            with pytest.raises(Unavailable, match="broke off") as broken:
                await anext(stream.chunks)
        assert isinstance(broken.value.__cause__, ZeroDivisionError)

    run(main())


def test_a_reader_that_is_cancelled_before_the_answer_begins_leaves_nothing_behind() -> None:
    async def slow(_scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.5)
        await send(start())
        await receive()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), InProcessTransport(slow).stream("GET", "/x"):
                pass
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
