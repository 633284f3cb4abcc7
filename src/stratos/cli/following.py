"""Looking at a cluster for the length of a command: its objects are read once, and then followed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.apis.nodeclasses import NODE_CLASS_KINDS
from stratos.apis.nodepool import NODE_POOL
from stratos.base.clock import Clock
from stratos.base.errors import Unavailable
from stratos.catalog.catalog import clouds, regions
from stratos.cli.connect import needing_pools
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.wiring.cluster import DEFAULT_CATALOG, catalog_named
from stratos.wiring.lookout import OutsideView, outside_view
from stratos.wiring.settings import limits_in_force

_LOOK_SECONDS = 60.0


@asynccontextmanager
async def looking(client: Client, clock: Clock, catalog: str) -> AsyncIterator[OutsideView]:
    """All that decides about pods and machines, seen once and then followed for the length of the block.

    ``catalog`` is what the cluster's cloud sells, ``cloud/region``.
    """
    with needing_pools():
        await client.list(NODE_POOL, limit=1)
    manager = Manager(client, rng=random.Random())
    view = outside_view(manager, catalog_named(catalog), await limits_in_force(client), clock=clock)
    async with followed(manager):
        yield view


async def catalog_of(client: Client) -> str:
    """By the region that nodes are labelled with, or else by the zones that node classes reach."""
    names = {f"{cloud}/{region}": region for cloud in clouds() for region in regions(cloud)}
    places = [node.metadata.labels.get(labels.REGION, "") async for node in client.list_all(NODE)]
    with needing_pools():
        for kind in NODE_CLASS_KINDS.values():
            places += [subnet.zone async for found in client.list_all(kind) for subnet in found.status.resolved_subnets]
    for place in filter(None, places):
        fitting = [name for name, region in names.items() if place.startswith(region)]
        if fitting:
            return max(fitting, key=len)
    return DEFAULT_CATALOG


@asynccontextmanager
async def followed(manager: Manager) -> AsyncIterator[None]:
    """Run ``manager`` for the length of the block, which begins once its caches are full. Raises `Unavailable`."""
    following = asyncio.create_task(manager.run(), name="lookout")
    synced = asyncio.create_task(manager.wait_synced(), name="lookout sync")
    try:
        await asyncio.wait({following, synced}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        if not synced.done():
            raise Unavailable(
                f"the cluster could not be read within {_LOOK_SECONDS:g} s",
                hint="check that you may list and watch pods, nodes, daemonsets, namespaces and all of stratos.sh",
            )
        yield
    finally:
        for task in (synced, following):
            task.cancel()
        await asyncio.wait({synced, following})
