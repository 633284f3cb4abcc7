"""HTTP/2 and gRPC through the doorman, over real sockets."""

from __future__ import annotations

import asyncio
import json

from h2.errors import ErrorCodes

from doorman.doorman_house import a_backend, a_house
from doorman.doorman_world import until
from doorman.http2_peers import Exchange, Peer, a_call, a_client, a_server
from doorman.test_doorman_http1 import echo

GRPC_HEAD = [(":status", "200"), ("content-type", "application/grpc")]


async def converse(peer: Peer, exchange: Exchange) -> None:
    """A bidirectional call: every message is answered as it comes."""
    peer.send_headers(exchange, [*GRPC_HEAD, ("x-authority", exchange.head[":authority"])])
    while news := await peer.more(exchange):
        await peer.send(exchange, news.upper())
    peer.send_headers(exchange, [("grpc-status", "0"), ("grpc-message", "fine")], end=True)


def test_a_grpc_call_wakes_its_service_and_streams_both_ways_down_to_its_trailers() -> None:
    """In gRPC the status comes last: a proxy that loses trailers loses every answer."""

    async def story() -> None:
        async with a_house() as house, a_server(converse) as port, a_client(house.port) as client:
            await house.world.add_service(app_protocol="kubernetes.io/h2c")
            call = client.ask(a_call(), end=False)
            await client.send(call, b"one")
            await house.world.wait_replicas(1)
            assert house.held() == 1
            await house.world.bring_up(port=port)
            await client.until(lambda: call.body == b"ONE")
            await client.send(call, b"two", end=True)
            await client.ended(call)
            assert call.body == b"ONETWO"
            assert call.head[":status"] == "200"
            assert call.head["x-authority"] == "web.test"
            assert call.trailers == {"grpc-status": "0", "grpc-message": "fine"}
            assert house.ended("answered") == 1

    asyncio.run(story())


def test_streams_of_one_connection_go_to_the_services_they_name() -> None:
    """Clients put calls to several services on one connection, and one that sleeps must not stop the others."""

    async def story() -> None:
        async with a_house() as house, a_server(converse) as port, a_client(house.port) as client:
            await house.world.add_service("asleep")
            await house.awake(port)
            waiting = client.ask(a_call(host="asleep.test"), end=False)
            await until(lambda: house.held("asleep") == 1)
            await client.send(waiting, b"x" * 60_000)  # nearly a whole window that nobody takes
            for number in range(20):
                call = client.ask(a_call(), end=False)
                await client.send(call, b"y" * 30_000, end=True)
                await client.ended(call)
                assert call.head["x-authority"] == "web.test"
                assert len(call.body) == 30_000, number
            await house.world.bring_up("asleep", port)
            await client.send(waiting, b"", end=True)
            await client.ended(waiting)
            assert waiting.body == b"X" * 60_000

    asyncio.run(story())


def test_an_error_that_comes_without_a_body_arrives_as_one() -> None:
    """gRPC tells errors in headers that end the stream; headers, nothing and an end are a broken answer to it."""

    async def fail(peer: Peer, exchange: Exchange) -> None:
        peer.send_headers(exchange, [*GRPC_HEAD, ("grpc-status", "5")], end=True)

    async def story() -> None:
        async with a_house() as house, a_server(fail) as port, a_client(house.port) as client:
            await house.awake(port)
            call = client.ask(a_call())
            await client.ended(call)
            assert call.head_ended
            assert call.head["grpc-status"] == "5"

    asyncio.run(story())


def test_a_slow_reader_slows_the_sender_down() -> None:
    """Without flow control from end to end the doorman would hold whatever a fast service sends to a slow client."""

    async def pour(peer: Peer, exchange: Exchange) -> None:
        peer.send_headers(exchange, GRPC_HEAD)
        sent.append(0)
        for _ in range(100):
            await peer.send(exchange, b"z" * 10_000)
            sent[-1] += 10_000
        peer.send_headers(exchange, [("grpc-status", "0")], end=True)

    sent: list[int] = []

    async def story() -> None:
        async with a_house() as house, a_server(pour) as port, a_client(house.port, greedy=False) as client:
            await house.awake(port)
            call = client.ask(a_call())
            await client.until(lambda: len(call.body) >= 65_535)
            await until(lambda: sent[-1] >= 120_000)  # a window on either side of the doorman, and no more
            assert sent[-1] <= 140_000
            while news := await client.more(call):
                client.give_back(call, len(news))
            assert call.body == b"z" * 1_000_000

    asyncio.run(story())


def test_a_call_that_is_cancelled_is_cancelled_at_the_service_too() -> None:
    """A service that works for nobody wastes what others wait for; one that is only held must never see the call."""

    async def hang(peer: Peer, exchange: Exchange) -> None:
        seen.append(exchange)
        peer.send_headers(exchange, GRPC_HEAD)

    seen: list[Exchange] = []

    async def story() -> None:
        async with a_house() as house, a_server(hang) as port, a_client(house.port) as client:
            await house.awake(port)
            call = client.ask(a_call(), end=False)
            await client.until(lambda: bool(call.heads))
            client.h2.reset_stream(call.id, ErrorCodes.CANCEL)
            client.flush()
            await until(lambda: seen[0].reset == ErrorCodes.CANCEL)

            await house.world.add_service("asleep")
            held = client.ask(a_call(host="asleep.test"), end=False)
            await until(lambda: house.held("asleep") == 1)
            client.h2.reset_stream(held.id, ErrorCodes.CANCEL)
            client.flush()
            await until(lambda: house.held("asleep") == 0)
            assert house.ended("client-gone", "asleep") == 1
            assert len(seen) == 1

    asyncio.run(story())


def test_a_service_that_resets_a_call_resets_it_at_the_client() -> None:
    """Half an answer must not look like a whole one."""

    async def break_off(peer: Peer, exchange: Exchange) -> None:
        peer.send_headers(exchange, GRPC_HEAD)
        peer.h2.reset_stream(exchange.id, ErrorCodes.ENHANCE_YOUR_CALM)
        peer.flush()

    async def story() -> None:
        async with a_house() as house, a_server(break_off) as port, a_client(house.port) as client:
            await house.awake(port)
            call = client.ask(a_call())
            await client.until(lambda: call.reset is not None)
            assert call.reset == ErrorCodes.INTERNAL_ERROR
            assert house.ended("backend-failed") == 1

    asyncio.run(story())


def test_a_call_that_does_not_get_through_is_told_so_in_the_words_of_grpc() -> None:
    """Clients of gRPC look for a status of its own and try again on `unavailable`; 503 says nothing to them."""

    async def story() -> None:
        async with a_house() as house, a_client(house.port) as client:
            await house.world.add_service(replicas=None)
            for host, status in (("nobody.test", "12"), ("web.test", "14")):
                call = client.ask(a_call(host=host))
                await client.ended(call)
                assert (call.head[":status"], call.head["grpc-status"], call.head_ended) == ("200", status, True)
                assert "web" in call.head["grpc-message"] or "nobody.test" in call.head["grpc-message"]

    asyncio.run(story())


def test_http2_reaches_services_that_speak_only_http1() -> None:
    """What a client speaks to the doorman is between the two of them."""

    async def story() -> None:
        async with a_house() as house, a_backend(echo) as port, a_client(house.port) as client:
            await house.awake(port)
            asked = client.ask(
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":authority", "web.test"),
                    (":path", "/x?y=%2F"),
                    ("cookie", "a=1"),
                    ("cookie", "b=2"),
                ],
                end=False,
            )
            await client.send(asked, b"body", end=True)
            await client.ended(asked)
            seen = json.loads(asked.body)
            headers = dict(seen["headers"])
            assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/x?y=%2F", "body")
            assert (headers["host"], headers["cookie"]) == ("web.test", "a=1; b=2")
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert asked.head["content-type"].startswith("application/json")

            refused = client.ask([(":method", "CONNECT"), (":authority", "web.test")])
            await client.ended(refused)
            assert refused.head[":status"] == "400"

    asyncio.run(story())


def test_what_is_no_http2_ends_its_own_connection_alone() -> None:
    """Strangers knock with all kinds of things."""

    async def story() -> None:
        async with a_house() as house, a_server(converse) as port, a_client(house.port) as client:
            await house.awake(port)
            async with house.connection() as (reader, writer):
                writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) * 100)
                async with asyncio.timeout(5):
                    await reader.read()
            call = client.ask(a_call())
            await client.ended(call)
            assert call.trailers is not None

    asyncio.run(story())
