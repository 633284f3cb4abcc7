"""HTTP/1.1: requests and answers are streamed through; nothing of a body is kept beyond what flow control lets in.

A client that announces ``Expect: 100-continue`` is told to go on only when a backend is there to take the body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from stratos.doorman.doorman import Doorman
from stratos.doorman.gate import Backend, Gate
from stratos.doorman.metrics import Outcome
from stratos.doorman.proxy.headers import end_to_end
from stratos.doorman.proxy.incoming import held_bytes, onward_headers, target_of
from stratos.doorman.proxy.passage import BackendBroke, passage
from stratos.doorman.proxy.refusals import Refusal, no_route
from stratos.doorman.proxy.upstream import Upstream
from stratos.doorman.proxy.visit import Visit, visit
from stratos.doorman.proxy.websocket import wants_websocket, websocket_through


class Http1Handler:
    def __init__(self, doorman: Doorman, upstream: Upstream) -> None:
        self._doorman = doorman
        self._upstream = upstream

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        authority = request.headers.get(hdrs.HOST, "")
        gate = self._doorman.gate(authority)
        if gate is None:
            self._doorman.metrics.requests.labels("", Outcome.NO_ROUTE).inc()
            return _refused(no_route(authority, ready=self._doorman.ready))
        with visit(
            self._doorman, gate, method=request.method, authority=authority, headers=request.headers
        ) as this_visit:
            if wants_websocket(request):
                response = await websocket_through(request, gate, self._upstream, this_visit)
            else:
                response = await self._through(request, gate, this_visit)
        return response if this_visit.refusal is None else _refused(this_visit.refusal)

    async def _through(self, request: web.BaseRequest, gate: Gate, this_visit: Visit) -> web.StreamResponse:
        target = target_of(request)

        async def reach(backend: Backend) -> aiohttp.ClientResponse:
            headers = onward_headers(request, this_visit.ask(backend), "expect")
            body = _body(request, gate) if request.can_read_body else None
            return await self._upstream.request(backend, request.method, target, headers.items(), body)

        async with passage(gate, held_bytes(request), reach) as answer, answer:
            this_visit.answered(answer.status)
            response = await _answer(request, answer, gate)
            this_visit.outcome = Outcome.ANSWERED
            return response


async def _body(request: web.BaseRequest, gate: Gate) -> AsyncIterator[bytes]:
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        gate.metrics.bytes_in.inc(len(chunk))
        yield chunk


async def _answer(request: web.BaseRequest, answer: aiohttp.ClientResponse, gate: Gate) -> web.StreamResponse:
    headers = CIMultiDict(end_to_end(answer.headers.items()))
    if answer.content.is_eof() and (body := await answer.content.read()):
        # All of it came in one go, as short answers do, and goes on in one go.
        gate.metrics.bytes_out.inc(len(body))
        return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            gate.metrics.bytes_out.inc(len(chunk))
            await response.write(chunk)
    except aiohttp.ClientError as error:
        # The client has a part of the answer: that there will be no more is all that can be said.
        if request.transport is not None:
            request.transport.abort()
        raise BackendBroke(f"{gate.route.service} broke off within its answer") from error
    await response.write_eof()
    return response


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, body=refusal.body, headers=refusal.headers)
