"""One class serves machines of many kinds: what it means for each is looked up apart, and not for every launch anew."""

from __future__ import annotations

import asyncio
import random

import msgspec

from controllers.pool_stories import Story, tell
from stratos.apis.meta import KubeObject
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodeclasses import NODE_CLASS_KINDS
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.catalog.catalog import load_catalog
from stratos.controllers.machines.launching import ClassBook
from stratos.kube.controller import Manager
from stratos.providers.contract import ResolvedNodeClass
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.testing.virtual_time import VirtualClock


class ListeningCloud(SimulatedCloud):
    """Remembers what machines it was asked about."""

    def __init__(self) -> None:
        super().__init__(load_catalog("aws", "us-east-1"), clock=VirtualClock(), rng=random.Random(1))
        self.asked: list[tuple[str, str]] = []

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        self.asked.append((arch, gpu))
        return await super().resolve(node_class, arch=arch, gpu=gpu)


def a_claim_for(instance_type: str) -> NodeClaim:
    spec = {
        "nodeClassRef": {"kind": "SimNodeClass", "name": "any"},
        "instanceType": instance_type,
        "wanted": "running",
        "decision": {"reason": "Test", "message": "", "at": "2026-01-01T00:00:00Z"},
    }
    return msgspec.convert({"metadata": {"name": "c"}, "spec": spec}, NodeClaim)


def test_a_class_is_looked_up_once_for_each_architecture_and_kind_of_gpu() -> None:
    """An image without the driver boots, and no pod that asks for a GPU ever runs there."""
    cloud = ListeningCloud()

    async def plot(story: Story) -> None:
        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "any"}, "spec": {}})
        manager = Manager(story.client, rng=random.Random(1))
        book = ClassBook(cloud, {"SimNodeClass": manager.cache(NODE_CLASS_KINDS["SimNodeClass"])}, clock=VirtualClock())
        running = asyncio.create_task(manager.run())
        await asyncio.sleep(5)
        for name in ("m5.large", "g5.xlarge", "m7g.large", "c5.large", "g6.xlarge"):
            await book.resolve(a_claim_for(name))
        running.cancel()

    tell(plot)

    assert cloud.asked == [("amd64", ""), ("amd64", "nvidia"), ("arm64", "")]
