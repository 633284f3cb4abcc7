"""Draw docs/up.svg: what `stratos up` shows seconds after a pipeline asked for five agents."""

from __future__ import annotations

import asyncio
import io
import random
import re
from pathlib import Path

from rich.console import Console

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.cli.applying import apply_manifests
from stratos.cli.manifests import read_manifests
from stratos.cli.view import ClusterView
from stratos.kube.controller import Manager
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent


async def picture() -> str:
    clock = VirtualClock()
    cluster = Cluster(open_memory(), clock=clock, ids=SeededIds(random.Random(1)), rng=random.Random(1))
    async with cluster.running():
        manager = Manager(cluster.admin, rng=random.Random(1))
        pools = manager.cache(NODE_POOL)
        view = ClusterView("stratos up (×10)", pools, manager.cache(NODE_CLAIM), manager.cache(POD))
        following = asyncio.create_task(manager.run())
        await manager.wait_synced()
        await apply_manifests(cluster.admin, read_manifests([ROOT / "examples" / "ci-runners"]))
        await cluster.admin.patch_scale(DEPLOYMENT, "default/jenkins-agent", 0)
        await pools.wait_until(lambda each: all(is_condition_true(p.status.conditions, "Ready") for p in each.list()))
        await asyncio.sleep(1200)
        await cluster.admin.patch_scale(DEPLOYMENT, "default/jenkins-agent", 5)
        await asyncio.sleep(21)
        console = Console(record=True, width=118, height=30, file=io.StringIO(), force_terminal=True)
        console.print(view.at(clock.now()))
        following.cancel()
        drawn = console.export_svg(title="stratos up", unique_id="stratos-up")
        return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # no fonts from elsewhere


if __name__ == "__main__":
    (ROOT / "docs" / "up.svg").write_text(run(picture()))
