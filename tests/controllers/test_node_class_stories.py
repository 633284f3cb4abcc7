"""Classes go wrong in an account that others change: it is said where people look, and nobody else's pool suffers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from controllers.pool_stories import Story, tell
from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClass
from stratos.apis.event import EVENT
from stratos.apis.meta import find_condition
from stratos.apis.nodepool import NODE_POOL, NodePoolSpec
from stratos.base.errors import Forbidden, NotFound, Unavailable
from stratos.controllers.machines.launching import turns_itself_off
from stratos.providers.simulated.account import TaggedSubnet
from stratos.providers.simulated.cloud import CallMoment

SPEC = {
    "bootstrapTemplate": "AL2023",
    "instanceType": "m5.large",
    "subnetSelector": {"tags": {"team": "a"}},
    "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
    "role": "node-role",
}


async def add_class(story: Story, **spec: Any) -> None:
    await story.client.create(AWS_NODE_CLASS, {"metadata": {"name": "ours"}, "spec": {**SPEC, **spec}})


async def add_pool_of_class(story: Story, **spec: Any) -> None:
    await story.add_pool("theirs", template={"nodeClassRef": {"kind": "AWSNodeClass", "name": "ours"}}, **spec)


def add_subnet(story: Story) -> None:
    story.cloud.account.subnets.append(TaggedSubnet("subnet-a", "us-east-1a", {"team": "a"}))


async def told(story: Story) -> list[tuple[str, str, str]]:
    """Type, reason and message of the Events about the class."""
    found = [event async for event in story.client.list_all(EVENT) if event.involved_object.kind == "AWSNodeClass"]
    return [(event.type, event.reason, event.message) for event in found]


async def wait_told(story: Story, reason: str) -> str:
    async def is_told() -> bool:
        return any(reason == each for _, each, _ in await told(story))

    await story.wait(is_told, within=120)
    return next(message for _, each, message in await told(story) if each == reason)


async def condition(story: Story, type_: str) -> tuple[str, str]:
    found = find_condition((await story.client.get(AWS_NODE_CLASS, "ours")).status.conditions, type_)
    return (found.status, found.reason) if found else ("", "")


async def is_ready(story: Story) -> bool:
    return await condition(story, "SubnetsReady") == ("True", "Resolved")


async def is_gone(story: Story) -> bool:
    try:
        await story.client.get(AWS_NODE_CLASS, "ours")
    except NotFound:
        return True
    return False


def test_a40_what_is_missing_is_told_once_and_other_pools_go_on() -> None:
    async def plot(story: Story) -> None:
        await add_class(story)
        await add_pool_of_class(story)
        await story.add_filled_pool()

        message = await wait_told(story, "NoMatchingResources")
        await asyncio.sleep(300)

        assert message.startswith("SubnetsReady: ") and "'team': 'a'" in message
        assert [event for event in await told(story) if event[0] == "Warning"] == [
            ("Warning", "NoMatchingResources", message)
        ]
        assert (await story.pool("theirs")).status.total == 0

        add_subnet(story)
        await wait_told(story, "Resolved")
        await story.wait_pool(lambda pool: pool.status.standby == 1, "theirs", within=300)

    tell(plot)


def test_a_class_that_cannot_be_right_is_told_with_its_field() -> None:
    async def plot(story: Story) -> None:
        await add_class(story, instanceType="m5.larj")

        assert "spec.instanceType" in await wait_told(story, "InvalidSpec")

        assert await condition(story, "Valid") == ("False", "InvalidSpec")
        assert len(await told(story)) == 1  # that nothing was looked up then goes without saying

    tell(plot)


def no_lookups(moment: CallMoment, operation: str, target: str) -> None:
    if operation == "resolve":
        raise Unavailable("no answer", hint="check the region")


def test_a_cloud_that_does_not_answer_is_no_verdict_on_a_class() -> None:
    """Otherwise every hiccup of a cloud would stop launches and tell of a mistake that nobody made."""

    async def plot(story: Story) -> None:
        add_subnet(story)
        await add_class(story)
        await story.wait(lambda: is_ready(story))
        story.cloud.fault_hook = no_lookups
        await asyncio.sleep(900)

        assert [call.outcome for call in story.cloud.calls if call.operation == "resolve"].count("Unavailable") > 2
        assert await is_ready(story)
        assert await told(story) == []

    tell(plot)


def test_a_class_that_nobody_could_look_up_yet_says_so() -> None:
    async def plot(story: Story) -> None:
        story.cloud.fault_hook = no_lookups
        await add_class(story)

        message = await wait_told(story, "ResolutionFailed")

        assert "no answer" in message and "check the region" in message
        assert message.startswith("AMIReady, SubnetsReady, SecurityGroupsReady, InstanceProfileReady: ")

    tell(plot)


def test_the_profile_of_a_role_outlives_the_pools_and_goes_with_the_class() -> None:
    """Machines bear it until they are gone; after that, nothing of the class may stay behind in the account."""

    async def plot(story: Story) -> None:
        add_subnet(story)
        await add_class(story)
        await add_pool_of_class(story)
        await story.wait_pool(lambda pool: pool.status.standby == 1, "theirs")
        held = (await story.client.get(AWS_NODE_CLASS, "ours")).metadata.finalizers
        assert set(held) == {"stratos.sh/in-use", "stratos.sh/instance-profile"}
        (profile,) = story.cloud.account.generated_profiles

        await story.client.delete(AWS_NODE_CLASS, "ours")
        await asyncio.sleep(600)
        assert story.cloud.account.generated_profiles == {profile}

        await story.client.delete(NODE_POOL, "theirs")
        await story.wait(lambda: is_gone(story), within=600)
        assert story.cloud.account.generated_profiles == set()
        assert story.machines() == []

    tell(plot)


def test_a_class_whose_profile_cannot_be_deleted_stays_and_says_why() -> None:
    """What it left in the account would otherwise be nobody's."""

    async def plot(story: Story) -> None:
        def not_allowed(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "release":
                raise Forbidden("iam:DeleteInstanceProfile is not allowed", hint="grant it")

        add_subnet(story)
        await add_class(story)
        await story.wait(lambda: is_ready(story))
        story.cloud.fault_hook = not_allowed
        await story.client.delete(AWS_NODE_CLASS, "ours")

        assert "iam:DeleteInstanceProfile" in await wait_told(story, "CleanupFailed")

        story.cloud.fault_hook = None
        await story.wait(lambda: is_gone(story), within=600)

    tell(plot)


def test_a_pool_whose_images_nobody_pulls_is_warned_and_stands_by_all_the_same() -> None:
    """Bottlerocket runs no scripts: waiting for its report would end every warm-up at its timeout."""

    async def plot(story: Story) -> None:
        add_subnet(story)
        await add_class(story, bootstrapTemplate="Bottlerocket")
        await add_pool_of_class(story, preWarm={"images": ["app:1"], "completionMode": "SelfStop"})

        await story.wait_pool(lambda pool: pool.status.standby == 1, "theirs", within=300)

        assert await story.condition("ImagePrePull", "theirs") == ("False", "NotSupported")
        assert story.calls()["stop"] == 1  # it cannot turn itself off

    tell(plot)


@pytest.mark.parametrize(
    ("spec", "mode", "itself"),
    [
        ({}, None, False),
        ({}, "SelfStop", True),
        ({"userData": "#!/bin/sh"}, None, True),  # as G1 had it: raw user data ends its own warm-up
        ({"userData": "#!/bin/sh"}, "ControllerStop", False),
        ({"userData": "#!/bin/sh", "userDataType": "Template"}, None, False),
        ({"userData": "#!/bin/sh", "userDataType": "Template"}, "SelfStop", True),
        ({"bootstrapTemplate": "Bottlerocket"}, "SelfStop", False),  # nothing on it could
    ],
)
def test_who_ends_a_warm_up_follows_from_the_pool_and_the_user_data(
    spec: dict[str, str], mode: str | None, itself: bool
) -> None:
    """Waiting for a machine that never turns itself off costs the whole timeout of the warm-up."""
    node_class = msgspec.convert({"spec": {**SPEC, **spec}}, AWSNodeClass)
    template = {"nodeClassRef": {"kind": "AWSNodeClass", "name": "ours"}}
    pool = {"poolSize": 1, "minStandby": 1, "template": template, "preWarm": {"completionMode": mode} if mode else {}}

    assert turns_itself_off(msgspec.convert(pool, NodePoolSpec), node_class) is itself
