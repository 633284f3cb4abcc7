"""The application on a socket: uvicorn, TLS, and client certificates where the application can see them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stratos.apiserver.http.app import App
from stratos.base.errors import Unavailable

_HEAD_SECONDS = 32  # for the head of a request to be there, as at the real server
_HEAD_LIMIT_BYTES = 1024 * 1024
_IDLE_SECONDS = 120  # longer than clients keep a connection: one they are about to use must not be closed under them
_GRACE_SECONDS = 3  # what a request under way is given when the server stops


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Clients may show a certificate that ``client_authority`` signed; who shows none needs a token."""

    certificate: Path
    key: Path
    client_authority: Path


class _Protocol(HttpToolsProtocol):
    """Puts the client's certificate into the scope, in the words of ASGI's TLS extension.

    It also parts with clients who never finish the head of a request: nothing else would ever end them.
    """

    _client_certificates: tuple[str, ...] = ()
    _head_due: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate is not None:
            self._client_certificates = (ssl.DER_cert_to_PEM_cert(certificate),)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_due is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_LIMIT_BYTES:
                self.transport.abort()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()
        if self._client_certificates:
            self.scope["extensions"] = {"tls": {"client_cert_chain": self._client_certificates}}

    def on_headers_complete(self) -> None:
        self._end_of_head()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._head_due is None:
            self._head_bytes = 0
            self._head_due = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _end_of_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None


class _Server(uvicorn.Server):
    """Leaves signals to the process it is part of."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(app: App, *, host: str, port: int, tls: TlsFiles | None) -> AsyncGenerator[int]:
    """Serve ``app`` for the length of the block, which is given the port: a free one when ``port`` is 0.

    Stop the API server within the block, so that its watches end before their connections are waited for.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # what strangers send is no news
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
        ssl_ca_certs=str(tls.client_authority) if tls else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if tls else ssl.CERT_NONE,
    )
    listener = _listen(host, port)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="api server")
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


def _listen(host: str, port: int) -> socket.socket:
    """Bound and listening, so that clients may connect before the server has got round to accepting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Asyncio turns Nagle's delay off only where the protocol is named, and with it on every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another port, or 0 for any free one"
        ) from error
    return listener
