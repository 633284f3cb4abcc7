"""An embedded API server with nothing but the scheduler, and nodes that let go of deleted pods after a while."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kube.embedded import EverybodyMayDoAnything
from stratos.apis.event import EVENT, Event
from stratos.apis.meta import Condition, find_condition
from stratos.apis.node import NODE
from stratos.apis.persistentvolume import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from stratos.apis.pod import POD, Pod
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.client import Client, PatchType
from stratos.kube.controller import Manager
from stratos.kube.in_process import InProcessTransport
from stratos.testing.virtual_time import VirtualClock
from stratos.workloads.scheduler.scheduler import add_scheduler

STOP_SECONDS = 3.0


@dataclass
class ScheduledCluster:
    client: Client
    pods: Cache[Pod]

    async def add_node(
        self,
        name: str,
        *,
        cpu: str = "4",
        pods: str = "110",
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
    ) -> None:
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
        allocatable = {"cpu": cpu, "memory": "64Gi", "pods": pods}
        status = {"allocatable": allocatable, "capacity": allocatable}
        await self.client.create(NODE, {"metadata": metadata, "spec": {"taints": list(taints)}, "status": status})
        await self.client.patch(NODE, name, {"status": status}, subresource="status")

    async def add_pod(self, name: str, *, cpu: str = "1", labels: Mapping[str, str] | None = None, **spec: Any) -> Pod:
        container = {"name": "main", "image": "example.com/app:1", "resources": {"requests": {"cpu": cpu}}}
        metadata = {"name": name, "namespace": "default", "labels": dict(labels or {})}
        return await self.client.create(POD, {"metadata": metadata, "spec": {"containers": [container], **spec}})

    async def add_volume(self, name: str, *, zone: str) -> None:
        expression = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": "disk.example.com", "volumeHandle": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        }
        await self.client.create(PERSISTENT_VOLUME, {"metadata": {"name": name}, "spec": spec})

    async def add_claim(self, name: str, *, volume: str) -> None:
        resources = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, "volumeName": volume}
        claim = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        await self.client.create(PERSISTENT_VOLUME_CLAIM, claim)

    async def wait_pod(self, name: str, holds: Callable[[Pod], bool], *, within: float = 60.0) -> Pod:
        key = f"default/{name}"

        def seen(cache: Cache[Pod]) -> bool:
            pod = cache.get(key)
            return pod is not None and holds(pod)

        async with asyncio.timeout(within):
            await self.pods.wait_until(seen)
        pod = self.pods.get(key)
        assert pod is not None
        return pod

    async def wait_bound(self, name: str, *, within: float = 60.0) -> str:
        return (await self.wait_pod(name, lambda pod: bool(pod.spec.node_name), within=within)).spec.node_name

    async def wait_refused(self, name: str, *, saying: str = "") -> str:
        """The message that the pod waits with, once it contains ``saying``."""
        pod = await self.wait_pod(name, lambda pod: pod.unschedulable and saying in scheduled_condition(pod).message)
        return scheduled_condition(pod).message

    async def events(self, reason: str) -> list[Event]:
        await asyncio.sleep(1)  # they are posted behind the scheduler's back
        return [event async for event in self.client.list_all(EVENT) if event.reason == reason]


def scheduled_condition(pod: Pod) -> Condition:
    condition = find_condition(pod.status.conditions, "PodScheduled")
    assert condition is not None
    return condition


@asynccontextmanager
async def scheduled_cluster() -> AsyncIterator[ScheduledCluster]:
    clock, rng = VirtualClock(), random.Random(7)
    ids = SeededIds(rng)
    anyone = EverybodyMayDoAnything()
    server = ApiServer(
        storage=open_memory(),
        clock=clock,
        ids=ids,
        authenticator=anyone,
        authorizer=anyone,
        admission=anyone,
        observed=ObservedObjects(),
    )
    await server.start()
    client = Client(InProcessTransport(server.app))
    manager = Manager(client, rng=rng)
    add_scheduler(manager, clock=clock, ids=ids)
    pods = manager.cache(POD)
    leaving: dict[str, asyncio.Task[None]] = {}

    async def leave(pod: Pod) -> None:
        await asyncio.sleep(STOP_SECONDS)
        await client.delete(POD, pod.metadata.key, grace_seconds=0)

    def let_go(event: CacheEvent[Pod]) -> None:
        pod = event.object
        if pod.metadata.deletion_timestamp and pod.spec.node_name and pod.metadata.uid not in leaving:
            leaving[pod.metadata.uid] = asyncio.create_task(leave(pod))

    pods.subscribe(let_go)
    running = asyncio.create_task(manager.run())
    try:
        await manager.wait_synced()
        yield ScheduledCluster(client, pods)
        if running.done():
            running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop()


async def patch_node(cluster: ScheduledCluster, name: str, spec: Mapping[str, Any]) -> None:
    await cluster.client.patch(NODE, name, {"spec": spec}, type=PatchType.MERGE)
