"""What a running process shows of itself: metrics on one address, whether it lives and is ready on another."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry

from stratos.base.errors import Invalid, Unavailable
from stratos.telemetry.metrics import CONTENT_TYPE, render

OFF = "0"

_Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serving_metrics(address: str, registry: CollectorRegistry) -> AsyncIterator[int | None]:
    """``/metrics`` on ``address`` for the length of the block, which is given the port. ``0`` serves nothing."""
    async with _serving(address, _metrics(registry)) as port:
        yield port


@asynccontextmanager
async def serving_probes(address: str, unready: Callable[[], str]) -> AsyncIterator[int | None]:
    """``/healthz``, which answers as long as the process does, and ``/readyz``; ``unready`` says why not yet, or ''."""
    async with _serving(address, _probes(unready)) as port:
        yield port


@asynccontextmanager
async def serving_metrics_and_probes(
    address: str, registry: CollectorRegistry, unready: Callable[[], str]
) -> AsyncIterator[int | None]:
    """All of it on one address."""
    async with _serving(address, {**_metrics(registry), **_probes(unready)}) as port:
        yield port


def _metrics(registry: CollectorRegistry) -> dict[str, _Handler]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=render(registry).encode(), headers={"content-type": CONTENT_TYPE})

    return {"/metrics": metrics}


def _probes(unready: Callable[[], str]) -> dict[str, _Handler]:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        reason = unready()
        return web.Response(status=503, text=reason) if reason else web.Response(text="ok")

    return {"/healthz": healthz, "/readyz": readyz}


@contextmanager
def listen(address: str) -> Iterator[socket.socket]:
    """A listening socket for the length of the block."""
    host, port = parse_address(address)
    try:
        listener = socket.create_server((host or "", port), backlog=1024)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address}: {error.strerror}", hint="choose another address, or 0 for none"
        ) from error
    with listener:
        yield listener


def parse_address(address: str) -> tuple[str | None, int]:
    """``:8080``, ``127.0.0.1:8080`` or ``[::1]:8080``; without a host: every one of the machine's addresses."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise Invalid(f"{address!r} is not an address to listen on", hint="write :8080, 127.0.0.1:8080, or 0 for none")
    return host.strip("[]") or None, int(port)


@asynccontextmanager
async def _serving(address: str, handlers: Mapping[str, _Handler]) -> AsyncIterator[int | None]:
    if address == OFF:
        yield None
        return
    host, port = parse_address(address)
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {address}: {error.strerror}", hint="choose another address, or 0 for none"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
