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

_GRACE_SECONDS = 3  # what a request under way is given when the server stops


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Clients may show a certificate that ``client_authority`` signed; who shows none needs a token."""

    certificate: Path
    key: Path
    client_authority: Path


class _CertificateProtocol(HttpToolsProtocol):
    """Puts the client's certificate into the scope, in the words of ASGI's TLS extension."""

    _client_certificates: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate is not None:
            self._client_certificates = (ssl.DER_cert_to_PEM_cert(certificate),)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._client_certificates:
            self.scope["extensions"] = {"tls": {"client_cert_chain": self._client_certificates}}


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
        http=_CertificateProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # what strangers send is no news
        access_log=False,
        server_header=False,
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
