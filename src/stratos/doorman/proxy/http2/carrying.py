"""What is carried between a client's stream and a backend: another stream, or an answer of HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
from h2.errors import ErrorCodes

from stratos.doorman.gate import Gate
from stratos.doorman.proxy.headers import end_to_end
from stratos.doorman.proxy.http2.connection import Data, Head, Part, Stream, StreamBroke, Trailers
from stratos.doorman.proxy.http2.request import as_bytes, status_of
from stratos.doorman.proxy.passage import BackendBroke
from stratos.doorman.proxy.visit import Visit


async def carry_stream(client: Stream, service: Stream, gate: Gate, this_visit: Visit) -> None:
    """Carry both ways at once until the service has answered in full. Raises `BackendBroke` if it does not."""
    uploading = asyncio.create_task(_upload(client, service, gate))
    try:
        while (part := await _from(service)) is not None:
            match part:
                case Head():
                    this_visit.answered(status_of(part.headers))
                    # An answer of headers alone must stay one: gRPC tells its errors so.
                    client.send_headers(part.headers, end=service.finished)
                case Data():
                    gate.metrics.bytes_out.inc(len(part.bytes))
                    await client.send_data(part.bytes)
                case Trailers():
                    client.send_headers(part.headers, end=True)
        client.send_end()
    finally:
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)
        service.reset(ErrorCodes.CANCEL)


async def _from(service: Stream) -> Part | None:
    try:
        return await service.receive()
    except StreamBroke as error:
        raise BackendBroke(f"the backend did not finish its answer: {error.message}") from error


async def _upload(client: Stream, service: Stream, gate: Gate) -> None:
    """What breaks here shows on the way back too, and is told there."""
    with suppress(StreamBroke):
        while (part := await client.receive()) is not None:
            match part:
                case Data():
                    gate.metrics.bytes_in.inc(len(part.bytes))
                    await service.send_data(part.bytes)
                case Trailers():
                    service.send_headers(part.headers, end=True)
                case Head():
                    pass  # a request has one head, and it has been sent
        service.send_end()


async def body_of(client: Stream, gate: Gate) -> AsyncIterator[bytes]:
    """The body for a backend of HTTP/1.1; trailers end here."""
    while (part := await client.receive()) is not None:
        if isinstance(part, Data):
            gate.metrics.bytes_in.inc(len(part.bytes))
            yield part.bytes


async def carry_answer(answer: aiohttp.ClientResponse, client: Stream, gate: Gate) -> None:
    headers = ((name.lower(), value) for name, value in end_to_end(answer.headers.items()))
    client.send_headers(as_bytes([(":status", str(answer.status)), *headers]))
    try:
        async for chunk in answer.content.iter_any():
            gate.metrics.bytes_out.inc(len(chunk))
            await client.send_data(chunk)
    except aiohttp.ClientError as error:
        raise BackendBroke(f"{gate.route.service} broke off within its answer") from error
    client.send_end()
