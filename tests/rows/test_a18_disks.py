"""What a machine has on its disk when it stands by is there when it is started: the reason why warm is fast."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.agent.simulated_kubelet.behaviour import CACHE_KEY, DURATION
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.meta import Kind, is_condition_true
from stratos.apis.nodeclaim import NodeState
from stratos.apis.pod import POD
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.providers.simulated.registry import GIGABYTE, ImageRegistry


async def run_job(story: Story, name: str) -> float:
    """Run a job that fills a cache on its machine, or finds it filled; how long it ran."""
    await story.add_pod(name, annotations={DURATION: "10m", CACHE_KEY: "go-modules"})
    await story.wait_pod("Running", name)
    return await story.wait_pod("Succeeded", name)


def test_a18_a19_a_job_finds_the_cache_that_another_left_before_the_machine_was_stopped() -> None:
    """The second run takes less than half as long as the first."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=1, scaleDown={"emptyNodeTTL": "1m"})
        [machine] = story.machines()
        first = await run_job(story, "first")
        marked = "/cache/go-modules" in story.cloud.disk(machine.id).files

        await story.wait_pool(lambda pool: pool.status.standby == 1)
        second = await run_job(story, "second")

        assert marked
        assert "/cache/go-modules" in story.cloud.disk(machine.id).files
        assert story.calls()["start"] == 2
        assert second / first < 0.5

    tell(plot)


def test_a24_listed_images_are_on_disk_before_a_machine_stands_by_and_are_not_pulled_again() -> None:
    """Once the machine stands by, the registry loses the image: a pod that pulled it could not start."""
    registry = ImageRegistry({"app:1": 2 * GIGABYTE})

    async def plot(story: Story) -> None:
        await story.add_pool(preWarm={"images": ["app:1"]})
        claim = await story.wait_state(NodeState.STANDBY)
        assert story.cloud.disk(claim.status.instance_id).images == {"app:1": 2 * GIGABYTE}

        registry.missing.add("app:1")
        await story.add_pod()

        assert await story.wait_pod("Running", within=60) <= 25

    tell(plot, registry=registry)


def test_a27_a_model_server_that_takes_a_quarter_of_an_hour_cold_serves_within_two_minutes() -> None:
    """Cold: three minutes to launch, ten to pull, a minute and a half to load. Warm: only the load, and a start."""
    cold: dict[str, float] = {}
    warm: dict[str, float] = {}

    async def serve(story: Story, seconds: dict[str, float]) -> None:
        await story.add_pod()

        async def is_serving() -> bool:
            return is_condition_true((await story.pod()).status.conditions, "Ready")

        async def is_bound() -> bool:
            return bool((await story.pod()).spec.node_name)

        seconds["machine"] = await story.wait(is_bound)
        seconds["image"] = await story.wait_pod("Running")
        seconds["load"] = await story.wait(is_serving)

    async def plot(story: Story) -> None:
        spec = {"instanceType": "g5.2xlarge", "bootTime": "3m", "startTime": "20s"}
        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "gpu"}, "spec": spec})
        template = {"nodeClassRef": {"kind": "SimNodeClass", "name": "gpu"}}
        await story.add_pool(size=1, standby=0, template=template, preWarm={"images": ["app:1"], "timeout": "20m"})
        await serve(story, cold)
        await story.client.delete(POD, "default/job")
        await story.wait_pool(lambda pool: pool.status.standby == 1)
        await serve(story, warm)

    registry = ImageRegistry({"app:1": 60 * GIGABYTE}, load_seconds={"app:1": 90})
    tell(plot, registry=registry)

    assert cold["machine"] + cold["image"] >= 180 + 600
    assert sum(cold.values()) >= 180 + 600 + 90
    assert warm["machine"] <= 25
    assert warm["image"] <= 5
    assert warm["load"] == pytest.approx(90, abs=1)
    assert sum(warm.values()) <= 120


NETWORK = {
    "subnetSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "role": "node-role",
}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (SIM_NODE_CLASS, {"instanceType": "m5.large", "warmupScript": "prefetch /models/assistant 20Gi"}),
        (
            AWS_NODE_CLASS,
            {
                "instanceType": "m5.large",
                "bootstrapTemplate": "AL2023",
                "customUserData": "#!/bin/bash\nprefetch /models/assistant 20Gi\n",
                **NETWORK,
            },
        ),
    ],
    ids=["SimNodeClass", "AWSNodeClass"],
)
def test_a28_what_the_boot_script_fetched_is_there_after_each_start(kind: Kind[Any], spec: dict[str, Any]) -> None:
    """Model weights are fetched while nobody waits for them."""

    async def plot(story: Story) -> None:
        await story.client.create(kind, {"metadata": {"name": "models"}, "spec": spec})
        template = {"nodeClassRef": {"kind": kind.kind, "name": "models"}}
        await story.add_filled_pool(size=1, template=template)
        claim = await story.wait_state(NodeState.STANDBY)
        disk = story.cloud.disk(claim.status.instance_id)
        assert disk.files == {"/models/assistant": 20 * 2**30}

        await story.add_pod()
        await story.wait_pod("Running")

        assert story.cloud.disk(claim.status.instance_id).files == {"/models/assistant": 20 * 2**30}
        assert story.calls()["start"] == 1

    tell(plot)
