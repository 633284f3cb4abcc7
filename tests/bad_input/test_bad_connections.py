"""What only a socket can show: bodies without end, heads that never end, clients that vanish. Nothing of them stays."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from apiserver.core.api_calls import ADMIN, CONFIG_MAPS, Api, a_config_map, an_api
from stratos.apiserver.http.serving import serving
from stratos.apiserver.storage.store import StoreWatch
from stratos.wiring.clock import HurriedLoop

_HEAD = f"Host: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\n"
_SPEED = 100  # patience is counted in minutes, and tests in seconds


@asynccontextmanager
async def a_served_api() -> AsyncIterator[tuple[Api, int]]:
    async with an_api() as api, serving(api.server.app, host="127.0.0.1", port=0, tls=None) as port:
        yield api, port


def with_served_api(scenario: Callable[[Api, int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with a_served_api() as (api, port):
            await scenario(api, port)

    with asyncio.Runner(loop_factory=lambda: HurriedLoop(_SPEED)) as runner:
        runner.run(run())


async def exchange(port: int, request: bytes) -> bytes:
    """Everything the server answers, until it closes or falls silent for two of its minutes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(request)
        async with asyncio.timeout(120):
            while data := await reader.read(65536):
                answer += data
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answer


def status_in(answer: bytes) -> tuple[int, str]:
    """Code and reason of the Status that was answered."""
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body["code"], body["reason"]


def vanish(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as when power fails."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - what is waited for announces itself nowhere
            await asyncio.sleep(1)


def open_watches() -> int:
    gc.collect()
    return sum(isinstance(obj, StoreWatch) for obj in gc.get_objects())


def test_bodies_without_end_are_refused_and_change_nothing() -> None:
    """Declared or not, no more than the limit is ever held."""

    async def scenario(api: Api, port: int) -> None:
        before = api.storage.revision
        declared = f"POST {CONFIG_MAPS} HTTP/1.1\r\n{_HEAD}Content-Length: 99999999999\r\n\r\n".encode()
        assert status_in(await exchange(port, declared)) == (413, "RequestEntityTooLarge")

        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        chunked = f"POST {CONFIG_MAPS} HTTP/1.1\r\n{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 4
        assert status_in(await exchange(port, chunked)) == (413, "RequestEntityTooLarge")

        unfinished = f"POST {CONFIG_MAPS} HTTP/1.1\r\n{_HEAD}Content-Length: 100\r\n\r\n{{".encode()
        assert status_in(await exchange(port, unfinished)) == (504, "Timeout")
        assert api.storage.revision == before
        assert (await api.call("POST", CONFIG_MAPS, a_config_map())).code == 201

    with_served_api(scenario)


def test_what_is_no_http_is_turned_away() -> None:
    async def scenario(api: Api, port: int) -> None:
        for nonsense in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # a TLS greeting
            b"GET / HTTP/9.9\r\n\r\n",
            b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            assert (await exchange(port, nonsense)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), nonsense
        assert (await api.call("GET", "/readyz")).code == 200

    with_served_api(scenario)


def test_odd_paths_reach_nothing_they_should_not() -> None:
    """Whatever is written with percent signs is one name, and names cannot climb."""

    async def scenario(_: Api, port: int) -> None:
        for path in (
            *("/api/v1/namespaces/default/configmaps/..%2f..%2fsecrets", "/api/v1/../../etc/passwd"),
            *("/api/v1/namespaces/default/pods/%00", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/namespaces/%ff/pods/x"),
            *("/api//v1//pods", "/API/V1/PODS", "/api/v1/pods%3Fwatch=true"),
        ):
            answer = await exchange(port, f"GET {path} HTTP/1.1\r\n{_HEAD}Connection: close\r\n\r\n".encode())
            assert status_in(answer) == (404, "NotFound"), path

    with_served_api(scenario)


def test_heads_that_never_end_are_cut_off() -> None:
    """A connection costs the client one line every few seconds, and must not cost the server more."""

    async def scenario(api: Api, port: int) -> None:
        tasks = len(asyncio.all_tasks())
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n")
        for reader, writer in (*idle, *slow):
            async with asyncio.timeout(300):
                while True:
                    try:
                        if not await reader.read(100):
                            break
                    except ConnectionResetError:
                        break
            writer.close()
        endless = b"GET / HTTP/1.1\r\n" + b"X-Filler: " + b"x" * (3 * 1024 * 1024)
        assert await exchange(port, endless) == b""
        await wait_until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert (await api.call("GET", "/readyz")).code == 200

    with_served_api(scenario)


def test_watchers_that_vanish_leave_nothing_behind() -> None:
    """Laptops are closed, pods are killed: a hundred times over, no task, no subscription and no memory may stay."""

    async def scenario(api: Api, port: int) -> None:
        tasks, watches = len(asyncio.all_tasks()), open_watches()
        request = f"GET {CONFIG_MAPS}?watch=true HTTP/1.1\r\n{_HEAD}\r\n".encode()
        for _ in range(3):
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            for reader, writer in clients:
                writer.write(request)
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await wait_until(lambda: open_watches() == watches + 40)
            await api.create(CONFIG_MAPS, {**a_config_map(), "metadata": {"generateName": "cm-"}})
            for _, writer in clients:
                vanish(writer)
        await wait_until(lambda: len(asyncio.all_tasks()) <= tasks and open_watches() <= watches)
        assert (await api.call("GET", CONFIG_MAPS)).code == 200

    with_served_api(scenario)
