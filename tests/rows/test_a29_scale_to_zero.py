"""A29 to A31: a service without replicas answers all the same, from a machine that stood by, and goes back to sleep.

A whole cluster, a doorman with exactly the rights that its chart grants, on a real port, and real HTTP, in virtual
time: the loop looks at its sockets whenever a timer is due, so a pulse of a few hundredths of a second is what a packet
takes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client import CollectorRegistry

from controllers.pool_stories import Story, tell
from doorman.doorman_house import NUMBER, CountingBackend, a_backend
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.event import EVENT
from stratos.apis.nodeclaim import NodeState
from stratos.apis.pod import POD
from stratos.apis.service import SERVICE
from stratos.base.ids import SeededIds
from stratos.doorman import Doorman, serving
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport
from stratos.testing.virtual_time import VirtualClock
from stratos.wiring.installation.rights import DOORMAN, objects_of, user

PULSE_SECONDS = 0.02


class AsDoorman:
    """A transport that speaks for a user who may do what the chart lets the doorman do, and nothing else."""

    def __init__(self, admin: Transport) -> None:
        self._admin = admin

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        return await self._admin.request(method, path, query=query, headers=self._speaking(headers), body=body)

    def stream(
        self, method: str, path: str, *, query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
    ) -> AbstractAsyncContextManager[StreamResponse]:
        return self._admin.stream(method, path, query=query, headers=self._speaking(headers))

    async def close(self) -> None:
        await self._admin.close()

    def _speaking(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {**headers, "impersonate-user": "doorman"}


async def a_client_of_the_doorman(story: Story) -> Client:
    for obj in objects_of(DOORMAN, user("doorman")):
        plural = f"{obj['kind'].lower()}s"
        await story.client.request_json("POST", f"/apis/rbac.authorization.k8s.io/v1/{plural}", body=obj)
    return Client(AsDoorman(story.client.transport))


@dataclass
class Entrance:
    """The doorman of a story, and somebody who asks it."""

    story: Story
    url: str
    client: aiohttp.ClientSession
    backend: CountingBackend
    registry: CollectorRegistry

    async def get(self, number: int = 0, host: str = "web.test") -> tuple[int, str, str | None]:
        async with self.client.get(self.url, headers={"host": host, NUMBER: str(number)}) as answer:
            return answer.status, await answer.text(), answer.headers.get("retry-after")

    async def replicas(self) -> int:
        return (await self.story.client.get(DEPLOYMENT, "default/web")).spec.replicas

    def held(self) -> float | None:
        return self.registry.get_sample_value("stratos_doorman_held_requests", {"route": "default/web"})


@asynccontextmanager
async def an_entrance(story: Story) -> AsyncIterator[Entrance]:
    rng, registry, backend = random.Random(29), CollectorRegistry(), CountingBackend()
    manager = Manager(await a_client_of_the_doorman(story), rng=rng)
    doorman = Doorman(manager, clock=VirtualClock(), rng=rng, ids=SeededIds(rng), registry=registry)
    running = asyncio.create_task(manager.run())
    _pulse()
    try:
        async with (
            a_backend(backend) as listening,
            serving(
                doorman,
                host="127.0.0.1",
                port=0,
                resolve=lambda pod: ("127.0.0.1", listening),
                grace_seconds=1.0,
            ) as port,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        ):
            yield Entrance(story, f"http://127.0.0.1:{port}/", client, backend, registry)
    finally:
        running.cancel()
        await asyncio.wait({running})


def _pulse() -> None:
    asyncio.get_running_loop().call_later(PULSE_SECONDS, _pulse)


async def add_sleeping_service(story: Story, *, pool: str = "ci", **annotations: str) -> None:
    labels = {"app": "web"}
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}
    pod = {"nodeSelector": {"stratos.sh/pool": pool}, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    metadata = {"name": "web", "namespace": "default"}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    await story.client.create(DEPLOYMENT, {"metadata": metadata, "spec": spec})
    wishes = {f"doorman.stratos.sh/{name.replace('_', '-')}": value for name, value in annotations.items()}
    wishes = {"doorman.stratos.sh/host": "web.test", **wishes}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    await story.client.create(SERVICE, {"metadata": {**metadata, "annotations": wishes}, "spec": service})


def test_a29_a_hundred_requests_wake_a_standby_machine_and_are_each_answered_once_within_thirty_seconds() -> None:
    """Nobody who asks can tell that nothing ran: the wait fits into what clients put up with anyway."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        await add_sleeping_service(story)
        async with an_entrance(story) as entrance:
            began = story.now
            answers = await asyncio.gather(*(entrance.get(number) for number in range(100)))
            waited = (story.now - began).total_seconds()

            assert [answer[:2] for answer in answers] == [(200, f"answer {number}") for number in range(100)]
            assert entrance.backend.asked == {str(number): 1 for number in range(100)}
            assert waited <= 30
            assert await entrance.replicas() == 1
            assert story.calls()["start"] == 1
            assert entrance.held() == 0
            told = {event.reason async for event in story.client.list_all(EVENT)}
            assert "DoormanWoke" in told

    tell(plot)


def test_a30_when_capacity_never_arrives_held_requests_end_at_the_limit_and_nothing_of_them_is_left() -> None:
    """A client that waits for ever is worse off than one that is told why, and when to come back."""

    async def plot(story: Story) -> None:
        await add_sleeping_service(story, pool="nowhere")
        async with an_entrance(story) as entrance:
            began = story.now
            answers = await asyncio.gather(*(entrance.get(number) for number in range(20)))
            waited = (story.now - began).total_seconds()

            assert {status for status, _, _ in answers} == {503}
            assert {retry for _, _, retry in answers} == {"5"}
            for _, text, _ in answers:
                assert "default/web was not ready within 30s" in text
                assert "waits for a node" in text
            assert 30 <= waited < 35
            assert entrance.held() == 0
            assert entrance.backend.asked == {}

            # What comes later starts from nothing, and gets through once there is capacity.
            await story.add_filled_pool("nowhere")
            assert (await entrance.get(99))[0] == 200

    tell(plot)


def test_a31_after_the_idle_time_replicas_go_back_to_zero_and_the_machine_to_standby() -> None:
    """Otherwise the first request of the day would be paid for until the evening."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=1, scaleDown={"enabled": True, "emptyNodeTTL": "2m"})
        await add_sleeping_service(story, idle_after="3m")
        async with an_entrance(story) as entrance:
            assert (await entrance.get())[0] == 200
            for _ in range(10):  # a request now and then keeps it awake
                await asyncio.sleep(120)
                assert (await entrance.get())[0] == 200
                assert await entrance.replicas() == 1
            quiet_since = story.now

            async def asleep() -> bool:
                return await entrance.replicas() == 0

            await story.wait(asleep, 600)
            assert 180 <= (story.now - quiet_since).total_seconds() <= 190
            await story.wait_state(NodeState.STANDBY, 600)
            assert [pod async for pod in story.client.list_all(POD) if "web" in pod.metadata.name] == []
            assert story.calls()["start"] == 1

            assert (await entrance.get())[0] == 200  # and all over again
            assert story.calls()["start"] == 2

    tell(plot)
