"""Manifests of all four generations at work: not only read, but served, stored and acted on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from controllers.pool_stories import Story, tell
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.nodepool import NODE_POOL
from stratos.providers.simulated.account import MachineImage, TaggedSecurityGroup, TaggedSubnet

GENERATIONS = Path(__file__).parents[1] / "apis" / "generations"
IMAGE = "ami-0123456789abcdef0"
CLASS = {
    "bootstrapTemplate": "AL2023",
    "instanceType": "m5.large",
    "ami": IMAGE,
    "subnetIds": ["subnet-1", "subnet-2"],
    "securityGroupIds": ["sg-1"],
    "iamInstanceProfile": "builder-nodes",
}


@pytest.mark.parametrize("generation", ["g0", "g1", "g2", "g3"])
def test_a46_a_pool_of_each_generation_fills_to_its_minimum(generation: str) -> None:
    """Whoever has run pools since the first days need not rewrite one."""
    manifest = yaml.safe_load((GENERATIONS / f"{generation}.yaml").read_text())

    async def plot(story: Story) -> None:
        account = story.cloud.account
        account.images.append(MachineImage(IMAGE, "builder", account.id, "amd64", datetime(2025, 6, 1, tzinfo=UTC)))
        account.subnets += [TaggedSubnet("subnet-1", "us-east-1a"), TaggedSubnet("subnet-2", "us-east-1b")]
        account.security_groups.append(TaggedSecurityGroup("sg-1", "builders"))
        if "nodeClassRef" in manifest["spec"]["template"]:
            await story.client.create(AWS_NODE_CLASS, {"metadata": {"name": "builders"}, "spec": CLASS})
        await story.client.create(NODE_POOL, manifest)

        await story.wait_pool(lambda pool: pool.status.standby == 2, "builders", within=300)

        assert {machine.image for machine in story.machines()} == {IMAGE}
        assert {machine.zone for machine in story.machines()} <= {"us-east-1a", "us-east-1b"}
        turned_itself_off = story.calls()["stop"] == 0
        assert turned_itself_off is (generation == "g1")

    tell(plot)
