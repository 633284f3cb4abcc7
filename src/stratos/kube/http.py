"""The transport to a real server: HTTPS over aiohttp, with the identity that a kubeconfig gives.

Connections are kept and shared; a watch holds one for itself. ``HTTPS_PROXY`` and ``NO_PROXY`` are respected.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unavailable
from stratos.kube.credentials import credentials_for
from stratos.kube.kubeconfig import ClusterAccess
from stratos.kube.transport import NOTHING, Response, StreamResponse

_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0  # a server gives up on a request after as long
_CHUNK_BYTES = 256 * 1024


class AiohttpTransport:
    """Opens its connections when first used, in the loop that uses it."""

    def __init__(self, access: ClusterAccess, *, clock: Clock) -> None:
        self._access = access
        self._credentials = credentials_for(access, clock=clock)
        self._ssl = _ssl_context(access) if access.server.startswith("https://") else None
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS)
        answer = await self._open(method, path, query=query, headers=headers, body=body, timeout=timeout)
        try:
            return Response(answer.status, _lower(answer), await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            answer.release()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> AsyncIterator[StreamResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        answer = await self._open(method, path, query=query, headers=headers, body=None, timeout=timeout)
        try:
            yield StreamResponse(answer.status, _lower(answer), self._chunks(answer))
        finally:
            answer.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """An answer whose body is still to be read; asked for again with a fresh look at rejected credentials."""
        for last_try in (False, True):
            proof = await self._credentials.headers()
            try:
                answer = await self._connected().request(
                    method,
                    self._access.server + path,
                    params=query,
                    headers={**headers, **proof},
                    data=body,
                    timeout=timeout,
                    proxy=self._access.proxy_url,
                    server_hostname=self._access.tls_server_name,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._unreachable(error) from error
            if answer.status != 401 or last_try:
                break
            self._credentials.reject()
            answer.release()
        return answer

    async def _chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl if self._ssl is not None else True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"user-agent": "stratos", "accept-encoding": "gzip"},
                trust_env=True,
                auto_decompress=True,
                read_bufsize=_CHUNK_BYTES,
            )
        return self._session

    def _unreachable(self, error: Exception) -> Unavailable:
        reason = str(error) or type(error).__name__
        hint = "is the server running, and is its address in the kubeconfig right?"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            hint = "its certificate must be valid, and signed by the kubeconfig's certificate-authority"
        return Unavailable(f"no answer from {self._access.server}: {reason}", hint=hint)


def _lower(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _ssl_context(access: ClusterAccess) -> ssl.SSLContext:
    """Trust the kubeconfig's authority if it names one, else the system's."""
    try:
        context = ssl.create_default_context(cadata=access.ca.decode("ascii") if access.ca else None)
        if not access.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if access.client_certificate and access.client_key:
            # The ssl module reads certificates from files only: this one is private, and gone at once.
            with tempfile.NamedTemporaryFile(prefix="stratos-") as pem:
                pem.write(access.client_certificate + b"\n" + access.client_key)
                pem.flush()
                context.load_cert_chain(pem.name)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise Invalid(f"the certificates of the kubeconfig are not usable: {error}") from error
    return context
