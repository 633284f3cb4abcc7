"""How requests reach an API server: the narrow interface that the client needs, and nothing about Kubernetes.

A transport answers with whatever status the server gave. It raises `stratos.base.errors.Unavailable` when there was no
answer, and while reading a stream that broke off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """An answer whose body arrives in pieces, for as long as the server likes."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response: ...

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> AbstractAsyncContextManager[StreamResponse]:
        """Open an answer that is read piece by piece. Leaving the context hangs up."""
        ...

    async def close(self) -> None:
        """Give back connections. Requests after that fail."""
        ...
