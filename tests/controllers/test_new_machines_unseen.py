"""Clouds answer for a while as if a new machine were not there, and may refuse to end an old one."""

from __future__ import annotations

from datetime import timedelta

from controllers.pool_stories import Story, tell
from stratos.apis import labels
from stratos.apis.nodepool import NODE_POOL
from stratos.base.errors import Forbidden
from stratos.providers.contract import Bootstrap, LaunchRequest, MachineNotFound, Subnet
from stratos.providers.simulated.cloud import CallMoment


def test_a_machine_too_new_to_be_found_is_ended_by_its_own_claim() -> None:
    """Believed to be gone, it would run on without anybody who knows of it until the next survey but one."""

    async def plot(story: Story) -> None:
        def not_found_yet(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "terminate" and story.now < launched_at + timedelta(seconds=20):
                raise MachineNotFound(f"there is no machine {target!r}")

        await story.add_pool(size=1, standby=1)
        await story.wait_pool(lambda pool: pool.status.warmup == 1)
        (machine,) = story.machines()
        launched_at = machine.launched_at
        story.cloud.fault_hook = not_found_yet

        await story.client.delete(NODE_POOL, "ci")
        await story.wait(lambda: _claims_gone(story), within=90)

        assert story.machines() == []

    tell(plot)


def test_a_machine_that_cannot_be_ended_does_not_keep_the_survey_from_the_others() -> None:
    """Somebody protected it on the console; the other one costs money, too."""

    async def plot(story: Story) -> None:
        protected, other = [await story.cloud.launch(_nobodys(story, token)) for token in ("protected", "other")]

        def refuse(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "terminate" and target == protected.id:
                raise Forbidden("it is protected")

        story.cloud.fault_hook = refuse

        await story.wait(lambda: _alone(story, protected.id), within=300)

        assert other.id not in {machine.id for machine in story.machines()}

    tell(plot)


async def _claims_gone(story: Story) -> bool:
    return not await story.claims()


async def _alone(story: Story, machine_id: str) -> bool:
    return [machine.id for machine in story.machines()] == [machine_id]


def _nobodys(story: Story, token: str) -> LaunchRequest:
    subnet = story.cloud.account.subnets[0]
    return LaunchRequest(
        token=token,
        instance_types=("m5.large",),
        subnets=(Subnet(subnet.id, subnet.zone),),
        image=story.cloud.account.images[0].id,
        bootstrap=Bootstrap(cluster_name="my-cluster"),
        tags={labels.TAG_MANAGED_BY: labels.MANAGED_BY, labels.TAG_CLUSTER: "my-cluster"},
    )
