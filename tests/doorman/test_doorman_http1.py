"""HTTP/1.1 through the doorman, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from doorman.doorman_house import NUMBER, CountingBackend, a_backend, a_free_port, a_house
from doorman.doorman_world import until
from stratos.doorman import RoomLimits


async def echo(request: web.BaseRequest) -> web.Response:
    """What arrived, told to whoever sent it."""
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "headers": [[name.lower(), value] for name, value in request.headers.items()],
        "body": (await request.read()).decode(),
    }
    return web.json_response(seen)


def test_a_request_for_a_sleeping_service_is_held_until_its_pod_answers() -> None:
    """The whole point: whoever asks need not know that nothing ran."""

    async def story() -> None:
        async with a_house() as house, a_backend(echo) as port:
            await house.world.add_service()
            asking = asyncio.create_task(house.get("/a?b=%20c&d=%2F"))
            await house.world.wait_replicas(1)
            assert house.held() == 1
            assert not asking.done()
            await house.world.bring_up(port=port)
            status, text = await asking
            assert (status, json.loads(text)["path"]) == (200, "/a?b=%20c&d=%2F")
            assert house.held() == 0
            assert house.ended("answered") == 1

    asyncio.run(story())


def test_a_thousand_held_requests_over_twenty_routes_are_each_answered_once() -> None:
    """A crowd before a closed door must neither lose anybody nor let anybody in twice."""

    async def story() -> None:
        backend = CountingBackend()
        async with a_house() as house, a_backend(backend) as port:
            names = [f"web-{number}" for number in range(20)]
            for name in names:
                await house.world.add_service(name)
            asking = [
                asyncio.create_task(house.get(host=f"{names[number % 20]}.test", **{NUMBER: str(number)}))
                for number in range(1000)
            ]
            await until(lambda: sum(map(house.held, names)) == 1000)
            for name in names:
                await house.world.wait_replicas(1, name)
                await house.world.bring_up(name, port)
            answers = await asyncio.gather(*asking)
            assert answers == [(200, f"answer {number}") for number in range(1000)]
            assert backend.asked == {str(number): 1 for number in range(1000)}

    asyncio.run(story())


def test_what_is_meant_for_the_other_end_arrives_and_what_is_meant_for_one_hop_does_not() -> None:
    """A proxy that passes on the wrong headers breaks connections, or opens them to strangers."""

    async def story() -> None:
        async with a_house() as house, a_backend(echo) as port:
            await house.awake(port)
            async with house.client.post(
                f"{house.url}/x",
                data=b"body",
                headers=[
                    ("host", "web.test"),
                    ("x-own", "1"),
                    ("x-own", "2"),
                    ("connection", "x-secret"),
                    ("x-secret", "hop"),
                    ("te", "trailers"),
                    ("x-forwarded-for", "10.1.1.1"),
                    ("x-forwarded-proto", "https"),
                ],
            ) as answer:
                seen = await answer.json()
            headers = [(name, value) for name, value in seen["headers"]]
            names = {name for name, _ in headers}
            assert (seen["method"], seen["body"]) == ("POST", "body")
            assert [value for name, value in headers if name == "x-own"] == ["1", "2"]
            assert not names & {"x-secret", "te"}
            assert ("host", "web.test") in headers
            assert ("x-forwarded-for", "10.1.1.1, 127.0.0.1") in headers
            assert ("x-forwarded-proto", "https") in headers
            assert ("x-forwarded-host", "web.test") in headers

    asyncio.run(story())


def test_bodies_are_streamed_both_ways_at_once() -> None:
    """A long answer must not wait for its end, nor an upload for the answer: neither fits into memory."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for line in request.content:
            await response.write(b"got " + line)
        return response

    async def story() -> None:
        async with a_house() as house, a_backend(answer) as port:
            await house.awake(port)
            lines: asyncio.Queue[bytes] = asyncio.Queue()

            async def body() -> AsyncIterator[bytes]:
                while line := await lines.get():
                    yield line

            lines.put_nowait(b"one\n")
            async with house.client.post(house.url, data=body(), headers={"host": "web.test"}) as response:
                assert await response.content.readline() == b"got one\n"
                lines.put_nowait(b"two\n")
                assert await response.content.readline() == b"got two\n"
                lines.put_nowait(b"")
                assert await response.content.read() == b""

    asyncio.run(story())


def test_of_a_held_body_no_more_is_read_than_its_share() -> None:
    """Who sends a gigabyte to a sleeping service fills the network, not the doorman's memory."""

    async def story() -> None:
        async def swallow(request: web.BaseRequest) -> web.Response:
            async for _ in request.content.iter_any():
                pass
            return web.Response()

        async with a_house() as house, a_backend(swallow) as port:
            await house.world.add_service()
            size = 32 * 1024 * 1024
            async with house.connection() as (reader, writer):
                writer.write(f"POST / HTTP/1.1\r\nhost: web.test\r\ncontent-length: {size}\r\n\r\n".encode())
                writer.write(b"x" * size)
                await until(lambda: house.held() == 1)
                assert house.world.counted("held_bytes", route="default/web") < 400_000
                with pytest.raises(TimeoutError):  # most of it is still on our side
                    async with asyncio.timeout(0.3):
                        await writer.drain()
                assert writer.transport.get_write_buffer_size() > 0
                await house.world.wait_replicas(1)
                await house.world.bring_up(port=port)
                assert b"200 OK" in await reader.readline()

    asyncio.run(story())


def test_a_client_that_asks_whether_to_go_on_is_told_so_only_when_somebody_is_there() -> None:
    """Otherwise it would send a large body to be thrown away with a 503."""

    async def story() -> None:
        async with a_house() as house, a_backend(echo) as port:
            await house.world.add_service()
            async with house.connection() as (reader, writer):
                writer.write(b"POST / HTTP/1.1\r\nhost: web.test\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
                await until(lambda: house.held() == 1)
                waiting = asyncio.create_task(reader.readline())
                await house.world.wait_replicas(1)
                assert not waiting.done()
                await house.world.bring_up(port=port)
                assert await waiting == b"HTTP/1.1 100 Continue\r\n"
                writer.write(b"body")
                await reader.readline()
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

    asyncio.run(story())


def test_who_has_gone_away_waits_no_longer() -> None:
    """A request whose client has left must neither hold a place nor reach the service."""

    async def story() -> None:
        backend = CountingBackend()
        async with a_house() as house, a_backend(backend) as port:
            await house.world.add_service()
            asking = [asyncio.create_task(house.get(**{NUMBER: str(number)})) for number in range(3)]
            await until(lambda: house.held() == 3)
            asking[1].cancel()
            await until(lambda: house.held() == 2)
            await house.world.bring_up(port=port)
            await asyncio.gather(asking[0], asking[2])
            assert backend.asked == {"0": 1, "2": 1}
            assert house.ended("client-gone") == 1

    asyncio.run(story())


def test_a_backend_that_breaks_off_is_not_asked_again() -> None:
    """It may have acted on the request: sent twice, an order would be placed twice."""

    async def story() -> None:
        asked = 0

        async def break_off(request: web.BaseRequest) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            if request.path == "/ok":
                return web.Response(text="ok")
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        async with a_house() as house, a_backend(break_off) as port:
            await house.awake(port)
            assert (await house.get("/ok"))[0] == 200  # leaves a connection behind, on which the next is sent
            status, text = await house.get("/bad")
            assert status == 502
            assert "was not sent again" in text
            assert asked == 2
            assert house.ended("backend-failed") == 1

    asyncio.run(story())


def test_an_answer_that_breaks_off_in_the_middle_is_not_passed_off_as_whole() -> None:
    """A truncated file that looks complete is worse than an error."""

    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async def story() -> None:
        async with a_house() as house, a_backend(half) as port:
            await house.awake(port)
            with pytest.raises(aiohttp.ClientError):
                await house.get()
            await until(lambda: house.ended("backend-failed") == 1)

    asyncio.run(story())


def test_a_pod_that_is_ready_before_it_listens_is_waited_for() -> None:
    """Pods without a readiness probe count as ready at once; a refused connection has told them nothing."""

    async def story() -> None:
        async with a_house() as house:
            bound = a_free_port()
            await house.world.add_service()
            asking = asyncio.create_task(house.get())
            await house.world.wait_replicas(1)
            await house.world.bring_up(port=bound.getsockname()[1])
            await until(lambda: house.held() == 0)
            await asyncio.wait({asking}, timeout=0.1)
            assert not asking.done()
            async with a_backend(echo, bound):
                assert (await asking)[0] == 200

    asyncio.run(story())


def test_beyond_its_limits_the_doorman_turns_requests_away_at_once() -> None:
    """A full waiting room that grows takes everybody down with it."""

    async def story() -> None:
        async with a_house(RoomLimits(requests=3, body_bytes=1000)) as house, a_backend(echo) as port:
            await house.world.add_service("web", max_held="2")
            await house.world.add_service("other")
            waiting = [asyncio.create_task(house.get()) for _ in range(2)]
            await until(lambda: house.held() == 2)
            status, text = await house.get()
            assert (status, "2 requests wait for it already" in text) == (503, True)

            async with house.client.post(house.url, data=b"x" * 1001, headers={"host": "other.test"}) as answer:
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert "bodies of waiting requests" in await answer.text()

            waiting.append(asyncio.create_task(house.get(host="other.test")))
            await until(lambda: house.held("other") == 1)
            status, text = await house.get(host="other.test")
            assert (status, "3 requests wait already" in text) == (503, True)
            assert house.ended("full") == 1
            assert house.ended("full", "other") == 2

            for name in ("web", "other"):
                await house.world.bring_up(name, port)
            assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 3

    asyncio.run(story())


def test_what_nobody_answers_for_is_told_so() -> None:
    """A wrong name in an ingress is found by reading the answer."""

    async def story() -> None:
        async with a_house() as house:
            await house.world.add_service(replicas=None)
            status, text = await house.get(host="nobody.test")
            assert (status, "nobody.test" in text) == (404, True)
            status, text = await house.get()
            assert (status, "there is no Deployment default/web to wake" in text) == (503, True)
            await until(lambda: house.ended("no-target") == 1)

            await house.world.wait_told("DoormanTargetMissing", "there is no Deployment default/web to wake")

    asyncio.run(story())


def test_answers_without_a_body_and_old_clients_get_what_they_expect() -> None:
    """A proxy that adds or loses a body length leaves the next answer on the connection unreadable."""

    async def story() -> None:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/none":
                return web.Response(status=204)
            return web.Response(text="hello", headers={"set-cookie": "a=1"})

        async with a_house() as house, a_backend(answer) as port:
            await house.awake(port)
            async with house.client.head(house.url, headers={"host": "web.test"}) as head:
                assert (head.status, head.headers["content-length"], await head.read()) == (200, "5", b"")
            assert await house.get("/none") == (204, "")
            assert await house.get() == (200, "hello")
            async with house.connection() as (reader, writer):
                writer.write(b"GET / HTTP/1.0\r\nhost: web.test\r\n\r\n")
                assert (await reader.read()).endswith(b"\r\n\r\nhello")  # and is closed: it knows no other end

    asyncio.run(story())


def test_what_is_no_path_is_refused() -> None:
    """Tunnels and requests to the server itself are not for a service."""

    async def story() -> None:
        async with a_house() as house, a_backend(echo) as port:
            await house.awake(port)
            for line, status in ((b"OPTIONS * HTTP/1.1", b"400"), (b"GET http://web.test/x HTTP/1.1", b"200")):
                async with house.connection() as (reader, writer):
                    writer.write(line + b"\r\nhost: web.test\r\nconnection: close\r\n\r\n")
                    assert (await reader.readline()).split()[1] == status

    asyncio.run(story())
