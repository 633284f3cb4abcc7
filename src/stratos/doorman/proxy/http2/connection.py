"""One HTTP/2 connection, as server or as client, and its streams. The protocol itself is the `h2` library's.

What arrives on a stream waits in its inbox until it is taken, and only then may the other side send as much again: so
a stream that nobody reads holds one window of bytes at the most. The window of the connection as a whole is given back
at once, or one stream that waits would stop all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from stratos.base.errors import StratosError

HeaderList = Sequence[tuple[bytes, bytes]]

STREAM_WINDOW_BYTES = 65_535
_CONNECTION_WINDOW_BYTES = 1024 * 1024


class StreamBroke(StratosError):
    """The other side ended the stream before its time, or its connection is gone."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Head:
    """Headers of a request or an answer, informational ones included."""

    headers: HeaderList


@dataclass(frozen=True, slots=True)
class Data:
    bytes: bytes
    window: int  # what it takes of the window, padding included


@dataclass(frozen=True, slots=True)
class Trailers:
    headers: HeaderList


Part = Head | Data | Trailers


class Stream:
    def __init__(self, connection: Http2Connection, id_: int) -> None:
        self.id = id_
        self.broken: StreamBroke | None = None
        self.sent_end = False
        self.got_end = False
        self.answering = False  # headers were sent that no others can follow
        self._connection = connection
        self._inbox: deque[Part] = deque()
        self._changed = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Nothing more will be received."""
        return self.got_end and not self._inbox

    async def receive(self) -> Part | None:
        """The next part; None at the end. Raises `StreamBroke`."""
        while not self._inbox:
            if self.got_end:
                return None
            if self.broken is not None:
                raise self.broken
            self._changed.clear()
            await self._changed.wait()
        part = self._inbox.popleft()
        if isinstance(part, Data):
            self._connection.give_back(self, part.window)
        return part

    def send_headers(self, headers: HeaderList, *, end: bool = False) -> None:
        self._connection.send_headers(self, headers, end)
        self.answering = self.answering or not _informational(headers)

    async def send_data(self, data: bytes) -> None:
        """Send it as fast as the other side allows. Raises `StreamBroke`."""
        rest = memoryview(data)
        while rest:
            await self._connection.wait_writable()
            room = self._connection.room(self)
            if room <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._connection.send_data(self, bytes(rest[:room]))
            rest = rest[room:]

    def send_end(self) -> None:
        if not self.sent_end:
            self._connection.send_end(self)

    def reset(self, code: int = ErrorCodes.CANCEL) -> None:
        """Break it off, unless it is over."""
        if self.broken is None and not (self.sent_end and self.got_end):
            self.broken = StreamBroke("it was broken off", code)
            self._connection.reset(self, code)

    # From the connection

    def arrived(self, part: Part) -> None:
        self._inbox.append(part)
        self._changed.set()

    def ended(self) -> None:
        self.got_end = True
        self._changed.set()

    def broke(self, error: StreamBroke) -> None:
        self.broken = self.broken or error
        self._changed.set()

    def window_opened(self) -> None:
        self._changed.set()


class Http2Connection(asyncio.Protocol):
    """``on_request`` is called for each stream that the other side opens, ``on_broke`` when one breaks off."""

    def __init__(
        self,
        *,
        client_side: bool,
        on_request: Callable[[Stream, Head], None] | None = None,
        on_broke: Callable[[Stream], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=client_side, header_encoding=None))
        if client_side:
            self._h2.local_settings = Settings(client=True, initial_values={SettingCodes.ENABLE_PUSH: 0})
        self._on_request = on_request
        self._on_broke = on_broke
        self._on_lost = on_lost
        self._streams: dict[int, Stream] = {}
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self.closing = False

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def peer(self) -> str:
        address = self._transport.get_extra_info("peername") if self._transport is not None else None
        return address[0] if isinstance(address, tuple) else "unknown"

    @property
    def has_room(self) -> bool:
        """Whether it may open one more stream."""
        limit = self._h2.remote_settings.max_concurrent_streams
        return not self.closing and self._h2.open_outbound_streams < limit

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW_BYTES)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except H2Error:  # the library has told the other side what was wrong
            self.close()
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._transport = None
        self._writable.set()
        for stream in tuple(self._streams.values()):
            self._break(stream, StreamBroke("the connection was lost", ErrorCodes.CONNECT_ERROR))
        if self._on_lost is not None:
            self._on_lost()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def close(self) -> None:
        """Say goodbye, unless that was said already, and hang up."""
        self.closing = True
        if self._transport is not None:
            with suppress(H2Error):
                self._h2.close_connection()
            self._flush()
            self._transport.close()

    # For streams

    def open(self, headers: HeaderList, *, end: bool) -> Stream:
        """Begin a stream of our own."""
        stream = Stream(self, self._h2.get_next_available_stream_id())
        self._streams[stream.id] = stream
        stream.sent_end = end
        self.send_headers(stream, headers, end)
        return stream

    def send_headers(self, stream: Stream, headers: HeaderList, end: bool) -> None:
        self._check(stream)
        with _ours(stream):
            self._h2.send_headers(stream.id, headers, end_stream=end)
        stream.sent_end = stream.sent_end or end
        self._settle(stream)

    def send_data(self, stream: Stream, data: bytes) -> None:
        self._check(stream)
        with _ours(stream):
            self._h2.send_data(stream.id, data)
        self._flush()

    def send_end(self, stream: Stream) -> None:
        self._check(stream)
        with _ours(stream):
            self._h2.end_stream(stream.id)
        stream.sent_end = True
        self._settle(stream)

    def reset(self, stream: Stream, code: int) -> None:
        with suppress(H2Error):  # it is over already
            self._h2.reset_stream(stream.id, code)
        self._settle(stream)

    def room(self, stream: Stream) -> int:
        """How many bytes may be sent on it at once now."""
        self._check(stream)
        with _ours(stream):
            return min(self._h2.local_flow_control_window(stream.id), self._h2.max_outbound_frame_size)

    async def wait_writable(self) -> None:
        await self._writable.wait()

    def give_back(self, stream: Stream, window: int) -> None:
        """What was taken from the inbox may be sent again."""
        if stream.got_end or stream.broken is not None or not window or self._transport is None:
            return
        with suppress(H2Error):  # it was reset by a frame that has just arrived
            self._h2.increment_flow_control_window(window, stream.id)
            self._flush()

    def _check(self, stream: Stream) -> None:
        if self._transport is None:
            raise StreamBroke("the connection was lost", ErrorCodes.CONNECT_ERROR)
        if stream.broken is not None:
            raise stream.broken

    # What arrives

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case WindowUpdated():
                for id_ in (event.stream_id,) if event.stream_id else tuple(self._streams):
                    self._window_opened(id_)
            case RemoteSettingsChanged():
                for id_ in tuple(self._streams):
                    self._window_opened(id_)
            case ConnectionTerminated():
                self.closing = True
            case _:
                if stream := self._streams.get(getattr(event, "stream_id", 0)):
                    self._take_part(stream, event)

    def _take_part(self, stream: Stream, event: Event) -> None:
        match event:
            case ResponseReceived() | InformationalResponseReceived():
                stream.arrived(Head(event.headers))
            case DataReceived():
                if event.flow_controlled_length:
                    self._h2.increment_flow_control_window(event.flow_controlled_length)
                    stream.arrived(Data(event.data, event.flow_controlled_length))
            case TrailersReceived():
                stream.arrived(Trailers(event.headers))
            case StreamEnded():
                stream.ended()
                self._settle(stream)
            case StreamReset():
                self._break(stream, StreamBroke("the other side broke it off", event.error_code))

    def _begin(self, event: RequestReceived) -> None:
        if self._on_request is None or self.closing:
            self._h2.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        stream = self._streams[event.stream_id] = Stream(self, event.stream_id)
        self._on_request(stream, Head(event.headers))

    def _window_opened(self, id_: int) -> None:
        if stream := self._streams.get(id_):
            stream.window_opened()

    def _break(self, stream: Stream, error: StreamBroke) -> None:
        stream.broke(error)
        self._streams.pop(stream.id, None)
        if self._on_broke is not None:
            self._on_broke(stream)

    def _settle(self, stream: Stream) -> None:
        """Forget a stream that is over on both sides, and send what is due."""
        if stream.broken is not None or (stream.sent_end and stream.got_end):
            self._streams.pop(stream.id, None)
        self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)


def _informational(headers: HeaderList) -> bool:
    return any(name == b":status" and value.startswith(b"1") for name, value in headers)


@contextmanager
def _ours(stream: Stream) -> Iterator[None]:
    """What the library refuses to send on a stream breaks that stream."""
    try:
        yield
    except H2Error as error:
        raise StreamBroke(str(error) or type(error).__name__, ErrorCodes.INTERNAL_ERROR) from error
