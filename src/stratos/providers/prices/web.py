"""Read public lists over HTTPS, patiently: they are large, throttled, and now and then break off half-way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
import msgspec

from stratos.base.errors import Invalid, Unavailable

T = TypeVar("T")

_WAITS_SECONDS = (1.0, 4.0, 15.0)
_LONGEST_WAIT_SECONDS = 60.0
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_SILENCE_SECONDS = 60.0
_LONGEST_LINE_BYTES = 1024 * 1024


class Web:
    """GET requests that are tried again where waiting helps. ``waits_seconds`` are the pauses between the tries."""

    def __init__(self, session: aiohttp.ClientSession, waits_seconds: Sequence[float] = _WAITS_SECONDS) -> None:
        self._session = session
        self._waits_seconds = waits_seconds

    async def json(self, url: str, shape: type[T], query: Mapping[str, str] | None = None) -> T:
        """One JSON document of that shape. Raises `Unavailable`, or `Invalid` when it has another shape."""

        async def parse(body: aiohttp.StreamReader) -> T:
            return msgspec.json.decode(await body.read(), type=shape)

        return await self._read(url, query, parse)

    async def lines(self, url: str, take: Callable[[AsyncIterator[str]], Awaitable[T]]) -> T:
        """What ``take`` makes of the lines. If they break off, it is called anew with all of them."""

        async def parse(body: aiohttp.StreamReader) -> T:
            return await take(_decoded(body))

        return await self._read(url, None, parse)

    async def _read(
        self,
        url: str,
        query: Mapping[str, str] | None,
        parse: Callable[[aiohttp.StreamReader], Awaitable[T]],
    ) -> T:
        failures: list[str] = []
        for pause in (*self._waits_seconds, None):
            asked_for = 0.0
            try:
                async with self._session.get(url, params=query) as answer:
                    if answer.status == 200:
                        return await parse(answer.content)
                    failures.append(f"HTTP {answer.status}: {(await answer.text(errors='replace'))[:200].strip()}")
                    if answer.status not in _PASSING:
                        break
                    asked_for = _retry_after_seconds(answer)
            except msgspec.ValidationError as error:  # it came whole, and is something else
                raise Invalid(f"{url} answers in a shape we do not know: {error}") from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failures.append(str(error) or type(error).__name__)
            except ValueError as error:  # undecodable: what a cut answer looks like
                failures.append(f"the answer is broken: {error}")
            if pause is not None:
                await asyncio.sleep(max(pause, asked_for))
        raise Unavailable(
            f"cannot read {url}",
            looked_at=tuple(failures),
            hint="is the network up, and does a proxy stand between? HTTPS_PROXY is respected",
        )


@asynccontextmanager
async def open_web() -> AsyncIterator[Web]:
    """The real web. Proxies of the environment are respected; no cookies are kept."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout,
        trust_env=True,
        headers={"user-agent": "stratos", "accept-encoding": "gzip"},
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_LONGEST_LINE_BYTES,
    ) as session:
        yield Web(session)


async def _decoded(body: aiohttp.StreamReader) -> AsyncIterator[str]:
    async for line in body:
        yield line.decode()


def _retry_after_seconds(answer: aiohttp.ClientResponse) -> float:
    """How long the server asks us to wait, if it says so in seconds."""
    value = answer.headers.get("retry-after", "")
    return min(float(value), _LONGEST_WAIT_SECONDS) if value.isdigit() else 0.0
