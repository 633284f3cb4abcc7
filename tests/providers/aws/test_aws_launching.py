"""Machines on EC2 are launched once for each token, and wherever there is one to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from providers.aws.ec2_builders import a_clients, a_provider, a_request
from stratos.apis.awsnodeclass import AWSNodeClass, AWSNodeClassSpec
from stratos.apis.meta import ObjectMeta
from stratos.base.clock import FixedClock
from stratos.base.errors import Forbidden, InsufficientCapacity, QuotaExceeded, Unavailable
from stratos.providers.aws import launching
from stratos.providers.aws.provider import AWSProvider
from stratos.providers.contract import CapacityType, LaunchRequest, Machine, MachineState, OfferingKey, OutOfStock
from stratos.testing.aws import AwsCall, AwsError, CallMoment, LoopbackAws
from stratos.wiring.clock import SystemClock

ON_DEMAND, SPOT = CapacityType.ON_DEMAND, CapacityType.SPOT
SPOT_TYPES = ("m5.large", "m5a.large")

Run = Callable[[Awaitable[None]], None]


@pytest.fixture
def run(aws_loop: asyncio.Runner) -> Run:
    async def wait(story: Awaitable[None]) -> None:
        await story

    return lambda story: aws_loop.run(wait(story))


def launched(aws: LoopbackAws, token: str) -> list[str]:
    """The machines that carry the token, whatever anybody was told."""
    return [id_ for id_, each in aws.instances.by_id.items() if each.tags.get("stratos.sh/launch-token") == token]


def calls(aws: LoopbackAws, operation: str) -> int:
    return sum(call.operation == operation for call in aws.calls)


def spot_request(aws: LoopbackAws, token: str) -> LaunchRequest:
    request = a_request(aws, token)
    return replace(request, instance_types=SPOT_TYPES, capacity_type=SPOT)


def everywhere(aws: LoopbackAws, capacity_type: CapacityType, *types: str) -> set[OfferingKey]:
    return {OfferingKey(name, zone, capacity_type) for name in types for zone in aws.account.subnets}


def test_a_zone_without_stock_is_passed_over(aws: LoopbackAws, run: Run) -> None:
    """Stock-outs are of one zone mostly; the machine is wanted now."""
    request = a_request(aws, "zones")
    first, second, *_ = request.subnets
    aws.faults.out_of_stock.add(OfferingKey("m5.large", first.zone, ON_DEMAND))

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert machine.zone == second.zone

    run(story())


def test_without_stock_anywhere_every_offering_tried_is_named(aws: LoopbackAws, run: Run) -> None:
    """Each is left alone for a while, so that the next launch does not begin with it."""
    request = a_request(aws, "nowhere")
    aws.faults.out_of_stock |= everywhere(aws, ON_DEMAND, "m5.large")

    async def story() -> None:
        with pytest.raises(OutOfStock) as refused:
            await a_provider(aws).launch(request)

        assert set(refused.value.tried) == everywhere(aws, ON_DEMAND, "m5.large")
        assert "capacity" in refused.value.message

    run(story())


def test_a34_a_fleet_takes_what_there_is_when_the_first_choice_is_out_of_stock(aws: LoopbackAws, run: Run) -> None:
    request = spot_request(aws, "fleet")
    first = request.subnets[0].zone
    aws.faults.out_of_stock |= everywhere(aws, SPOT, "m5a.large") | {OfferingKey("m5.large", first, SPOT)}

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert (machine.instance_type, machine.capacity_type) == ("m5.large", SPOT)
        assert machine.zone in aws.account.subnets.keys() - {first}
        assert machine.price_usd_per_hour > 0
        assert machine.provider_id == f"aws:///{machine.zone}/{machine.id}"

    run(story())


def test_a_fleet_without_stock_names_every_offering_and_succeeds_when_there_is_some(aws: LoopbackAws, run: Run) -> None:
    """EC2 repeats to a client token what it said before: the same one again would find no machine forever."""
    request = spot_request(aws, "later")
    aws.faults.out_of_stock |= everywhere(aws, SPOT, *SPOT_TYPES)

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(OutOfStock) as refused:
            await provider.launch(request)
        assert set(refused.value.tried) == everywhere(aws, SPOT, *SPOT_TYPES)

        aws.faults.out_of_stock.clear()
        machine = await provider.launch(request)

        assert launched(aws, "later") == [machine.id]

    run(story())


def test_a_fleets_quota_is_not_taken_for_a_stock_out(aws: LoopbackAws, run: Run) -> None:
    """Other zones will not help, people may."""
    aws.faults.max_vcpus[SPOT] = 0
    aws.faults.max_vcpus[ON_DEMAND] = 0

    async def story() -> None:
        with pytest.raises(QuotaExceeded):
            await a_provider(aws).launch(spot_request(aws, "quota-spot"))
        with pytest.raises(QuotaExceeded):
            await a_provider(aws).launch(a_request(aws, "quota"))

    run(story())


def test_a_denied_launch_names_the_missing_right(aws: LoopbackAws, run: Run) -> None:
    aws.faults.denied.add("ec2:CreateFleet")

    async def story() -> None:
        with pytest.raises(Forbidden, match="ec2:CreateFleet"):
            await a_provider(aws).launch(spot_request(aws, "denied"))

    run(story())


@pytest.mark.parametrize("capacity_type", [ON_DEMAND, SPOT])
def test_a_profile_that_was_just_made_is_waited_for(
    aws: LoopbackAws, run: Run, capacity_type: CapacityType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 hears of it seconds after IAM made it. Refused, the first machine of each new class would be given up."""
    monkeypatch.setattr(launching, "_UNTIL_PROFILES_ARE_SEEN_SECONDS", (0.01, 0.01))
    token = f"profile-{capacity_type}"
    request = spot_request(aws, token) if capacity_type is SPOT else a_request(aws, token)
    refusals = iter(range(2))

    def refuse_twice(moment: CallMoment, call: AwsCall) -> None:
        if call.operation in ("RunInstances", "CreateFleet") and next(refusals, None) is not None:
            said = "Value (new) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
            raise AwsError("InvalidParameterValue", said)

    aws.faults.hook = refuse_twice

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert launched(aws, token) == [machine.id]

    run(story())


@pytest.mark.parametrize("capacity_type", [ON_DEMAND, SPOT])
@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not-seen-yet"])
@pytest.mark.parametrize("restarted", [False, True], ids=["same-process", "after-a-crash"])
def test_an_answer_that_got_lost_is_asked_for_again_and_launches_nothing_more(
    aws: LoopbackAws, run: Run, capacity_type: CapacityType, seen: bool, restarted: bool
) -> None:
    """The machine is found by its tag; while EC2 does not show it yet, its client token keeps it from having a twin."""
    token = f"lost-{capacity_type}-{seen}-{restarted}"
    spot = capacity_type is SPOT
    request = spot_request(aws, token) if spot else a_request(aws, token)
    aws.faults.lost_answers["ec2:CreateFleet" if spot else "ec2:RunInstances"] = 1

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(Unavailable):
            await provider.launch(request)
        if not seen:
            aws.faults.unseen.update(launched(aws, token))

        machine = await (a_provider(aws) if restarted else provider).launch(request)

        assert launched(aws, token) == [machine.id]

    run(story())


def test_what_was_not_answered_is_asked_for_before_anything_that_became_possible_since(
    aws: LoopbackAws, run: Run
) -> None:
    """The first zone had no stock, the answer of the second got lost; now the first has some again."""
    request = a_request(aws, "flapping")
    first = OfferingKey("m5.large", request.subnets[0].zone, ON_DEMAND)
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

    run(story())


def test_a_crash_after_a_zone_without_stock_leaves_one_machine(aws: LoopbackAws, run: Run) -> None:
    """Whoever comes after the crash asks the zones anew, and the second knows the token."""
    request = a_request(aws, "crash")
    aws.faults.out_of_stock.add(OfferingKey("m5.large", request.subnets[0].zone, ON_DEMAND))
    aws.faults.lost_answers["ec2:RunInstances"] = 1  # a refusal is not counted

    async def story() -> None:
        with pytest.raises(Unavailable):
            await a_provider(aws).launch(request)
        aws.faults.unseen.update(launched(aws, "crash"))

        machine = await a_provider(aws).launch(request)

        assert launched(aws, "crash") == [machine.id]

    run(story())


def test_a_machine_asked_for_in_other_words_is_waited_for_and_found(aws: LoopbackAws, run: Run) -> None:
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

    run(story())


def test_words_that_led_to_no_machine_are_given_up_after_a_while(aws: LoopbackAws, run: Run) -> None:
    """A fleet was refused, the controller restarted, the class changed: its first token is spent."""
    request = spot_request(aws, "stale")
    clock = FixedClock()
    aws.faults.out_of_stock |= everywhere(aws, SPOT, *SPOT_TYPES)

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

    run(story())


def test_fleets_alike_share_a_template_and_make_it_anew_when_somebody_deleted_it(aws: LoopbackAws, run: Run) -> None:
    async def story() -> None:
        provider = a_provider(aws)
        await provider.launch(spot_request(aws, "template-1"))
        made = calls(aws, "CreateLaunchTemplate")
        await provider.launch(spot_request(aws, "template-2"))
        assert calls(aws, "CreateLaunchTemplate") == made

        await delete_templates(aws)
        machine = await provider.launch(spot_request(aws, "template-3"))

        assert launched(aws, "template-3") == [machine.id]

    run(story())


def test_templates_that_nobody_used_for_an_hour_are_cleaned_up(aws: LoopbackAws, run: Run) -> None:
    """An account takes a few thousand of them, and each change of a class or an image makes another."""
    clock = FixedClock(SystemClock().now())

    async def story() -> None:
        await delete_templates(aws)
        provider = a_provider(aws, clock)
        await provider.launch(spot_request(aws, "clean-1"))
        await provider.launch(replace(spot_request(aws, "clean-2"), image=max(aws.account.images.values())))
        assert len(await templates(aws)) == 2

        clock.set(clock.now() + timedelta(hours=2))
        await provider.launch(spot_request(aws, "clean-3"))
        await provider.launch(replace(spot_request(aws, "clean-4"), instance_profile="stratos-node"))

        assert len(await templates(aws)) == 2

    run(story())


def test_no_template_outlives_the_classes(aws: LoopbackAws, run: Run) -> None:
    """Whoever takes Stratos out of an account finds nothing of it left."""
    node_class = AWSNodeClass(metadata=ObjectMeta(name="workers"), spec=AWSNodeClassSpec())

    async def story() -> None:
        provider = a_provider(aws, FixedClock(SystemClock().now() + timedelta(minutes=1)))
        await provider.launch(spot_request(aws, "outlived"))
        assert await templates(aws)

        await provider.release(node_class)

        assert await templates(aws) == []

    run(story())


async def templates(aws: LoopbackAws) -> list[str]:
    rows = await a_clients(aws).pages("ec2", "describe_launch_templates", "LaunchTemplates")
    return [row["LaunchTemplateName"] for row in rows]


async def delete_templates(aws: LoopbackAws) -> None:
    for name in await templates(aws):
        await a_clients(aws).call("ec2", "delete_launch_template", LaunchTemplateName=name)


async def until(provider: AWSProvider, machine: Machine, state: MachineState) -> None:
    async with asyncio.timeout(10):
        while True:
            if (await provider.describe([machine.id]))[machine.id].state is state:
                return
            await asyncio.sleep(0.02)


def test_a_machine_without_a_host_for_it_is_out_of_stock_and_starts_with_the_same_token_later(
    aws: LoopbackAws, run: Run
) -> None:
    """Stopped machines have no host of their own: a start can fail as a launch can."""

    async def story() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(a_request(aws, "restart"))
        await until(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await until(provider, machine, MachineState.STOPPED)
        aws.faults.out_of_stock |= everywhere(aws, ON_DEMAND, "m5.large")
        with pytest.raises(InsufficientCapacity) as refused:
            await provider.start(machine.id, "wake-1")
        assert isinstance(refused.value, OutOfStock)

        aws.faults.out_of_stock.clear()
        await provider.start(machine.id, "wake-1")

        await until(provider, machine, MachineState.RUNNING)

    run(story())


def test_a_start_whose_answer_got_lost_is_not_repeated_once_the_machine_was_parked(aws: LoopbackAws, run: Run) -> None:
    """StartInstances knows no tokens: what the machine was tagged with before tells whether it was started since."""

    async def story() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(a_request(aws, "parked"))
        await until(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await until(provider, machine, MachineState.STOPPED)
        aws.faults.lost_answers["ec2:StartInstances"] = 1
        with pytest.raises(Unavailable):
            await provider.start(machine.id, "wake-1")
        await until(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await until(provider, machine, MachineState.STOPPED)

        await a_provider(aws).start(machine.id, "wake-1")

        assert aws.instances.starts[machine.id] == 1

    run(story())
