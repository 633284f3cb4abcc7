"""Looking at a cluster for the length of a command: its objects are read once, and then followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stratos.base.errors import Unavailable
from stratos.kube.controller import Manager

_LOOK_SECONDS = 60.0


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
