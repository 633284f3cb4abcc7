"""The doorman and the agent with exactly the rights that an installation gives them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from stratos.agent.notices import watch_notices
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.labels import DOORMAN_HOST, DOORMAN_IDLE_AFTER, INTERRUPTION
from stratos.apis.node import NODE
from stratos.apis.service import SERVICE
from stratos.apiserver.storage.memory import open_memory
from stratos.base.certificates import create_authority, new_key_pem
from stratos.base.errors import StratosError
from stratos.base.ids import SeededIds
from stratos.cli.install.install import apply_installation
from stratos.doorman import Doorman
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.in_process import InProcessTransport
from stratos.planning.interruptions.notices import HostNotice
from stratos.providers.contract import InterruptionKind
from stratos.testing import virtual_time
from stratos.testing.virtual_time import VirtualClock
from stratos.wiring.api import ApiSecrets
from stratos.wiring.control_plane import ControlPlane, ControlPlaneOptions
from stratos.wiring.installation import Values, installation
from stratos.wiring.installation.rights import AGENT, DOORMAN
from stratos.wiring.installation.values import AgentValues, DoormanValues, NamespaceValues
from wiring.rights_seen import WatchedTransport, granted

VALUES = Values(
    cluster_name="test",
    replica_count=0,
    namespace=NamespaceValues(create=True),
    agent=AgentValues(enabled=True),
    doorman=DoormanValues(enabled=True, replica_count=0),
)


@asynccontextmanager
async def a_part(account: str) -> AsyncIterator[tuple[Client, WatchedTransport]]:
    """The administrator's client of a cluster with Stratos, and the way in of one of its accounts."""
    clock, chance = VirtualClock(), random.Random(5)
    secrets = ApiSecrets(create_authority("test", clock.now()).certificate_pem, new_key_pem(), clock)
    options = ControlPlaneOptions(stratos_installed=False)
    plane = ControlPlane(
        open_memory(), clock=clock, ids=SeededIds(chance), rng=chance, options=options, secrets=secrets
    )
    async with plane.running():
        await apply_installation(plane.admin, installation(VALUES))
        path = f"/api/v1/namespaces/stratos-system/serviceaccounts/{account}/token"
        answer = await plane.admin.request_json("POST", path, body={"spec": {}})
        token: str = answer["status"]["token"]
        yield plane.admin, WatchedTransport(InProcessTransport(plane.api.server.app, token=token))


async def add_sleeping_service(admin: Client) -> None:
    annotations = {DOORMAN_HOST: "web.test", DOORMAN_IDLE_AFTER: "soon"}
    metadata = {"namespace": "default", "name": "web", "annotations": annotations}
    await admin.create(SERVICE, {"metadata": metadata, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    spec: dict[str, Any] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    await admin.create(DEPLOYMENT, {"metadata": {"namespace": "default", "name": "web"}, "spec": spec})


def test_the_doorman_wakes_a_service_with_the_rights_of_its_account() -> None:
    """It faces strangers: what it may do is what whoever takes it over may do."""

    async def story() -> WatchedTransport:
        async with a_part("stratos-doorman") as (admin, door):
            await add_sleeping_service(admin)
            rng = random.Random(1)
            manager = Manager(Client(door), rng=rng)
            doorman = Doorman(manager, clock=VirtualClock(), rng=rng, ids=SeededIds(rng), registry=CollectorRegistry())
            running = asyncio.create_task(manager.run())
            await asyncio.sleep(5)
            gate = doorman.gate("web.test")
            assert gate is not None
            with pytest.raises(StratosError):  # there is no node
                await gate.wait(0, asyncio.get_running_loop().time() + 10)
            assert (await admin.get(DEPLOYMENT, "default/web")).spec.replicas == 1
            for idle in ("later", "soon"):  # what is told again becomes a count
                change = {"metadata": {"annotations": {DOORMAN_IDLE_AFTER: idle}}}
                await admin.patch(SERVICE, "default/web", change)
                await asyncio.sleep(5)
            running.cancel()
            await asyncio.wait({running})
            return door

    door = virtual_time.run(story())

    rights = granted(DOORMAN)
    listed = {use for use in rights if use.verb == "list" and use._replace(verb="watch") in door.uses}
    assert door.refused == []
    assert set(map(str, rights - door.uses - listed)) == {"patch statefulsets.apps"}  # as it does with Deployments


def test_the_agent_marks_its_node_and_may_do_nothing_else() -> None:
    """It runs on every machine: the weakest of them decides how far a thief gets."""

    async def story() -> tuple[WatchedTransport, str]:
        async with a_part("stratos-agent") as (admin, door):
            await admin.create(NODE, {"metadata": {"name": "ours"}})

            async def hear() -> HostNotice | None:
                return HostNotice(InterruptionKind.SPOT_INTERRUPTION)

            watching = asyncio.create_task(watch_notices(Client(door), "ours", hear, poll_seconds=5))
            await asyncio.sleep(20)
            watching.cancel()
            await asyncio.wait({watching})
            node = await admin.get(NODE, "ours")
            return door, node.metadata.annotations[INTERRUPTION]

    door, marked = virtual_time.run(story())

    assert marked
    assert (door.refused, granted(AGENT) - door.uses) == ([], set())
