"""The doorman, joined up with a cluster, a port for requests, and one for whoever watches over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry

from stratos.base.errors import Invalid, Unavailable
from stratos.base.ids import SeededIds
from stratos.doorman import Doorman, DoormanSettings, Resolve, own_address, serving
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.telemetry.metrics import CONTENT_TYPE, render
from stratos.wiring.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class DoormanOptions:
    listen: str = ":8000"
    metrics_bind_address: str = ":8080"  # "0": none
    grace_seconds: float = 25.0
    doorman: DoormanSettings = field(default_factory=DoormanSettings)


@dataclass(frozen=True, slots=True)
class RunningDoorman:
    port: int
    metrics_port: int | None
    failed: asyncio.Task[None]  # ends when the doorman does, with what ended it


@asynccontextmanager
async def running_doorman(
    client: Client, options: DoormanOptions, *, resolve: Resolve = own_address
) -> AsyncIterator[RunningDoorman]:
    """Run a doorman for the cluster of ``client`` for the length of the block."""
    host, port = _address(options.listen, "--listen")
    chance = random.SystemRandom()
    registry = CollectorRegistry()
    manager = Manager(client, rng=chance)
    doorman = Doorman(
        manager,
        clock=SystemClock(),
        rng=chance,
        ids=SeededIds(chance),
        registry=registry,
        settings=options.doorman,
    )
    following = asyncio.create_task(manager.run(), name=doorman.name)
    try:
        async with (
            serving(doorman, host=host, port=port, resolve=resolve, grace_seconds=options.grace_seconds) as bound,
            _watched_over(doorman, registry, options.metrics_bind_address) as metrics_port,
        ):
            yield RunningDoorman(bound, metrics_port, following)
    finally:
        following.cancel()
        await asyncio.wait({following})


@asynccontextmanager
async def _watched_over(doorman: Doorman, registry: CollectorRegistry, address: str) -> AsyncIterator[int | None]:
    """``/metrics``, ``/healthz`` and ``/readyz``, which is ready once all routes are known."""
    if address in ("", "0"):
        yield None
        return

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=render(registry), headers={"content-type": CONTENT_TYPE})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok") if doorman.ready else web.Response(status=503, text="routes are not known yet")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthy), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, port = _address(address, "--metrics-bind-address")
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address}: {error.strerror}", hint="choose another --metrics-bind-address"
        ) from error
    finally:
        await runner.cleanup()


def _address(text: str, option: str) -> tuple[str | None, int]:
    """``host:port`` or ``:port``, which is every address of this machine."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise Invalid(f"{option}: {text!r} is no address", hint="write HOST:PORT, or :PORT for all addresses")
    return host.strip("[]") or None, int(port)
