"""The webhook on a socket of its own, with the certificates that the Secret holds at the time.

Every replica serves, whoever leads: API servers choose any of them. A new certificate is used from the next connection
on; those that are open stay. Until there is a certificate nothing listens, and pods pass unmodified.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from stratos.apis.secret import SECRET, Secret
from stratos.controllers.webhook.certificates import read_certificates
from stratos.controllers.webhook.keeper import SECRET_NAME, KeeperSettings
from stratos.kube.cache import CacheEvent
from stratos.kube.controller import Manager
from stratos.telemetry.logs import get_logger

_GRACE_SECONDS = 3

log = get_logger(__name__)


class WebhookServer:
    """Add it to the manager of the webhook ``app``. ``listener`` is bound by whoever starts it."""

    name = "webhook server"

    def __init__(self, manager: Manager, app: Any, listener: socket.socket, settings: KeeperSettings) -> None:
        self._app = app
        self._listener = listener
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certified = asyncio.Event()
        self._secrets = manager.cache(
            SECRET, namespace=settings.namespace, field_selector=f"metadata.name={SECRET_NAME}"
        )
        self._secrets.subscribe(self._changed)
        manager.add(self)

    async def run(self) -> None:
        await self._certified.wait()
        config = uvicorn.Config(
            self._app,
            ssl_context_factory=lambda *_: self._context,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what strangers send is no news
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[self._listener]), name=self.name)
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving

    def _changed(self, event: CacheEvent[Secret]) -> None:
        try:
            serving = read_certificates(event.object.text).serving
        except ValueError as error:
            log.warning("webhook certificates cannot be used; the last ones are", reason=str(error))
            return
        _load(self._context, serving.certificate_pem, serving.key_pem)
        self._certified.set()


class _Server(uvicorn.Server):
    """Leaves signals to the process it is part of."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _load(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """Python's TLS reads keys from files alone: this one is its owner's, and gone right after."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "pair.pem")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
            writing.write(certificate_pem + key_pem)
        context.load_cert_chain(file)
