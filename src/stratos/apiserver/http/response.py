"""Answers: whole ones, and streams that last until the client leaves."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from stratos.apiserver.http.request import Request, Send
from stratos.apiserver.registry.codec import encode_json
from stratos.apiserver.registry.status import ApiError

Headers = list[tuple[bytes, bytes]]
_GZIP_FROM_BYTES = 128 * 1024  # as the real server: below, the network is quicker than the processor


class Answer(Protocol):
    code: int
    headers: Headers

    async def send(self, request: Request, send: Send) -> None: ...


@dataclass(slots=True)
class Response:
    """A whole answer."""

    body: bytes
    code: int = 200
    content_type: bytes = b"application/json"
    headers: Headers = field(default_factory=list)

    async def send(self, request: Request, send: Send) -> None:
        body = self.body
        if len(body) >= _GZIP_FROM_BYTES and _accepts_gzip(request):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.headers.append((b"content-encoding", b"gzip"))
        start: Headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.code, "headers": start})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


@dataclass(slots=True)
class Stream:
    """An answer that is written bit by bit, until it ends or nobody listens."""

    chunks: AsyncGenerator[bytes, None]
    code: int = 200
    content_type: bytes = b"application/json"
    headers: Headers = field(default_factory=list)
    may_compress: bool = False  # of use only where what comes next does not depend on the client having read this

    async def send(self, request: Request, send: Send) -> None:
        chunks = self.chunks
        if self.may_compress and _accepts_gzip(request):
            chunks = _compressed(chunks)
            self.headers.append((b"content-encoding", b"gzip"))
        writing = asyncio.create_task(self._write(chunks, send))
        leaving = asyncio.create_task(request.wait_until_gone())
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
        if not writing.cancelled():
            writing.result()

    async def _write(self, chunks: AsyncGenerator[bytes, None], send: Send) -> None:
        start: Headers = [(b"content-type", self.content_type), *self.headers]
        await send({"type": "http.response.start", "status": self.code, "headers": start})
        await send({"type": "http.response.body", "body": b"", "more_body": True})  # the client sees that it is open
        async with aclosing(chunks):
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _accepts_gzip(request: Request) -> bool:
    return "gzip" in request.header(b"accept-encoding")


async def _compressed(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(level=1, wbits=31)  # 31: with gzip's header and trailer
    async with aclosing(chunks):
        async for chunk in chunks:
            if packed := packer.compress(chunk):
                yield packed
    yield packer.flush()


def json_response(value: object, code: int = 200) -> Response:
    return Response(encode_json(value), code)


def refusal(error: ApiError) -> Response:
    response = json_response(error.status(), error.code)
    if error.retry_after_seconds is not None:
        response.headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    if error.code == 401:
        response.headers.append((b"www-authenticate", b'Bearer realm="kubernetes"'))
    return response


def warning_headers(warnings: Sequence[str]) -> Headers:
    """One ``Warning`` header for each thing the client should know."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for text in dict.fromkeys(warnings))
    return [(b"warning", f'299 - "{text}"'.encode()) for text in escaped]
