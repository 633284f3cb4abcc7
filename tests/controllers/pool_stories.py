"""A whole small cluster in virtual time, to tell stories about warm pools with.

Machines boot in a minute, start in fifteen seconds and stop in ten; everything else is as it ships.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.event import EVENT
from stratos.apis.meta import find_condition
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim, NodeState
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.pod import POD, Pod
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import AlreadyExists, NotFound
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.providers.contract import Machine
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry
from stratos.providers.simulated.timings import Duration, Timings, TimingTable
from stratos.testing.virtual_time import VirtualClock, run
from stratos.wiring.cluster import Cluster, ClusterOptions

TIMINGS = Timings(
    cold_boot=Duration.exactly(60),
    start=Duration.exactly(15),
    stop=Duration.exactly(10),
    forced_stop=Duration.exactly(2),
    terminate=Duration.exactly(10),
)


class Story:
    def __init__(self, cluster: Cluster, clock: VirtualClock) -> None:
        self.cluster = cluster
        self.client: Client = cluster.admin
        self.cloud: SimulatedCloud = cluster.cloud
        self._clock = clock

    @property
    def now(self) -> datetime:
        return self._clock.now()

    # Telling

    async def add_pool(self, name: str = "ci", *, size: int = 5, standby: int = 1, **spec: Any) -> None:
        """A pool of small machines, and the class they share."""
        template = {"nodeClassRef": {"kind": "SimNodeClass", "name": "small"}, "labels": {"stratos.sh/pool": name}}
        template |= spec.pop("template", {})
        node_class = {"metadata": {"name": "small"}, "spec": {"instanceType": "m5.large"}}
        with suppress(AlreadyExists):
            await self.client.create(SIM_NODE_CLASS, node_class)
        body = {"poolSize": size, "minStandby": standby, "template": template, **spec}
        await self.client.create(NODE_POOL, {"metadata": {"name": name}, "spec": body})

    async def add_filled_pool(self, name: str = "ci", *, standby: int = 1, **spec: Any) -> None:
        await self.add_pool(name, standby=standby, **spec)
        await self.wait_pool(lambda pool: pool.status.standby == standby, name)

    async def add_pod(
        self,
        name: str = "job",
        *,
        seconds: float | None = None,
        cpu: str = "1",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        selector: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """A pod for pool ci that runs for ``seconds``, or for ever."""
        container: dict[str, Any] = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
        if seconds is not None:
            container["command"] = ["sleep", f"{seconds:g}"]
        body = {
            "restartPolicy": "Never",
            "nodeSelector": dict(selector or {"stratos.sh/pool": "ci"}),
            "containers": [container],
            **spec,
        }
        metadata = {"name": name, "namespace": "default", "labels": labels or {}, "annotations": annotations or {}}
        await self.client.create(POD, {"metadata": metadata, "spec": body})

    async def add_daemon_set(self, name: str = "logger", image: str = "logger:1") -> None:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
        await self.client.create(
            DAEMON_SET,
            {
                "metadata": {"name": name, "namespace": "kube-system"},
                "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
            },
        )

    # Looking

    async def pool(self, name: str = "ci") -> NodePool:
        return await self.client.get(NODE_POOL, name)

    async def claims(self) -> list[NodeClaim]:
        return [claim async for claim in self.client.list_all(NODE_CLAIM)]

    async def nodes(self) -> list[Node]:
        return [node async for node in self.client.list_all(NODE)]

    async def pod(self, name: str = "job") -> Pod:
        return await self.client.get(POD, f"default/{name}")

    async def events(self, reason: str = "") -> list[str]:
        """The messages of the pools' events, oldest first."""
        found = [event async for event in self.client.list_all(EVENT) if event.involved_object.kind == "NodePool"]
        return [event.message for event in found if event.reason == reason]

    async def told(self) -> set[str]:
        """The reasons of all events about pools."""
        found = [event async for event in self.client.list_all(EVENT) if event.involved_object.kind == "NodePool"]
        return {event.reason for event in found}

    def calls(self) -> Counter[str]:
        """The effective calls to the cloud, by operation."""
        return Counter(call.operation for call in self.cloud.calls if call.outcome == "ok")

    def machines(self) -> Sequence[Machine]:
        """The machines that still exist."""
        return [machine for machine in self.cloud.machines() if not machine.state.gone]

    async def condition(self, type_: str, pool: str = "ci") -> tuple[str, str]:
        found = find_condition((await self.pool(pool)).status.conditions, type_)
        return (found.status, found.reason) if found else ("", "")

    # Waiting

    async def wait(self, holds: Callable[[], Awaitable[bool]], within: float = 3600.0, *, every: float = 0.1) -> float:
        """How long it took until ``holds``, in seconds."""
        started = self.now
        async with asyncio.timeout(within):
            while True:
                try:
                    if await holds():
                        return (self.now - started).total_seconds()
                except NotFound:
                    pass
                await asyncio.sleep(every)

    async def wait_pool(self, holds: Callable[[NodePool], bool], name: str = "ci", within: float = 3600.0) -> float:
        async def asked() -> bool:
            return holds(await self.pool(name))

        return await self.wait(asked, within)

    async def wait_pod(self, phase: str, name: str = "job", within: float = 3600.0) -> float:
        async def asked() -> bool:
            return (await self.pod(name)).status.phase == phase

        return await self.wait(asked, within)

    async def wait_state(self, state: NodeState, within: float = 3600.0) -> NodeClaim:
        """The first claim in that state, once there is one."""

        async def asked() -> bool:
            return any(claim.status.state is state for claim in await self.claims())

        await self.wait(asked, within)
        return next(claim for claim in await self.claims() if claim.status.state is state)

    async def wait_told(self, reason: str, within: float = 3600.0) -> float:
        async def asked() -> bool:
            return reason in await self.told()

        return await self.wait(asked, within)


@asynccontextmanager
async def a_story(
    *,
    seed: int = 1,
    registry: ImageRegistry | None = None,
    kubelets: KubeletOptions | None = None,
    cloud: Mapping[str, Any] | None = None,
    doors: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Story]:
    """``cloud`` are further options of the cloud, ``doors`` what stands in front of it and of the API.

    ``more`` are further options of the cluster.
    """
    clock, rng = VirtualClock(), random.Random(seed)
    options = ClusterOptions(
        cloud=CloudOptions(**{"timings": TimingTable(TIMINGS), **(cloud or {})}),
        kubelets=kubelets or KubeletOptions(),
        registry=registry or ImageRegistry({"app:1": 100_000_000, "logger:1": 50_000_000}, missing={"none:1"}),
        **(more or {}),
    )
    cluster = Cluster(open_memory(), clock=clock, ids=SeededIds(rng), rng=rng, options=options, **(doors or {}))
    async with cluster.running():
        yield Story(cluster, clock)


def tell(plot: Callable[[Story], Awaitable[None]], **world: Any) -> None:
    """Run the plot in a world that `a_story` makes."""

    async def told() -> None:
        async with a_story(**world) as story:
            await plot(story)

    run(told())
