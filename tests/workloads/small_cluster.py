"""An embedded API server with the workload controllers, and hosts as simple as can be: they obey at once.

Pods are bound to the first node they may use, become ready after a second and leave a second after they are told to. A
pod annotated ``exit-code`` ends by itself after ``run-seconds``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from kube.embedded import EverybodyMayDoAnything
from stratos.apis.lease import LEASE
from stratos.apis.meta import Kind, KubeObject
from stratos.apis.node import NODE, Node
from stratos.apis.pod import POD, Pod
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import Conflict, NotFound, Unavailable
from stratos.base.ids import SeededIds
from stratos.kube.cache import CacheEvent
from stratos.kube.client import Client, PatchType
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.in_process import AsgiApp, InProcessTransport
from stratos.kube.transport import Response, StreamResponse
from stratos.testing.virtual_time import VirtualClock
from stratos.workloads.daemonset.plan import target_node
from stratos.workloads.run import workload_controllers

T = TypeVar("T", bound=KubeObject)

START_SECONDS = 1.0
STOP_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
_BY_NODE = "node"
_SEED = 7


class SmallCluster:
    """What a story is told with. ``client`` never fails; the way of the controllers may be made to."""

    def __init__(
        self, client: Client, controllers: FaultyTransport, clock: VirtualClock, hosts: Hosts, seed: int
    ) -> None:
        self.client = client
        self.controllers = controllers
        self.clock = clock
        self.hosts = hosts
        self._seed = seed
        self._running: asyncio.Task[None] | None = None

    def start_controllers(self) -> None:
        rng = random.Random(self._seed)
        manager = Manager(Client(self.controllers), rng=rng)
        workload_controllers(manager, clock=self.clock, ids=SeededIds(rng), rng=rng, root_certificate="PEM")
        self._running = asyncio.create_task(manager.run())

    async def stop_controllers(self) -> None:
        """Cancel them wherever they are; they know nothing of this life in the next."""
        if self._running is not None:
            if self._running.done():
                self._running.result()
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def create(self, manifest: Mapping[str, Any]) -> None:
        """Any object, by the path its kind is served under."""
        group, _, version = manifest["apiVersion"].rpartition("/")
        plural = _plural(manifest["kind"])
        namespaced = manifest["kind"] not in ("Node", "Namespace", "CustomResourceDefinition", "ClusterRole")
        kind = Kind(group, version, plural, manifest["kind"], namespaced, KubeObject)
        await self.client.create(kind, manifest)

    async def pods(self, namespace: str = "default", *, labels: str = "") -> list[Pod]:
        return [pod async for pod in self.client.list_all(POD, namespace=namespace, label_selector=labels)]

    async def wait(self, kind: Kind[T], key: str, holds: Callable[[T], bool], *, within: float = 300.0) -> T:
        """The object once it is as wished. Raises TimeoutError with what it looked like last."""
        seen: T | None = None
        try:
            async with asyncio.timeout(within):
                while True:
                    seen = await self.client.get(kind, key)
                    if holds(seen):
                        return seen
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise TimeoutError(f"{kind.kind} {key} is still {seen}") from None

    async def wait_until(self, holds: Callable[[], Awaitable[bool]], *, within: float = 300.0) -> None:
        async with asyncio.timeout(within):
            while True:
                if await holds():
                    return
                await asyncio.sleep(0.25)

    async def is_gone(self, kind: Kind[Any], key: str) -> bool:
        try:
            await self.client.get(kind, key)
        except NotFound:
            return True
        return False


class Hosts:
    """The kubelets of all nodes and the scheduler in one. A silent node does nothing and says nothing."""

    def __init__(self, client: Client, manager: Manager, clock: VirtualClock, rng: random.Random) -> None:
        self.name = "hosts"
        self.silent = set[str]()
        self.broken_images = set[str]()  # their pods start, and never serve
        self._client = client
        self._clock = clock
        self._pods = manager.cache(POD, indexes={_BY_NODE: lambda pod: (pod.spec.node_name,)})
        self._nodes = manager.cache(NODE)
        self._controller = Controller("hosts", self._tend, clock=clock, rng=rng, workers=16)
        self._controller.watch(self._pods)
        self._nodes.subscribe(self._node_changed)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._controller.run())
            tasks.create_task(self._heartbeats())

    def _node_changed(self, _: CacheEvent[Node]) -> None:
        for pod in self._pods:
            if not pod.spec.node_name:
                self._controller.enqueue(pod.metadata.key)

    async def add_node(self, name: str, **labels: str) -> None:
        await self._client.create(NODE, {"metadata": {"name": name, "labels": {"host": name, **labels}}})
        await self._report(name)
        lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"holderIdentity": name}}
        await self._client.create(LEASE, lease)

    async def _report(self, name: str) -> None:
        now = _text(self._clock.now())
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
        patch = {"status": {"conditions": [ready]}}
        await self._client.patch(NODE, name, patch, type=PatchType.STRATEGIC, subresource="status")

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            for node in sorted(self._nodes, key=lambda each: each.metadata.name):
                if node.metadata.name not in self.silent:
                    await self._beat(node)

    async def _beat(self, node: Node) -> None:
        renewed = {"spec": {"renewTime": _text(self._clock.now())}}
        try:
            await self._client.patch(LEASE, f"kube-node-lease/{node.metadata.name}", renewed)
            if any(condition.status == "Unknown" for condition in node.status.conditions):
                await self._report(node.metadata.name)
        except NotFound:
            return

    async def _tend(self, key: str) -> Requeue | None:
        pod = self._pods.get(key)
        try:
            return await self._tend_pod(key, pod) if pod is not None else None
        except (NotFound, Conflict):
            return None

    async def _tend_pod(self, key: str, pod: Pod) -> Requeue | None:
        if not pod.spec.node_name:
            await self._bind(key, pod)
            return None
        if pod.spec.node_name in self.silent or self._nodes.get(pod.spec.node_name) is None:
            return Requeue(HEARTBEAT_SECONDS)
        if pod.metadata.deletion_timestamp is not None:
            await asyncio.sleep(STOP_SECONDS)
            await self._client.delete(POD, key, grace_seconds=0, uid=pod.metadata.uid)
            return None
        if pod.finished:
            return None
        return await self._live(key, pod)

    async def _bind(self, key: str, pod: Pod) -> None:
        if pod.metadata.deletion_timestamp is not None:
            return
        pinned = target_node(pod)
        for node in sorted(self._nodes, key=lambda each: (self._load(each), each.metadata.name)):
            if pinned in (None, node.metadata.name) and not node.spec.unschedulable:
                await self._client.bind(key, node.metadata.name)
                return

    def _load(self, node: Node) -> int:
        return len(self._pods.by_index(_BY_NODE, node.metadata.name))

    async def _live(self, key: str, pod: Pod) -> Requeue | None:
        started = pod.status.start_time
        now = self._clock.now()
        if started is None:
            await self._status(key, {"startTime": _text(now), "podIP": f"10.0.0.{len(self._pods) % 250 + 1}"})
            return Requeue(START_SECONDS)
        age = (now - started).total_seconds()
        if age < START_SECONDS:
            return Requeue(START_SECONDS - age)
        if "exit-code" not in pod.metadata.annotations:
            ready = pod.spec.containers[0].image not in self.broken_images
            if pod.status.phase != "Running" or not any(each.type == "Ready" for each in pod.status.conditions):
                await self._status(key, {"phase": "Running", "conditions": [_ready(ready, now)]})
            return None
        if pod.status.phase != "Running":
            await self._status(key, {"phase": "Running", "conditions": [_ready(True, now)]})
        left = float(pod.metadata.annotations.get("run-seconds", "5")) - age
        if left > 0:
            return Requeue(left)
        code = int(pod.metadata.annotations["exit-code"])
        ended = {"name": "main", "state": {"terminated": {"exitCode": code, "finishedAt": _text(now)}}}
        phase = "Failed" if code else "Succeeded"
        await self._status(
            key, {"phase": phase, "conditions": [_ready(False, now)], "containerStatuses": [_whole(ended)]}
        )
        return None

    async def _status(self, key: str, status: Mapping[str, Any]) -> None:
        await self._client.patch(POD, key, {"status": status}, type=PatchType.STRATEGIC, subresource="status")


def _whole(container_status: dict[str, Any]) -> dict[str, Any]:
    return {"image": "i", "imageID": "", "ready": False, "restartCount": 0, **container_status}


def _ready(status: bool, now: datetime) -> dict[str, str]:
    return {"type": "Ready", "status": str(status), "lastTransitionTime": _text(now)}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plural(kind: str) -> str:
    return kind.lower() + "s"


class FaultyTransport(InProcessTransport):
    """Loses one write in ``one_in``, half of them after the server has carried them out, and hears of changes late."""

    def __init__(self, app: AsgiApp, rng: random.Random, one_in: int, late_seconds: float) -> None:
        super().__init__(app)
        self._rng = rng
        self._one_in = one_in
        self._late_seconds = late_seconds
        self.later_seconds: dict[str, float] = {}  # by path: how much later than others
        self.deletions = 0  # asked for, whatever became of them

    async def request(self, method: str, path: str, **rest: Any) -> Response:
        self.deletions += method == "DELETE"
        fate = self._rng.randrange(2 * self._one_in) if self._one_in and method != "GET" else -1
        if fate == 0:
            raise Unavailable("the request was lost")
        response = await super().request(method, path, **rest)
        if fate == 1:
            raise Unavailable("the answer was lost")
        return response

    @asynccontextmanager
    async def stream(self, method: str, path: str, **rest: Any) -> AsyncIterator[StreamResponse]:
        async with super().stream(method, path, **rest) as stream:
            seconds = self._late_seconds + self.later_seconds.get(path, 0.0)
            yield StreamResponse(stream.status, stream.headers, self._late(stream.chunks, seconds))

    async def _late(self, chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            await asyncio.sleep(seconds)
            yield chunk


@asynccontextmanager
async def small_cluster(
    *nodes: str, lose_one_write_in: int = 0, hear_late_seconds: float = 0.0
) -> AsyncIterator[SmallCluster]:
    clock, rng = VirtualClock(), random.Random(_SEED)
    anyone = EverybodyMayDoAnything()
    server = ApiServer(
        storage=open_memory(),
        clock=clock,
        ids=SeededIds(rng),
        authenticator=anyone,
        authorizer=anyone,
        admission=anyone,
        observed=ObservedObjects(),
    )
    await server.start()
    client = Client(InProcessTransport(server.app))
    controllers = FaultyTransport(server.app, rng, lose_one_write_in, hear_late_seconds)
    world = Manager(client, rng=rng)
    hosts = Hosts(client, world, clock, rng)
    world.add(hosts)
    for node in nodes:
        await hosts.add_node(node)
    turning = asyncio.create_task(world.run())
    cluster = SmallCluster(client, controllers, clock, hosts, _SEED)
    cluster.start_controllers()
    try:
        yield cluster
        if turning.done():
            turning.result()
    finally:
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        await cluster.stop_controllers()
        await server.stop()


def template(
    *,
    app: str = "web",
    image: str = "example.com/app:1",
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}, "annotations": dict(annotations or {})},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def workload(kind: str, name: str = "web", *, pods: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet over pods labelled ``app: web``."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": dict(pods or template()), **spec},
    }


def job(name: str = "work", *, pods: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body = dict(pods or template(app="work", annotations={"exit-code": "0"}, restartPolicy="Never"))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": body, **spec},
    }
