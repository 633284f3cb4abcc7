"""A launch whose answer got lost is asked for again, by the same process or the next, and there is one machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from providers.aws.ec2_builders import SPOT_TYPES, a_provider, a_request, a_spot_request, everywhere, launched
from stratos.base.clock import FixedClock
from stratos.base.errors import Unavailable
from stratos.providers.contract import CapacityType, OfferingKey, OutOfStock
from stratos.testing.aws import LoopbackAws


@pytest.mark.parametrize("capacity_type", [CapacityType.ON_DEMAND, CapacityType.SPOT])
@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not-seen-yet"])
@pytest.mark.parametrize("restarted", [False, True], ids=["same-process", "after-a-crash"])
def test_an_answer_that_got_lost_is_asked_for_again_and_launches_nothing_more(
    aws: LoopbackAws, aws_loop: asyncio.Runner, capacity_type: CapacityType, seen: bool, restarted: bool
) -> None:
    """The machine is found by its tag; while EC2 does not show it yet, its client token keeps it from having a twin."""
    token = f"lost-{capacity_type}-{seen}-{restarted}"
    spot = capacity_type is CapacityType.SPOT
    request = a_spot_request(aws, token) if spot else a_request(aws, token)
    aws.faults.lost_answers["ec2:CreateFleet" if spot else "ec2:RunInstances"] = 1

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(Unavailable):
            await provider.launch(request)
        if not seen:
            aws.faults.unseen.update(launched(aws, token))

        machine = await (a_provider(aws) if restarted else provider).launch(request)

        assert launched(aws, token) == [machine.id]

    aws_loop.run(story())


def test_what_was_not_answered_is_asked_for_before_anything_that_became_possible_since(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """The first zone had no stock, the answer of the second got lost; now the first has some again."""
    request = a_request(aws, "flapping")
    first = OfferingKey("m5.large", request.subnets[0].zone, CapacityType.ON_DEMAND)
    aws.faults.out_of_stock.add(first)
    aws.faults.lost_answers["ec2:RunInstances"] = 1  # a refusal is not counted

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(Unavailable):
            await provider.launch(request)
        aws.faults.unseen.update(launched(aws, "flapping"))
        aws.faults.out_of_stock.clear()

        machine = await provider.launch(request)

        assert launched(aws, "flapping") == [machine.id]

    aws_loop.run(story())


def test_a_crash_after_a_zone_without_stock_leaves_one_machine(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Whoever comes after the crash asks the zones anew, and the second knows the token."""
    request = a_request(aws, "crash")
    aws.faults.out_of_stock.add(OfferingKey("m5.large", request.subnets[0].zone, CapacityType.ON_DEMAND))
    aws.faults.lost_answers["ec2:RunInstances"] = 1  # a refusal is not counted

    async def story() -> None:
        with pytest.raises(Unavailable):
            await a_provider(aws).launch(request)
        aws.faults.unseen.update(launched(aws, "crash"))

        machine = await a_provider(aws).launch(request)

        assert launched(aws, "crash") == [machine.id]

    aws_loop.run(story())


def test_a_machine_asked_for_in_other_words_is_waited_for_and_found(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """A newer image came between the two: the first machine counts, not a second one beside it."""
    request = a_request(aws, "reworded")
    newer = replace(request, image=max(aws.account.images.values()))
    aws.faults.lost_answers["ec2:RunInstances"] = 1

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(Unavailable):
            await provider.launch(request)
        aws.faults.unseen.update(launched(aws, "reworded"))
        for _ in range(2):
            with pytest.raises(Unavailable, match="not to be seen yet"):
                await provider.launch(newer)
        aws.faults.unseen.clear()

        machine = await provider.launch(newer)

        assert launched(aws, "reworded") == [machine.id]
        assert machine.image == request.image

    aws_loop.run(story())


def test_words_that_led_to_no_machine_are_given_up_after_a_while(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """A fleet was refused, the controller restarted, the class changed: its first token is spent."""
    request = a_spot_request(aws, "stale")
    clock = FixedClock()
    aws.faults.out_of_stock |= everywhere(aws, CapacityType.SPOT, *SPOT_TYPES)

    async def story() -> None:
        with pytest.raises(OutOfStock):
            await a_provider(aws).launch(request)
        aws.faults.out_of_stock.clear()
        newer = replace(request, image=max(aws.account.images.values()))
        restarted = a_provider(aws, clock)
        with pytest.raises(Unavailable):
            await restarted.launch(newer)
        clock.set(clock.now() + timedelta(minutes=2))
        with pytest.raises(Unavailable):
            await restarted.launch(newer)

        machine = await restarted.launch(newer)

        assert launched(aws, "stale") == [machine.id]

    aws_loop.run(story())
