"""The doorman, joined up with a cluster, a port for requests, and one for whoever watches over it."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector

from stratos.base.ids import SeededIds
from stratos.doorman import Doorman, DoormanSettings, Resolve, own_address, serving
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.wiring.clock import SystemClock
from stratos.wiring.probes import OFF, parse_address, serving_metrics_and_probes
from stratos.wiring.tracing import tracing

_FILES_OF_OUR_OWN = 500  # watches, most of all: one for each workload that is being woken


@dataclass(frozen=True, slots=True, kw_only=True)
class DoormanOptions:
    listen: str = ":8000"
    metrics_bind_address: str = ":8080"  # "0": none
    grace_seconds: float = 25.0
    doorman: DoormanSettings = field(default_factory=DoormanSettings)

    def check(self) -> None:
        """Raises `Invalid` for what cannot be listened on."""
        for address in (self.listen, self.metrics_bind_address):
            if address != OFF:
                parse_address(address)


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
    host, port = parse_address(options.listen)
    chance = random.SystemRandom()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    manager = Manager(client, rng=chance)
    with tracing("stratos-doorman") as traces:
        doorman = Doorman(
            manager,
            clock=SystemClock(),
            rng=chance,
            ids=SeededIds(chance),
            registry=registry,
            settings=options.doorman,
            tracer_provider=traces,
        )
        following = asyncio.create_task(manager.run(), name=doorman.name)
        settling = asyncio.create_task(_settle(manager), name="settle")
        try:
            async with (
                serving(
                    doorman,
                    host=host,
                    port=port,
                    resolve=resolve,
                    grace_seconds=options.grace_seconds,
                    connections_max=_connections_max(),
                ) as bound,
                serving_metrics_and_probes(
                    options.metrics_bind_address, registry, lambda: "" if doorman.ready else "routes are not known yet"
                ) as metrics_port,
            ):
                yield RunningDoorman(bound, metrics_port, following)
        finally:
            settling.cancel()
            following.cancel()
            await asyncio.wait({settling, following})


async def _settle(manager: Manager) -> None:
    """What is there once all routes are known, stays: to look through it for garbage would only delay requests."""
    await manager.wait_synced()
    gc.collect()
    gc.freeze()


def _connections_max() -> int:
    """To backends, so that as many clients and some calls to the API find room beside them.

    Each request takes two connections, and the usual limit of a process is a thousand: it is raised as far as it may.
    """
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    return max(_FILES_OF_OUR_OWN, (files - _FILES_OF_OUR_OWN) // 2)
