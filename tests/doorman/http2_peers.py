"""A client and a server of HTTP/2 made of nothing but the `h2` library, to hold the doorman's own use of it to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection

Headers = Sequence[tuple[str, str]]


@dataclass
class Exchange:
    """What was received on a stream so far."""

    id: int
    heads: list[dict[str, str]] = field(default_factory=list)
    head_ended: bool = False  # the headers came with the end of the stream
    body: bytes = b""
    read: int = 0
    trailers: dict[str, str] | None = None
    ended: bool = False
    reset: int | None = None

    @property
    def head(self) -> dict[str, str]:
        return self.heads[-1]


class Peer:
    """One connection. With ``greedy`` false, nothing of a window is given back."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool, greedy: bool = True
    ) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        self.exchanges: dict[int, Exchange] = defaultdict(lambda: Exchange(0))
        self._reader, self._writer = reader, writer
        self._greedy = greedy
        self._changed = asyncio.Event()
        self.on_request: Callable[[Exchange], Awaitable[None]] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())

    async def run(self) -> None:
        with suppress(ConnectionError):
            while data := await self._reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._take(event)
                self.flush()
                self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def ended(self, exchange: Exchange) -> None:
        await self.until(lambda: exchange.ended)

    async def more(self, exchange: Exchange) -> bytes:
        """What came of a body since it was last asked for; nothing at the end."""
        await self.until(lambda: len(exchange.body) > exchange.read or exchange.ended)
        news, exchange.read = exchange.body[exchange.read :], len(exchange.body)
        return news

    def ask(self, headers: Headers, *, end: bool = True) -> Exchange:
        exchange = Exchange(self.h2.get_next_available_stream_id())
        self.exchanges[exchange.id] = exchange
        self.send_headers(exchange, headers, end=end)
        return exchange

    def send_headers(self, exchange: Exchange, headers: Headers, *, end: bool = False) -> None:
        self.h2.send_headers(exchange.id, list(headers), end_stream=end)
        self.flush()

    async def send(self, exchange: Exchange, data: bytes, *, end: bool = False) -> None:
        while data:
            await self.until(lambda: self.h2.local_flow_control_window(exchange.id) > 0)
            room = min(self.h2.local_flow_control_window(exchange.id), self.h2.max_outbound_frame_size)
            self.h2.send_data(exchange.id, data[:room])
            data = data[room:]
            self.flush()
        if end:
            self.h2.end_stream(exchange.id)
            self.flush()

    def give_back(self, exchange: Exchange, window: int) -> None:
        self.h2.acknowledge_received_data(window, exchange.id)
        self.flush()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._writer.transport.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                exchange = self.exchanges[event.stream_id] = Exchange(event.stream_id, [_text(event.headers)])
                exchange.head_ended = event.stream_ended is not None
                assert self.on_request is not None
                self._tasks.append(asyncio.ensure_future(self.on_request(exchange)))
            case h2.events.ResponseReceived():
                exchange = self.exchanges[event.stream_id]
                exchange.heads.append(_text(event.headers))
                exchange.head_ended = event.stream_ended is not None
            case h2.events.DataReceived():
                self.exchanges[event.stream_id].body += event.data
                if self._greedy:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.exchanges[event.stream_id].trailers = _text(event.headers)
            case h2.events.StreamEnded():
                self.exchanges[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.exchanges[event.stream_id].reset = int(event.error_code)


def _text(headers: object) -> dict[str, str]:
    return dict(headers)  # type: ignore[call-overload, no-any-return]


@asynccontextmanager
async def a_client(port: int, *, greedy: bool = True) -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port), client=True, greedy=greedy)
    running = asyncio.create_task(peer.run())
    try:
        yield peer
    finally:
        running.cancel()
        await asyncio.wait({running})
        await peer.close()


@asynccontextmanager
async def a_server(serve: Callable[[Peer, Exchange], Awaitable[None]]) -> AsyncIterator[int]:
    """``serve`` is called for each request. The block is given the port."""
    tasks: dict[asyncio.Task[None], Peer] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, client=False)
        peer.on_request = lambda exchange: serve(peer, exchange)
        task = asyncio.ensure_future(peer.run())
        tasks[task] = peer

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, peer in tasks.items():
            task.cancel()
            await peer.close()
        if tasks:
            await asyncio.wait(tasks)


def a_call(path: str = "/shop.Cart/Add", host: str = "web.test") -> list[tuple[str, str]]:
    """The headers of a gRPC call."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
