"""Each stream of a client's connection: routed by its own ``:authority``, held like any request, and passed on.

To backends that want HTTP/2, and always for gRPC, a stream becomes a stream: flow control, trailers and resets go
through. Other backends get the request in HTTP/1.1.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from urllib.parse import quote

import aiohttp
from h2.errors import ErrorCodes

from stratos.doorman.doorman import Doorman
from stratos.doorman.gate import Backend, Gate
from stratos.doorman.metrics import Outcome
from stratos.doorman.proxy.http2.carrying import body_of, carry_answer, carry_stream
from stratos.doorman.proxy.http2.connection import (
    STREAM_WINDOW_BYTES,
    Head,
    Http2Connection,
    Stream,
    StreamBroke,
)
from stratos.doorman.proxy.http2.pool import Http2Pool
from stratos.doorman.proxy.http2.request import Http2Request, as_bytes
from stratos.doorman.proxy.passage import BackendBroke, passage
from stratos.doorman.proxy.refusals import Refusal, no_route
from stratos.doorman.proxy.upstream import Resolve, Upstream
from stratos.doorman.proxy.visit import Visit, visit
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)

_GRPC_UNAVAILABLE, _GRPC_UNIMPLEMENTED = "14", "12"


class Http2Handler:
    def __init__(self, doorman: Doorman, upstream: Upstream, resolve: Resolve) -> None:
        self._doorman = doorman
        self._upstream = upstream
        self._pool = Http2Pool(resolve)
        self._connections: dict[Http2Connection, None] = {}
        self._tasks: dict[Stream, asyncio.Task[None]] = {}

    def protocol(self) -> Http2Connection:
        """For a connection that a client has begun."""
        connection = Http2Connection(
            client_side=False,
            on_request=lambda stream, head: self._begin(connection, stream, head),
            on_broke=self._broke,
            on_lost=lambda: self._connections.pop(connection, None),
        )
        self._connections[connection] = None
        return connection

    async def shutdown(self, grace_seconds: float) -> None:
        """Let streams under way finish, and take no new ones."""
        for connection in self._connections:
            connection.closing = True
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace_seconds)
        for task in tuple(self._tasks.values()):
            task.cancel()
        for connection in tuple(self._connections):
            connection.close()
        self._pool.close()

    def _begin(self, connection: Http2Connection, stream: Stream, head: Head) -> None:
        task = asyncio.create_task(self._serve(connection, stream, Http2Request(head.headers)))
        self._tasks[stream] = task
        task.add_done_callback(partial(self._served, stream))

    def _served(self, stream: Stream, task: asyncio.Task[None]) -> None:
        del self._tasks[stream]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("request crashed", error=error)
            stream.reset(ErrorCodes.INTERNAL_ERROR)

    def _broke(self, stream: Stream) -> None:
        """Its client has gone away: nobody waits, nobody wants the answer."""
        if task := self._tasks.get(stream):
            task.cancel()

    async def _serve(self, connection: Http2Connection, stream: Stream, request: Http2Request) -> None:
        gate = self._doorman.gate(request.authority)
        if gate is None:
            self._doorman.metrics.requests.labels("", Outcome.NO_ROUTE).inc()
            await _refuse(stream, request, no_route(request.authority, ready=self._doorman.ready))
            return
        headers = dict(request.headers)
        with visit(
            self._doorman, gate, method=request.method, authority=request.authority, headers=headers
        ) as this_visit:
            request.check()
            with suppress(StreamBroke):  # of the client
                await self._through(stream, request, gate, connection.peer, this_visit)
                this_visit.outcome = Outcome.ANSWERED
        if this_visit.refusal is not None:
            await _refuse(stream, request, this_visit.refusal)
        stream.reset(ErrorCodes.NO_ERROR)  # answered before its request had ended: the rest is not wanted

    async def _through(self, stream: Stream, request: Http2Request, gate: Gate, client: str, this_visit: Visit) -> None:
        held_bytes = 0 if stream.finished else STREAM_WINDOW_BYTES

        async def reach_http2(backend: Backend) -> Stream:
            connection = await self._pool.connection(backend)
            headers = request.for_http2(client, this_visit.ask(backend))
            try:
                return connection.open(headers, end=stream.finished)
            except StreamBroke as error:
                raise BackendBroke(f"{gate.route.service} took no request: {error.message}") from error

        async def reach_http1(backend: Backend) -> aiohttp.ClientResponse:
            headers = request.for_http1(client, this_visit.ask(backend))
            body = None if stream.finished else body_of(stream, gate)
            return await self._upstream.request(backend, request.method, request.path, headers, body)

        if gate.route.http2 or request.grpc:
            async with passage(gate, held_bytes, reach_http2) as service:
                await carry_stream(stream, service, gate, this_visit)
        else:
            async with passage(gate, held_bytes, reach_http1) as answer, answer:
                this_visit.answered(answer.status)
                await carry_answer(answer, stream, gate)


async def _refuse(stream: Stream, request: Http2Request, refusal: Refusal) -> None:
    """Say why, or break off an answer that has begun. gRPC has words of its own, in an answer without a body."""
    if stream.answering or stream.broken is not None:
        stream.reset(ErrorCodes.INTERNAL_ERROR)
        return
    headers = refusal.headers
    with suppress(StreamBroke):  # there is nobody left to tell
        if request.grpc:
            status = _GRPC_UNIMPLEMENTED if refusal.outcome is Outcome.NO_ROUTE else _GRPC_UNAVAILABLE
            told = {"grpc-status": status, "grpc-message": quote(refusal.message)}
            headers = {**headers, "content-type": "application/grpc", **told}
            stream.send_headers(as_bytes([(":status", "200"), *headers.items()]), end=True)
        else:
            stream.send_headers(as_bytes([(":status", str(refusal.status)), *headers.items()]))
            await stream.send_data(refusal.body)
            stream.send_end()
