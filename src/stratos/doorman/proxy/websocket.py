"""WebSockets: messages, pings and the reasons for closing are carried both ways for as long as both sides stay.

The backend is asked first, so that a client is never told yes by the doorman and no by the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import WSMsgType, hdrs, web

from stratos.doorman.gate import Backend, Gate
from stratos.doorman.metrics import Outcome
from stratos.doorman.proxy.incoming import onward_headers, target_of
from stratos.doorman.proxy.passage import passage
from stratos.doorman.proxy.upstream import Upstream
from stratos.doorman.proxy.visit import Visit

_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_NORMAL, _GOING_AWAY = 1000, 1001
_OF_THE_HANDSHAKE = (
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
)

_Side = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


def wants_websocket(request: web.BaseRequest) -> bool:
    return request.method == "GET" and request.headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"


async def websocket_through(
    request: web.BaseRequest, gate: Gate, upstream: Upstream, this_visit: Visit
) -> web.StreamResponse:
    words = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
    protocols = [word.strip() for word in words if word.strip()]
    target = target_of(request)

    async def reach(backend: Backend) -> aiohttp.ClientWebSocketResponse:
        headers = onward_headers(request, this_visit.ask(backend), *_OF_THE_HANDSHAKE)
        return await upstream.websocket(backend, target, headers.items(), protocols, message_bytes=_MESSAGE_BYTES_MAX)

    try:
        async with passage(gate, 0, reach) as service, service:
            this_visit.answered(101)
            this_visit.outcome = Outcome.ANSWERED
            client = web.WebSocketResponse(
                protocols=(service.protocol,) if service.protocol else (),
                autoclose=False,
                autoping=False,
                compress=False,
                max_msg_size=_MESSAGE_BYTES_MAX,
            )
            await client.prepare(request)
            await _carry_both_ways(client, service, gate)
            return client
    except aiohttp.WSServerHandshakeError as refused:
        # What else the service said is gone with its connection.
        this_visit.answered(refused.status)
        this_visit.outcome = Outcome.ANSWERED
        return web.Response(status=refused.status, text=f"{gate.route.service} refused the WebSocket\n")


async def _carry_both_ways(client: web.WebSocketResponse, service: aiohttp.ClientWebSocketResponse, gate: Gate) -> None:
    """Carry until one side closes, and tell the other."""
    ways = (
        asyncio.create_task(_carry(client, service, gate.metrics.bytes_in.inc)),
        asyncio.create_task(_carry(service, client, gate.metrics.bytes_out.inc)),
    )
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        code, reason = next(way.result() for way in ways if way in done)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    await asyncio.gather(client.close(code=code, message=reason), service.close(code=code, message=reason))


async def _carry(source: _Side, sink: _Side, count: Callable[[float], None]) -> tuple[int, bytes]:
    """Carry messages one way until there are no more. Says how the source closed."""
    while True:
        message = await source.receive()
        try:
            match message.type:
                case WSMsgType.TEXT:
                    count(len(message.data))
                    await sink.send_str(message.data)
                case WSMsgType.BINARY:
                    count(len(message.data))
                    await sink.send_bytes(message.data)
                case WSMsgType.PING:
                    await sink.ping(message.data)
                case WSMsgType.PONG:
                    await sink.pong(message.data)
                case WSMsgType.CLOSE:
                    return message.data or _NORMAL, (message.extra or "").encode()
                case _:
                    return _GOING_AWAY, b""
        except ConnectionError:  # the sink is gone
            return _GOING_AWAY, b""
