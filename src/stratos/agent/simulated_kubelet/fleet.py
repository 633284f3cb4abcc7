"""All simulated hosts of a process: one watch of the pods for all of them, and a kubelet for each boot.

fleet = KubeletFleet(client, registry=…, clock=…, rng=…)
cloud = SimulatedCloud(…, software=fleet.run_host)
…run fleet.run() beside the rest
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from stratos.agent.simulated_kubelet.kubelet import KubeletOptions, SimulatedKubelet
from stratos.agent.simulated_kubelet.writes import Writes
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.ids import SeededIds
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.client import Client
from stratos.kube.recorder import EventRecorder
from stratos.providers.simulated.host import Host
from stratos.providers.simulated.registry import ImageRegistry

_BY_NODE = "spec.nodeName"


class KubeletFleet:
    name = "simulated kubelets"

    def __init__(
        self,
        client: Client,
        *,
        registry: ImageRegistry,
        clock: Clock,
        rng: random.Random,
        options: KubeletOptions | None = None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._rng = random.Random(rng.getrandbits(64))
        self._writes = Writes(client, random.Random(rng.getrandbits(64)))
        self._options = options or KubeletOptions()
        self._pods = Cache(client, POD, rng=random.Random(rng.getrandbits(64)), indexes={_BY_NODE: _node_of})
        self._pods.subscribe(self._route)
        self._kubelets: dict[str, SimulatedKubelet] = {}
        self._recorder: EventRecorder | None = None
        if self._options.tells_events:
            ids = SeededIds(random.Random(rng.getrandbits(64)))
            self._recorder = EventRecorder(client, "kubelet", clock=clock, ids=ids)

    async def run(self) -> None:
        """Follow the pods until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pods.run(), name="pods of all hosts")
            if self._recorder is not None:
                tasks.create_task(self._recorder.run(), name=self._recorder.name)

    async def run_host(self, host: Host) -> None:
        """The software of one host for one boot."""
        kubelet = SimulatedKubelet(
            host,
            writes=self._writes,
            registry=self._registry,
            clock=self._clock,
            rng=self._rng,
            options=self._options,
            recorder=self._recorder,
        )
        self._kubelets[kubelet.node_name] = kubelet
        try:
            await self._pods.wait_synced()
            await kubelet.run(lambda: self._pods.by_index(_BY_NODE, kubelet.node_name))
        finally:
            if self._kubelets.get(kubelet.node_name) is kubelet:
                del self._kubelets[kubelet.node_name]

    def _route(self, event: CacheEvent[Pod]) -> None:
        kubelet = self._kubelets.get(event.object.spec.node_name)
        if kubelet is None:
            return
        if event.change is Change.DELETED:
            kubelet.pod_removed(event.object)
        else:
            kubelet.pod_changed(event.object)


def _node_of(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()
