"""A transport that lets nothing be changed by a process whose term as leader is over.

A leader that was paused (a stopped process, a frozen machine) does not know it when it goes on, and is in the middle of
what it was doing. So at each write it is asked, by its own clock, how long its term still runs; a write that is still
under way when it ends is given up, for it may not have been sent yet. Reads harm nobody, and pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from stratos.base.errors import NotLeading, Unavailable
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport

_READS = frozenset({"GET", "HEAD"})


class FencedTransport:
    """A `Transport` in front of another, open to writes for as long as ``term_left`` is above zero."""

    def __init__(self, transport: Transport, term_left: Callable[[], float]) -> None:
        self._transport = transport
        self._term_left = term_left

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        if method in _READS:
            return await self._transport.request(method, path, query=query, headers=headers, body=body)
        left_seconds = self._term_left()
        if left_seconds <= 0:
            raise NotLeading(f"{method} {path} was not sent: this process does not lead any more")
        try:
            async with asyncio.timeout(left_seconds):
                return await self._transport.request(method, path, query=query, headers=headers, body=body)
        except TimeoutError as error:
            raise Unavailable(f"{method} {path} was given up: it took longer than this process leads") from error

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> AbstractAsyncContextManager[StreamResponse]:
        return self._transport.stream(method, path, query=query, headers=headers)

    async def close(self) -> None:
        """The other transport is shared with the election, which outlives a term."""
