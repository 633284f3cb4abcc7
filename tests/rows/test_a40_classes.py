"""A class selects from what the account has; its pool waits for what is missing, and takes the newest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from controllers.pool_stories import Story, tell
from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClass
from stratos.apis.meta import find_condition
from stratos.providers.simulated.account import MachineImage

SPEC = {
    "bootstrapTemplate": "AL2023",
    "instanceType": "m5.large",
    "amiSelector": {"tags": {"team": "a"}},
    "subnetSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "role": "node-role",
}


def an_image(name: str, month: int, team: str = "a") -> MachineImage:
    return MachineImage(name, name, "111122223333", "amd64", datetime(2025, month, 1, tzinfo=UTC), {"team": team})


def test_a40_a_pool_waits_until_the_selector_of_its_class_matches_and_takes_the_newest_image() -> None:
    """Nothing is launched from half a class, and what was found can be read in its status."""

    async def plot(story: Story) -> None:
        async def node_class() -> AWSNodeClass:
            return await story.client.get(AWS_NODE_CLASS, "ours")

        async def has_failed() -> bool:
            found = find_condition((await node_class()).status.conditions, "AMIReady")
            return found is not None and (found.status, found.reason) == ("False", "NoMatchingResources")

        await story.client.create(AWS_NODE_CLASS, {"metadata": {"name": "ours"}, "spec": SPEC})
        await story.add_pool(template={"nodeClassRef": {"kind": "AWSNodeClass", "name": "ours"}})
        await story.wait(has_failed, within=60)
        await asyncio.sleep(120)
        assert await story.condition("Degraded") == ("True", "NodeClassNotReady")
        assert story.calls()["launch"] == 0

        images = [an_image("ami-old", 3), an_image("ami-new", 9), an_image("ami-other", 12, team="b")]
        story.cloud.account.images.extend(images)
        await story.wait_pool(lambda pool: pool.status.standby == 1, within=300)

        status = (await node_class()).status
        assert status.resolved_ami == "ami-new"
        assert status.resolved_subnets
        assert status.resolved_security_groups
        assert [machine.image for machine in story.machines()] == ["ami-new"]

    tell(plot)
