"""Requests to backends over HTTP/1.1, each sent once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from stratos.doorman.gate import Backend
from stratos.doorman.proxy.incoming import HEADER_BYTES_MAX
from stratos.doorman.proxy.passage import BackendBroke, Unreachable

Resolve = Callable[[Backend], tuple[str, int]]
"""Where a backend listens. In a cluster that is the pod's own address."""

CONNECT_SECONDS = 5.0
# Servers close connections that rest, some after five seconds: a request must never be what finds out.
_REST_SECONDS = 4.0

_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """The session would send requests again that a resting connection lost; what was lost we cannot know."""
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unreachable(f"no connection to {request.url.host}:{request.url.port}: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise BackendBroke(f"{request.url.host}:{request.url.port} broke off before it answered: {error}") from error


class Upstream:
    def __init__(self, resolve: Resolve, connections_max: int = 0) -> None:
        """Beyond ``connections_max``, if it is not 0, requests wait for a connection to be free."""
        self._resolve = resolve
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections_max, keepalive_timeout=_REST_SECONDS, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            auto_decompress=False,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            middlewares=(_send_once,),
        )

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self,
        backend: Backend,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: AsyncIterator[bytes] | None,
    ) -> aiohttp.ClientResponse:
        """The head of the answer. ``target`` is a path with its query, passed on as it is."""
        return await self._session.request(
            method, self._url(backend, target), headers=CIMultiDict(headers), data=body, allow_redirects=False
        )

    async def websocket(
        self,
        backend: Backend,
        target: str,
        headers: Iterable[tuple[str, str]],
        protocols: Iterable[str],
        *,
        message_bytes: int,
    ) -> aiohttp.ClientWebSocketResponse:
        """Raises `aiohttp.WSServerHandshakeError` when the backend wants none."""
        return await self._session.ws_connect(
            self._url(backend, target),
            headers=CIMultiDict(headers),
            protocols=protocols,
            autoclose=False,
            autoping=False,
            max_msg_size=message_bytes,
        )

    def _url(self, backend: Backend, target: str) -> URL:
        host, port = self._resolve(backend)
        return URL(f"http://{f'[{host}]' if ':' in host else host}:{port}{target}", encoded=True)
