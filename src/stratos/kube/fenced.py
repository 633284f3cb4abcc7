"""A transport that lets nothing be changed by a process whose term as leader is over.

A leader that was paused (a stopped process, a frozen machine) does not know it when it goes on, and is in the middle of
what it was doing. So it is asked at the moment of each write, by its own clock, whether its term still runs. Reads harm
nobody, and pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from stratos.base.errors import NotLeading
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport

_READS = frozenset({"GET", "HEAD"})


class FencedTransport:
    """A `Transport` in front of another: writes pass while ``leading`` says so. Closing it leaves the other open."""

    def __init__(self, transport: Transport, leading: Callable[[], bool]) -> None:
        self._transport = transport
        self._leading = leading

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        if method not in _READS and not self._leading():
            raise NotLeading(f"{method} {path} was not sent: this process does not lead any more")
        return await self._transport.request(method, path, query=query, headers=headers, body=body)

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
