"""A pod's volumes decide which machine of a warm pool is woken for it: the real controllers on the embedded cluster."""

from __future__ import annotations

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis import labels
from stratos.apis.nodeclaim import NodeState
from stratos.apis.persistentvolume import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from stratos.cli.explain import explain
from stratos.testing.virtual_time import VirtualClock

DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


async def add_volume(story: Story, zone: str) -> None:
    """A disk that is there already, in one zone, and the claim that is bound to it."""
    how = {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"]}
    volume = {"metadata": {"name": "disk", "labels": {labels.ZONE: zone}}, "spec": {**how, "hostPath": {"path": "/x"}}}
    await story.client.create(PERSISTENT_VOLUME, volume)
    asks = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, "volumeName": "disk"}
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {**asks, "storageClassName": ""}}
    await story.client.create(PERSISTENT_VOLUME_CLAIM, claim)


@pytest.mark.parametrize("choice", [0, 1, 2])
def test_the_machine_that_is_woken_is_one_that_reaches_the_pods_volume(choice: int) -> None:
    """In any other zone the pod could not run: the machine would be started for nothing."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=3)
        zone = sorted(claim.status.zone for claim in await story.claims())[choice]
        await add_volume(story, zone)

        await story.add_pod(volumes=[DATA])
        await story.wait_pod("Running", within=120)

        [woken] = [claim for claim in await story.claims() if claim.status.state is NodeState.RUNNING]
        assert woken.status.zone == zone
        assert story.calls()["start"] == 1

    tell(plot)


def test_a_pod_whose_volume_no_machine_reaches_wakes_none_and_says_why() -> None:
    """A start costs money, and the pod would wait as before."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=2)
        await add_volume(story, "elsewhere-1a")
        await story.add_pod(volumes=[DATA])

        await story.wait(lambda: _waits(story), within=60)
        told = await explain(story.client, VirtualClock(), "pod", "job", "default")

        assert story.calls()["start"] == 0
        assert any("none of the machines the pool could add has room" in reason for reason in told.reasons)

    tell(plot)


async def _waits(story: Story) -> bool:
    return (await story.pod()).unschedulable
