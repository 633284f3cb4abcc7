"""Clouds answer at first as if a new machine were not there, may refuse to end an old one, and show those of others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from controllers.pool_stories import Story, tell
from stratos.apis import labels
from stratos.apis.nodepool import NODE_POOL
from stratos.base.errors import Forbidden
from stratos.providers.contract import Bootstrap, LaunchRequest, Machine, MachineNotFound, Subnet
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


def test_machines_of_another_cluster_of_the_same_name_are_left_alone() -> None:
    """Two clusters of one account were both installed as "default": each would end all machines of the other."""

    async def plot(story: Story) -> None:
        await story.add_pool(size=1, standby=1)
        await story.wait_pool(lambda pool: pool.status.warmup == 1)
        (own,) = story.machines()
        others = await story.cloud.launch(_nobodys(story, "others", {labels.TAG_CLUSTER_UID: "of-another-cluster"}))
        nobodys = await story.cloud.launch(_nobodys(story, "own", {labels.TAG_CLUSTER_UID: _uid(own)}))

        await story.wait(lambda: _gone(story, nobodys.id), within=300)

        assert {machine.id for machine in story.machines()} == {own.id, others.id}

    tell(plot)


def _uid(machine: Machine) -> str:
    return machine.tags[labels.TAG_CLUSTER_UID]


async def _gone(story: Story, machine_id: str) -> bool:
    return machine_id not in {machine.id for machine in story.machines()}


async def _claims_gone(story: Story) -> bool:
    return not await story.claims()


async def _alone(story: Story, machine_id: str) -> bool:
    return [machine.id for machine in story.machines()] == [machine_id]


def _nobodys(story: Story, token: str, tags: Mapping[str, str] | None = None) -> LaunchRequest:
    subnet = story.cloud.account.subnets[0]
    return LaunchRequest(
        token=token,
        instance_types=("m5.large",),
        subnets=(Subnet(subnet.id, subnet.zone),),
        image=story.cloud.account.images[0].id,
        bootstrap=Bootstrap(cluster_name="my-cluster"),
        tags={labels.TAG_MANAGED_BY: labels.MANAGED_BY, labels.TAG_CLUSTER: "my-cluster", **(tags or {})},
    )
