"""The port: the first bytes of a connection tell whether it speaks HTTP/1.1 or HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from stratos.base.errors import Unavailable
from stratos.doorman.doorman import Doorman
from stratos.doorman.gate import Backend
from stratos.doorman.proxy.http1 import Http1Handler
from stratos.doorman.proxy.http2.handler import Http2Handler
from stratos.doorman.proxy.incoming import BUFFER_BYTES, HEADER_BYTES_MAX
from stratos.doorman.proxy.upstream import Resolve, Upstream

_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FIRST_BYTES_SECONDS = 30.0
_REST_SECONDS = 75.0  # longer than proxies before us keep connections, so that it is they who close
_BACKLOG = 4096  # many come at once to what sleeps


def own_address(backend: Backend) -> tuple[str, int]:
    return backend.host, backend.port


@asynccontextmanager
async def serving(
    doorman: Doorman,
    *,
    host: str | None,
    port: int,
    resolve: Resolve = own_address,
    grace_seconds: float = 10.0,
    connections_max: int = 0,
) -> AsyncGenerator[int]:
    """Let requests through for the length of the block, which is given the port: a free one when ``port`` is 0.

    At the end no new ones are taken, and those under way have ``grace_seconds`` to finish. ``connections_max`` is for
    those to backends; 0: as many as there are requests.
    """
    loop = asyncio.get_running_loop()
    upstream = Upstream(resolve, connections_max)
    http1 = web.Server(
        Http1Handler(doorman, upstream),
        handler_cancellation=True,  # who has gone away waits no longer
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=_REST_SECONDS,
        read_bufsize=BUFFER_BYTES,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
    )
    http2 = Http2Handler(doorman, upstream, resolve)
    silent: dict[_Sniffer, None] = {}
    try:
        try:
            server = await loop.create_server(
                lambda: _Sniffer(silent, http1, http2.protocol), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another address with --listen"
            ) from error
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for sniffer in tuple(silent):
                sniffer.close()
            http1.pre_shutdown()  # closes connections that rest; the others when their request is done
            await asyncio.gather(http1.shutdown(grace_seconds), http2.shutdown(grace_seconds))
    finally:
        await upstream.close()


class _Sniffer(asyncio.Protocol):
    """Reads until it knows the protocol, then steps aside. ``silent`` are those that do not know yet."""

    def __init__(
        self,
        silent: dict[_Sniffer, None],
        http1: Callable[[], asyncio.Protocol],
        http2: Callable[[], asyncio.Protocol],
    ) -> None:
        self._silent = silent
        self._http1 = http1
        self._http2 = http2
        self._seen = b""
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._silent[self] = None
        self._due = asyncio.get_running_loop().call_later(_FIRST_BYTES_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._step_aside()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if len(self._seen) < len(_HTTP2_PREFACE) and _HTTP2_PREFACE.startswith(self._seen):
            return
        self._step_aside()
        protocol = self._http2() if self._seen.startswith(_HTTP2_PREFACE) else self._http1()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._seen)

    def close(self) -> None:
        self._transport.close()

    def _step_aside(self) -> None:
        self._silent.pop(self, None)
        if self._due is not None:
            self._due.cancel()
            self._due = None
