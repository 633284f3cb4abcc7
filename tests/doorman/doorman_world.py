"""A doorman in front of the embedded API, where the test itself plays scheduler and kubelet.

The API and the doorman are the real ones; a pod is an EndpointSlice that the test writes, and what answers for it
listens on the loopback interface.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from kube.embedded import embedded_server
from stratos.apis.deployment import DEPLOYMENT, Deployment
from stratos.apis.event import EVENT
from stratos.apis.pod import POD
from stratos.apis.service import ENDPOINT_SLICE, SERVICE
from stratos.base.clock import Clock
from stratos.base.ids import SeededIds
from stratos.doorman import Backend, Doorman, DoormanSettings, RoomLimits
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.in_process import InProcessTransport
from stratos.kube.transport import Response, StreamResponse, Transport

PREFIX = "doorman.stratos.sh"


class World(Transport):
    """Is itself what stands between the API and its client, to refuse what is written to it now and then."""

    def __init__(self, api: Transport, clock: Clock) -> None:
        self._api = api
        self.client = Client(self)
        self.refusing = False
        self.clock = clock
        self.registry = CollectorRegistry()
        self._listening: dict[str, int] = {}  # by the address of a pod
        self._made = 0

    async def request(self, method: str, path: str, **arguments: Any) -> Response:
        if self.refusing and method == "PATCH" and "/apps/" in path:
            return Response(403, {}, b'{"kind":"Status","message":"not you","reason":"Forbidden","code":403}')
        return await self._api.request(method, path, **arguments)

    def stream(self, method: str, path: str, **arguments: Any) -> AbstractAsyncContextManager[StreamResponse]:
        return self._api.stream(method, path, **arguments)

    async def close(self) -> None:
        await self._api.close()

    def resolve(self, backend: Backend) -> tuple[str, int]:
        return "127.0.0.1", self._listening[backend.host]

    @asynccontextmanager
    async def doorman(
        self, *, room: RoomLimits | None = None, tracer_provider: TracerProvider | None = None, seed: int = 5
    ) -> AsyncIterator[Doorman]:
        """One that runs for the length of the block. There may be several."""
        rng = random.Random(seed)
        manager = Manager(self.client, rng=rng)
        settings = DoormanSettings(room=room or RoomLimits())
        doorman = Doorman(
            manager,
            clock=self.clock,
            rng=rng,
            ids=SeededIds(rng),
            registry=self.registry if seed == 5 else CollectorRegistry(),
            settings=settings,
            tracer_provider=tracer_provider,
        )
        running = asyncio.create_task(manager.run())
        try:
            await until(lambda: doorman.ready or running.done())
            yield doorman
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def add_service(
        self, name: str = "web", *, replicas: int | None = 0, app_protocol: str | None = None, **annotations: str
    ) -> None:
        """A Service ``NAME.test`` and, unless ``replicas`` is None, its Deployment. Underscores stand for dashes."""
        named = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        port = {"name": "http", "port": 80, "targetPort": 8080} | (
            {"appProtocol": app_protocol} if app_protocol else {}
        )
        metadata = {"name": name, "namespace": "default", "annotations": {f"{PREFIX}/host": f"{name}.test", **named}}
        await self.client.create(SERVICE, {"metadata": metadata, "spec": {"selector": {"app": name}, "ports": [port]}})
        if replicas is not None:
            await self.add_deployment(name, replicas)

    async def annotate(self, name: str, **annotations: str) -> None:
        named = {f"{PREFIX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        await self.client.patch(SERVICE, f"default/{name}", {"metadata": {"annotations": named}})

    async def add_deployment(self, name: str, replicas: int = 0) -> None:
        labels = {"app": name}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
        await self.client.create(DEPLOYMENT, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})

    async def bring_up(self, name: str = "web", port: int = 0) -> None:
        """One more ready pod, which ``port`` answers for."""
        self._made += 1
        address = f"10.0.{self._made // 250}.{self._made % 250 + 1}"
        self._listening[address] = port
        slice_ = {
            "metadata": {
                "name": f"{name}-{self._made}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [address],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": f"{name}-{self._made}"},
                }
            ],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
        await self.client.create(ENDPOINT_SLICE, slice_)

    async def take_down(self, name: str = "web") -> None:
        """No pods any more."""
        async for slice_ in self.client.list_all(ENDPOINT_SLICE):
            if slice_.metadata.labels.get("kubernetes.io/service-name") == name:
                await self.client.delete(ENDPOINT_SLICE, slice_.metadata.key)

    async def add_pod(self, name: str, app: str = "web") -> None:
        spec = {"containers": [{"name": "main", "image": "app:1"}]}
        metadata = {"name": name, "namespace": "default", "labels": {"app": app}}
        await self.client.create(POD, {"metadata": metadata, "spec": spec})

    async def deployment(self, name: str = "web") -> Deployment:
        return await self.client.get(DEPLOYMENT, f"default/{name}")

    async def replicas(self, name: str = "web") -> int:
        return (await self.deployment(name)).spec.replicas

    async def wait_replicas(self, wanted: int, name: str = "web", within: float = 20.0) -> None:
        async with asyncio.timeout(within):
            while True:
                if await self.replicas(name) == wanted:
                    return
                await asyncio.sleep(0.01)

    async def wait_marked(self, annotation: str, name: str = "web", within: float = 120.0) -> None:
        async with asyncio.timeout(within):
            while True:
                if annotation in (await self.deployment(name)).metadata.annotations:
                    return
                await asyncio.sleep(0.1)

    async def wait_told(self, reason: str, message: str, within: float = 20.0) -> None:
        """Return once an event about a Service says so."""
        async with asyncio.timeout(within):
            while True:
                told = [(event.reason, event.message) async for event in self.client.list_all(EVENT)]
                if (reason, message) in told:
                    return
                await asyncio.sleep(0.01)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"stratos_doorman_{name}", labels) or 0.0


@asynccontextmanager
async def a_world(clock: Clock) -> AsyncIterator[World]:
    async with embedded_server(clock) as server:
        world = World(InProcessTransport(server.app), clock)
        yield world
        await world.close()


async def until(holds: Callable[[], bool], within: float = 20.0) -> None:
    """Wait for a condition, which is looked at again and again."""
    async with asyncio.timeout(within):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)
