"""A transport that calls an ASGI application directly: no socket, no threads, and virtual time works.

The application cannot tell it from a server: a write goes on when its caller is cancelled, and hanging up on a stream
is an ``http.disconnect``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from stratos.base.errors import Unavailable
from stratos.kube.transport import NOTHING, Response, StreamResponse

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_CHUNKS_IN_FLIGHT = 64  # as a socket buffer would: a slow reader holds up the sender, not the memory
_HANG_UP_SECONDS = 1.0  # how long an application may take to notice a disconnect before it is cancelled


class InProcessTransport:
    """Calls ``app`` as the bearer of ``token``."""

    def __init__(self, app: AsgiApp, *, token: str | None = None) -> None:
        self._app = app
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._writes: set[asyncio.Task[Response]] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        exchange = _Exchange(self._app, self._scope(method, path, query, headers), body or b"")
        if method in _READS:
            return await exchange.answer()
        # A server that has read a write finishes it, whatever becomes of the caller.
        write = asyncio.ensure_future(exchange.answer())
        self._writes.add(write)
        write.add_done_callback(self._forget)
        return await asyncio.shield(write)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> AsyncIterator[StreamResponse]:
        stream = _Stream(self._app, self._scope(method, path, query, headers))
        try:
            yield await stream.open()
        finally:
            await stream.hang_up()

    async def close(self) -> None:
        """Wait for the writes whose callers have gone."""
        if self._writes:
            await asyncio.wait(set(self._writes))

    def _forget(self, write: asyncio.Task[Response]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # retrieved here for callers that have gone; the others get it from the shield

    def _scope(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Message:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query).encode() if query else b"",
            "headers": [(n.lower().encode(), v.encode()) for n, v in (*self._headers.items(), *headers.items())],
            "client": None,
            "server": ("in-process", None),
            "extensions": {},
        }


def _decoded(headers: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


class _Exchange:
    """One request and its whole answer."""

    __slots__ = ("_app", "_body", "_done", "_headers", "_pieces", "_scope", "_status")

    def __init__(self, app: AsgiApp, scope: Message, body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._done: asyncio.Future[None] | None = None
        self._status: int | None = None
        self._headers: Any = ()
        self._pieces: list[bytes] = []

    async def answer(self) -> Response:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            raise Unavailable(f"the server failed on {self._scope['method']} {self._scope['path']}") from error
        finally:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)
        if self._status is None:
            raise Unavailable(f"the server did not answer {self._scope['method']} {self._scope['path']}")
        return Response(self._status, _decoded(self._headers), b"".join(self._pieces))

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        # We never hang up before the answer is complete.
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._done)
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message.get("headers", ())
        else:
            self._pieces.append(message.get("body", b""))


class _Stream:
    """One request whose answer is handed over piece by piece, by a task of its own."""

    def __init__(self, app: AsgiApp, scope: Message) -> None:
        self._app = app
        self._scope = scope
        self._asked = False
        self._start: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_IN_FLIGHT)
        self._hung_up = asyncio.Event()
        self._complete = False
        self._failure: Exception | None = None
        self._task = asyncio.ensure_future(self._serve())

    async def open(self) -> StreamResponse:
        start = await self._start
        return StreamResponse(start["status"], _decoded(start.get("headers", ())), self._read())

    async def hang_up(self) -> None:
        self._hung_up.set()
        while not self._chunks.empty():  # wakes a sender that waits for room
            self._chunks.get_nowait()
        try:
            await asyncio.wait({self._task}, timeout=_HANG_UP_SECONDS)
        finally:
            self._task.cancel()
        await asyncio.wait({self._task})

    async def _serve(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            self._failure = error
        finally:
            if not self._start.done():
                self._start.set_exception(self._broken_off())
            if not self._hung_up.is_set():
                await self._chunks.put(None)

    def _broken_off(self) -> Unavailable:
        error = Unavailable(f"the stream of {self._scope['path']} broke off")
        error.__cause__ = self._failure
        return error

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._hung_up.is_set():
            return
        if message["type"] == "http.response.start":
            if not self._start.done():
                self._start.set_result(message)
            return
        self._complete = not message.get("more_body", False)
        if body := message.get("body", b""):
            await self._chunks.put(body)

    async def _read(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
        if not self._complete:
            raise self._broken_off()
