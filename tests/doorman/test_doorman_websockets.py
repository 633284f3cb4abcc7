"""WebSockets through the doorman, over real sockets."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from doorman.doorman_house import a_backend, a_house
from doorman.doorman_world import until


async def parrot(request: web.BaseRequest) -> web.StreamResponse:
    """Says everything again, until it is told to stop."""
    if request.path == "/no":
        return web.Response(status=403)
    socket = web.WebSocketResponse(protocols=("chat.v2",), autoping=False, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        match message.type:
            case WSMsgType.TEXT if message.data == "stop":
                await socket.close(code=4001, message=b"as you wish")
            case WSMsgType.TEXT:
                await socket.send_str(message.data)
            case WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            case WSMsgType.PING:
                await socket.pong(message.data)
            case _:
                pass
    return socket


def test_a_websocket_wakes_its_service_and_carries_messages_pings_and_the_reason_for_closing() -> None:
    """Chats and live views sleep too, and must not notice who stands between."""

    async def story() -> None:
        async with a_house() as house, a_backend(parrot) as port:
            await house.world.add_service()
            connecting = asyncio.create_task(
                house.client.ws_connect(
                    house.url, headers={"host": "web.test"}, protocols=("chat.v1", "chat.v2"), autoping=False
                )
            )
            await house.world.wait_replicas(1)
            await house.world.bring_up(port=port)
            async with await connecting as socket:
                assert socket.protocol == "chat.v2"
                await socket.send_str("hello")
                assert (await socket.receive()).data == "hello"
                large = bytes(range(256)) * 1024
                await socket.send_bytes(large)
                assert (await socket.receive()).data == large
                await socket.ping(b"still there?")
                pong = await socket.receive()
                assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"still there?")
                assert house.world.counted("open_requests", route="default/web") == 1
                await socket.send_str("stop")
                closed = await socket.receive()
                assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 4001, "as you wish")
            await until(lambda: house.world.counted("open_requests", route="default/web") == 0)
            assert house.ended("answered") == 1

    asyncio.run(story())


def test_a_service_that_refuses_a_websocket_refuses_it_through_the_doorman() -> None:
    """A client that is told yes and then cut off does not know that it must log in."""

    async def story() -> None:
        async with a_house() as house, a_backend(parrot) as port:
            await house.awake(port)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await house.client.ws_connect(f"{house.url}/no", headers={"host": "web.test"})
            assert refused.value.status == 403

    asyncio.run(story())


def test_when_one_side_vanishes_the_other_is_told() -> None:
    """Otherwise both would wait for ever, and the service never sleep again."""

    async def story() -> None:
        async with a_house() as house, a_backend(parrot) as port:
            await house.awake(port)
            socket = await house.client.ws_connect(house.url, headers={"host": "web.test"})
            await socket.send_str("hello")
            await socket.receive()
            assert socket._response.connection is not None
            assert socket._response.connection.transport is not None
            socket._response.connection.transport.abort()
            await until(lambda: house.world.counted("open_requests", route="default/web") == 0)

    asyncio.run(story())
