"""What a cache shows must be the server's state, however badly the road between them is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kube.scripted_server import ScriptedServer
from stratos.apis.pod import POD, Pod
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.testing.virtual_time import run


def a_cache(server: ScriptedServer) -> Cache[Pod]:
    client = Client(InProcessTransport(server.app))
    by_team = {"team": lambda pod: [pod.metadata.labels["team"]] if "team" in pod.metadata.labels else []}
    return Cache(client, POD, rng=random.Random(1), indexes=by_team)


@asynccontextmanager
async def running(cache: Cache[Pod]) -> AsyncIterator[Cache[Pod]]:
    task = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()


def names(cache: Cache[Pod]) -> list[str]:
    return sorted(pod.metadata.name for pod in cache)


@pytest.mark.parametrize("streaming_lists", ["served", "refused", "ignored"])
def test_it_begins_with_all_that_exists_and_follows_what_happens(streaming_lists: str) -> None:
    """Older servers refuse streaming lists, or ignore the wish and never end them: both get pages instead."""

    async def main() -> None:
        server = ScriptedServer(streaming_lists=streaming_lists)
        for number in range(3):
            server.put(f"pod-{number}")
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            assert names(cache) == ["pod-0", "pod-1", "pod-2"]
            await asyncio.sleep(1)
            server.put("pod-3")
            server.remove("pod-0")
            await cache.wait_for_version(str(server.revision))
            assert names(cache) == ["pod-1", "pod-2", "pod-3"]

    run(main())
