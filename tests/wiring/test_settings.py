"""The controllers' settings in the API, as commands that look at the cluster from outside find them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from stratos.apis.namespace import CONFIG_MAP, ConfigMap
from stratos.apis.settings import SETTINGS_KEY, PublishedSettings, settings_in, settings_manifest
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import Invalid
from stratos.base.ids import SeededIds
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.kube.client import Client
from stratos.kube.codec import decode, encode
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.testing import virtual_time
from stratos.wiring.api import STRATOS
from stratos.wiring.cluster import Cluster, ClusterOptions
from stratos.wiring.settings import SettingsNotice, limits_in_force


def tell(plot: Callable[[Cluster], Awaitable[None]], limits: ClusterLimits | None = None) -> None:
    async def story() -> None:
        chance = random.Random(1)
        options = ClusterOptions(provisioning=ProvisioningSettings(limits=limits or ClusterLimits()))
        ids, clock = SeededIds(chance), virtual_time.VirtualClock()
        cluster = Cluster(open_memory(), clock=clock, ids=ids, rng=chance, options=options)
        async with cluster.running():
            await asyncio.sleep(1)
            await plot(cluster)

    virtual_time.run(story())


@pytest.mark.parametrize(
    "limits", [ClusterLimits(), ClusterLimits(25.1, 4), ClusterLimits(0.0, 0), ClusterLimits(gpus=8)]
)
def test_whoever_looks_from_outside_finds_the_limits_that_the_controllers_keep(limits: ClusterLimits) -> None:
    """They may be on another machine than the one where the options were given."""

    async def plot(cluster: Cluster) -> None:
        assert await limits_in_force(cluster.admin) == limits

    tell(plot, limits)


def test_controllers_that_start_without_limits_take_back_those_of_before() -> None:
    """A limit that nobody keeps any more must not be told as one."""

    async def plot(cluster: Cluster) -> None:
        await SettingsNotice(cluster.api.client(STRATOS), ClusterLimits(gpus=2)).run()
        assert await limits_in_force(cluster.admin) == ClusterLimits(gpus=2)

        await cluster.stratos.stop()
        await cluster.stratos.start()
        await asyncio.sleep(1)
        assert await limits_in_force(cluster.admin) == ClusterLimits()

    tell(plot)


def test_a_cluster_whose_controllers_have_said_nothing_has_no_limits() -> None:
    """It may be run by a version that did not say."""

    async def plot(cluster: Cluster) -> None:
        await cluster.admin.delete(CONFIG_MAP, SETTINGS_KEY)
        assert await limits_in_force(cluster.admin) == ClusterLimits()

    tell(plot)


def test_a_notice_that_could_not_be_posted_is_posted_later() -> None:
    """Controllers may come up before their rights do; they work all the same."""

    async def plot(cluster: Cluster) -> None:
        stranger = Client(cluster.api.transport("system:kube-scheduler"))
        posting = asyncio.create_task(SettingsNotice(stranger, ClusterLimits(gpus=2)).run())
        await asyncio.sleep(30)
        assert not posting.done()

        await cluster.admin.request_json("POST", f"/apis/{RBAC}/clusterrolebindings", body=BINDING)
        await asyncio.sleep(60)
        assert posting.done()
        assert await limits_in_force(cluster.admin) == ClusterLimits(gpus=2)

    tell(plot)


RBAC = "rbac.authorization.k8s.io/v1"
BINDING = {
    "apiVersion": RBAC,
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "late"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "User", "name": "system:kube-scheduler", "apiGroup": "rbac.authorization.k8s.io"}],
}


def test_settings_that_somebody_else_wrote_are_refused_by_name() -> None:
    """A limit that is guessed at makes a plan that will not come to pass."""
    written = settings_manifest(PublishedSettings(cluster_gpu_limit=4))
    read = decode(ConfigMap, encode(written))
    assert settings_in(read) == PublishedSettings(cluster_gpu_limit=4)

    written["data"] = {"clusterGPULimit": "four"}
    with pytest.raises(Invalid, match="stratos-system/stratos-settings holds no settings"):
        settings_in(decode(ConfigMap, encode(written)))
