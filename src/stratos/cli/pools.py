"""``stratos get pools``."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

from rich.console import Console

from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.cli.connect import connected, needing_pools
from stratos.cli.pool_facts import PoolFacts, pool_facts
from stratos.cli.view import pool_table
from stratos.kube.client import Client

_ENDLESS = 1000  # columns: a line is as long as it has to be, whatever the terminal


def run_get_pools(*, as_json: bool, kubeconfig: Path | None) -> None:
    pools = asyncio.run(_read(kubeconfig))
    if as_json:
        print(json.dumps([dataclasses.asdict(pool) for pool in pools], indent=2))
    elif pools:
        Console(width=_ENDLESS).print(pool_table(pools))
    else:
        print("no pools; a first one: kubectl apply -f examples/ci-runners")


async def _read(kubeconfig: Path | None) -> list[PoolFacts]:
    async with connected(kubeconfig) as client:
        return await list_pools(client)


async def list_pools(client: Client) -> list[PoolFacts]:
    with needing_pools():
        pools = [pool async for pool in client.list_all(NODE_POOL)]
        claims = [claim async for claim in client.list_all(NODE_CLAIM)]
    return [pool_facts(pool, claims) for pool in sorted(pools, key=lambda pool: pool.metadata.name)]
