"""The whole controller with exactly the rights that an installation gives it: none is missing, and none is idle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from stratos.apis.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.apiserver.storage.memory import open_memory
from stratos.base.certificates import create_authority, new_key_pem
from stratos.base.ids import SeededIds
from stratos.catalog.catalog import load_catalog
from stratos.cli.install.install import apply_installation
from stratos.cli.install.uninstall import UninstallOptions, uninstall
from stratos.controllers.webhook.keeper import KeeperSettings, certificate_keeper
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.in_process import InProcessTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.kube.recorder import EventRecorder
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.testing import virtual_time
from stratos.testing.virtual_time import VirtualClock
from stratos.wiring.api import ApiSecrets
from stratos.wiring.clouds import Cloud, CloudChoice, open_cloud
from stratos.wiring.cluster_access import ClusterWords
from stratos.wiring.control_plane import ControlPlane, ControlPlaneOptions
from stratos.wiring.controllers import ControllerSettings
from stratos.wiring.installation import Values, installation
from stratos.wiring.installation.rights import FAKE_MACHINES, controller_rights
from stratos.wiring.installation.values import NamespaceValues
from stratos.wiring.process import ControllerProcess, Election, ProcessOptions
from wiring.rights_seen import Use, WatchedTransport, granted

Obj = dict[str, Any]
VALUES = Values(cluster_name="test", replica_count=0, namespace=NamespaceValues(create=True))
TOKEN = "/api/v1/namespaces/stratos-system/serviceaccounts/stratos/token"


@dataclass(frozen=True, slots=True)
class Installed:
    admin: Client
    cloud: SimulatedCloud
    door: WatchedTransport


@asynccontextmanager
async def an_installed_stratos(*, fake: bool = False) -> AsyncIterator[Installed]:
    """It runs in virtual time, behind a service account's token, on a cluster that knew nothing of it before.

    With the ``fake`` cloud, machines run in the same process and behind the same token.
    """
    clock, chance = VirtualClock(), random.Random(5)
    ids = SeededIds(chance)
    secrets = ApiSecrets(create_authority("test", clock.now()).certificate_pem, new_key_pem(), clock)
    options = ControlPlaneOptions(stratos_installed=False)
    plane = ControlPlane(open_memory(), clock=clock, ids=ids, rng=chance, options=options, secrets=secrets)
    cloud = SimulatedCloud(
        load_catalog("aws", "us-east-1"),
        clock=clock,
        rng=plane.chance(),
        cluster_name="test",
        software=plane.kubelets.run_host,
    )

    @asynccontextmanager
    async def another_cloud(_: Client) -> AsyncIterator[Cloud]:
        yield Cloud(cloud)

    def fake_cloud(client: Client) -> AbstractAsyncContextManager[Cloud]:
        choice = CloudChoice("fake", "us-east-1", ClusterWords("test"))
        return open_cloud(choice, client, ClusterAccess("https://unused"), clock=clock, rng=plane.chance())

    async with plane.running():
        await apply_installation(
            plane.admin, installation(msgspec.structs.replace(VALUES, cloud_provider="fake" if fake else "aws"))
        )
        asked = {"spec": {"expirationSeconds": 86400}}
        token = (await plane.admin.request_json("POST", TOKEN, body=asked))["status"]["token"]
        door = WatchedTransport(InProcessTransport(plane.api.server.app, token=token))
        process = ControllerProcess(
            door,
            fake_cloud if fake else another_cloud,
            ProcessOptions(
                settings=ControllerSettings(cluster_name="test"),
                metrics_address="0",
                probe_address="0",
                election=Election(namespace="stratos-system", identity="pod-1"),
            ),
            clock=clock,
            ids=ids,
            rng=plane.chance(),
        )
        keepers = Manager(Client(door), rng=chance)
        recorder = EventRecorder(keepers.client, "stratos", clock=clock, ids=ids)
        keepers.add(recorder)
        certificate_keeper(
            keepers, recorder, clock=clock, rng=chance, registry=CollectorRegistry(), settings=KeeperSettings()
        )
        running = [asyncio.create_task(process.run()), asyncio.create_task(keepers.run())]
        try:
            yield Installed(plane.admin, cloud, door)
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended
        await cloud.close()


def a_pod(name: str, *, seconds: int = 60, cpu: str = "500m", **spec: Any) -> Obj:
    container = {
        "name": "main",
        "image": "nginx:1",
        "command": ["sleep", str(seconds)],
        "resources": {"requests": {"cpu": cpu, "memory": "256Mi"}},
    }
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"containers": [container], "restartPolicy": "Never", **spec},
    }


async def live_for_an_hour(world: Installed) -> None:
    """Pools fill, wake, are interrupted and drained; templates launch, repack and expire; all of it goes in the end."""
    admin = world.admin
    await admin.create(SIM_NODE_CLASS, {"metadata": {"name": "sim"}, "spec": {"instanceType": "m5.large"}})
    pool = {
        "poolSize": 4,
        "minStandby": 1,
        "template": {"nodeClassRef": {"kind": "SimNodeClass", "name": "sim"}, "labels": {"pool": "ci"}},
        "scaleDown": {"emptyNodeTTL": "2m"},
        "spotReplacement": {"enabled": True, "replacementDelay": "2m"},
        "maxNodeRuntime": "15m",
    }
    await admin.create(NODE_POOL, {"metadata": {"name": "ci"}, "spec": pool})
    template = {
        "nodeClassRef": {"kind": "SimNodeClass", "name": "sim"},
        "isDefault": True,
        "disruption": {"nodeUnneededDuration": "2m", "nodeTTL": "10m", "budgets": [{"nodes": "100%"}]},
    }
    await admin.create(NODE_TEMPLATE, {"metadata": {"name": "any"}, "spec": template})
    await asyncio.sleep(240)
    await admin.create(POD, a_pod("job", seconds=900, nodeSelector={"pool": "ci"}))
    await admin.create(POD, a_pod("gated", schedulingGates=[{"name": "nodecostestimate"}]))
    labels = {"matchLabels": {"app": "web"}}
    pods = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": a_pod("web", seconds=9**9)["spec"]["containers"]},
    }
    await admin.create(
        DEPLOYMENT,
        {
            "metadata": {"namespace": "default", "name": "web"},
            "spec": {"replicas": 1, "selector": labels, "template": pods},
        },
    )
    await admin.create(POD, a_pod("big", seconds=300, cpu="6"))
    await asyncio.sleep(600)
    spot = [machine for machine in world.cloud.machines() if machine.capacity_type == "spot" and not machine.state.gone]
    for machine in spot:
        world.cloud.interrupt(machine.id)
    await asyncio.sleep(600)
    for node in (await admin.list(NODE)).items[:1]:
        await admin.patch(NODE, node.metadata.name, {"metadata": {"labels": {"stratos.sh/state": "garbled"}}})
    running = [machine for machine in world.cloud.machines() if not machine.state.gone]
    world.cloud.outside_terminate(running[0].id)
    await asyncio.sleep(1800)
    await admin.delete(DEPLOYMENT, "default/web", propagation="Background")
    await admin.delete(NODE_TEMPLATE, "any")
    await admin.delete(NODE_POOL, "ci")
    await asyncio.sleep(900)
    await admin.delete(SIM_NODE_CLASS, "sim")
    await asyncio.sleep(60)
    assert (await admin.list(NODE_CLAIM)).items == ()


def test_of_secrets_and_leases_only_those_of_stratos_can_be_read() -> None:
    """Whoever steals the token must not get at other secrets of the namespace."""

    async def story() -> dict[str, int]:
        asked = {
            "all": {},
            "ours": {"fieldSelector": "metadata.name=stratos-webhook-certificates"},
            "another": {"fieldSelector": "metadata.name=payroll"},
        }
        async with an_installed_stratos() as world:
            path = "/api/v1/namespaces/stratos-system/secrets"
            return {
                name: (await world.door.behind.request("GET", path, query=query)).status
                for name, query in asked.items()
            }

    assert virtual_time.run(story()) == {"all": 403, "ours": 200, "another": 403}


def test_uninstalling_with_machines_ends_them_before_it_removes_what_ends_them() -> None:
    """The other way round, they would run for ever."""

    async def story() -> tuple[int, int, list[str]]:
        async with an_installed_stratos() as world:
            admin = world.admin
            await admin.create(SIM_NODE_CLASS, {"metadata": {"name": "sim"}, "spec": {"instanceType": "m5.large"}})
            template = {"nodeClassRef": {"kind": "SimNodeClass", "name": "sim"}}
            pool = {"poolSize": 2, "minStandby": 2, "template": template}
            await admin.create(NODE_POOL, {"metadata": {"name": "ci"}, "spec": pool})
            await asyncio.sleep(300)
            before = sum(not machine.state.gone for machine in world.cloud.machines())
            wanted = UninstallOptions(
                kubeconfig=None,
                force=False,
                delete_machines=True,
                delete_crds=True,
                webhook_config_prefix="",
                timeout="15m",
            )
            await uninstall(admin, wanted)
            after = sum(not machine.state.gone for machine in world.cloud.machines())
            kinds = [each.metadata.name async for each in admin.list_all(CUSTOM_RESOURCE_DEFINITION)]
            return before, after, kinds

    assert virtual_time.run(story()) == (2, 0, [])


def test_the_fake_clouds_machines_have_the_rights_that_they_need() -> None:
    """They report their nodes and their pods as the controllers' own account."""

    async def story() -> tuple[list[str], set[Use]]:
        async with an_installed_stratos(fake=True) as world:
            admin = world.admin
            await admin.create(SIM_NODE_CLASS, {"metadata": {"name": "sim"}, "spec": {"instanceType": "m5.large"}})
            template = {"nodeClassRef": {"kind": "SimNodeClass", "name": "sim"}, "isDefault": True}
            await admin.create(NODE_TEMPLATE, {"metadata": {"name": "any"}, "spec": template})
            await admin.create(POD, a_pod("job", seconds=60))
            await admin.create(POD, a_pod("rest", seconds=9**9))
            await asyncio.sleep(400)
            assert (await admin.get(POD, "default/job")).status.phase == "Succeeded"
            await admin.delete(POD, "default/rest")
            await asyncio.sleep(900)
            assert (await admin.list(NODE)).items == ()
            refused = [each for each in world.door.refused if not each.endswith("/log")]  # which not all servers keep
            return refused, granted(FAKE_MACHINES) - world.door.uses

    refused, idle = virtual_time.run(story())

    assert refused == []
    assert idle == set()


@pytest.fixture(scope="module")
def door() -> WatchedTransport:
    async def story() -> WatchedTransport:
        async with an_installed_stratos() as world:
            await live_for_an_hour(world)
            return world.door

    return virtual_time.run(story())


def test_no_right_is_missing_for_an_hour(door: WatchedTransport) -> None:
    """Controllers retry quietly: a missing right shows as something that just never happens."""
    assert door.refused == []


# What the story does not come to, and when it would
IDLE_FOR_A_REASON = {
    "create awsnodeclasses.stratos.sh": "a pool of the oldest generation has its class inline",
    "update nodepools/finalizers.stratos.sh": "some servers want it of whoever makes claims that block the owner's end",
    "update nodetemplates/finalizers.stratos.sh": "the same",
    "get pods": "after the eviction of a pod that is to run elsewhere",
    "delete pods": "those that are still there when the cloud takes their machine",
    "get nodeclaims.stratos.sh": "when a cache has not yet heard of a claim that is there",
    "patch awsnodeclasses.stratos.sh": "as for SimNodeClasses, which this cloud has instead",
    "patch awsnodeclasses/status.stratos.sh": "as for SimNodeClasses, which this cloud has instead",
    "patch replicasets.apps": "the lone pod of a ReplicaSet without a Deployment moves",
    "patch secrets at home": "certificates are renewed months later",
    "create configmaps at home": "applying what is not there takes this right as well, on other servers",
    "list leases.coordination.k8s.io at home": "replicas that do not lead look who does",
    "watch leases.coordination.k8s.io at home": "replicas that do not lead look who does",
}


def test_every_right_is_used_or_there_is_a_reason_for_it(door: WatchedTransport) -> None:
    """What is granted and never used only serves whoever steals the token."""
    rights = granted(controller_rights())
    # A watch that begins with what is there spares the list, but not all servers know that.
    listed = {use for use in rights if use.verb == "list" and use._replace(verb="watch") in door.uses}

    idle = {str(use) for use in rights - door.uses - listed}

    assert idle == set(IDLE_FOR_A_REASON)
