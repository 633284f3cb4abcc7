"""Launch templates come and go with the fleets that need them; nobody should ever have to look after them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from providers.aws.ec2_builders import a_clients, a_provider, a_spot_request, asked, launched
from stratos.apis.awsnodeclass import AWSNodeClass, AWSNodeClassSpec
from stratos.apis.meta import ObjectMeta
from stratos.base.clock import FixedClock
from stratos.testing.aws import LoopbackAws
from stratos.wiring.clock import SystemClock


def test_fleets_alike_share_a_template_and_make_it_anew_when_somebody_deleted_it(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    async def story() -> None:
        provider = a_provider(aws)
        await provider.launch(a_spot_request(aws, "template-1"))
        made = len(asked(aws, "CreateLaunchTemplate"))
        await provider.launch(a_spot_request(aws, "template-2"))
        assert len(asked(aws, "CreateLaunchTemplate")) == made

        await delete_templates(aws)
        machine = await provider.launch(a_spot_request(aws, "template-3"))

        assert launched(aws, "template-3") == [machine.id]

    aws_loop.run(story())


def test_templates_that_nobody_used_for_an_hour_are_cleaned_up(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """An account takes a few thousand of them, and each change of a class or an image makes another."""
    clock = FixedClock(SystemClock().now())

    async def story() -> None:
        await delete_templates(aws)
        provider = a_provider(aws, clock)
        await provider.launch(a_spot_request(aws, "clean-1"))
        await provider.launch(replace(a_spot_request(aws, "clean-2"), image=max(aws.account.images.values())))
        assert len(await templates(aws)) == 2

        clock.set(clock.now() + timedelta(hours=2))
        await provider.launch(a_spot_request(aws, "clean-3"))
        await provider.launch(replace(a_spot_request(aws, "clean-4"), instance_profile="stratos-node"))

        assert len(await templates(aws)) == 2

    aws_loop.run(story())


def test_no_template_outlives_the_classes(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Whoever takes Stratos out of an account finds nothing of it left."""
    node_class = AWSNodeClass(metadata=ObjectMeta(name="workers"), spec=AWSNodeClassSpec())

    async def story() -> None:
        provider = a_provider(aws, FixedClock(SystemClock().now() + timedelta(minutes=1)))
        await provider.launch(a_spot_request(aws, "outlived"))
        assert await templates(aws)

        await provider.release(node_class)

        assert await templates(aws) == []

    aws_loop.run(story())


async def templates(aws: LoopbackAws) -> list[str]:
    rows = await a_clients(aws).pages("ec2", "describe_launch_templates", "LaunchTemplates")
    return [row["LaunchTemplateName"] for row in rows]


async def delete_templates(aws: LoopbackAws) -> None:
    for name in await templates(aws):
        await a_clients(aws).call("ec2", "delete_launch_template", LaunchTemplateName=name)
