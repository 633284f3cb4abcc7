"""Machines on EC2 are launched wherever there is one to be had, and what keeps one from it is told."""

from __future__ import annotations

import asyncio

import pytest

from providers.aws.ec2_builders import SPOT_TYPES, a_provider, a_request, a_spot_request, everywhere, launched
from stratos.base.errors import Forbidden, QuotaExceeded
from stratos.providers.aws import launching
from stratos.providers.contract import CapacityType, OfferingKey, OutOfStock
from stratos.testing.aws import AwsCall, AwsError, CallMoment, LoopbackAws


def test_a_zone_without_stock_is_passed_over(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Stock-outs are of one zone mostly; the machine is wanted now."""
    request = a_request(aws, "zones")
    first, second, *_ = request.subnets
    aws.faults.out_of_stock.add(OfferingKey("m5.large", first.zone, CapacityType.ON_DEMAND))

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert machine.zone == second.zone

    aws_loop.run(story())


def test_without_stock_anywhere_every_offering_tried_is_named(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Each is left alone for a while, so that the next launch does not begin with it."""
    request = a_request(aws, "nowhere")
    aws.faults.out_of_stock |= everywhere(aws, CapacityType.ON_DEMAND, "m5.large")

    async def story() -> None:
        with pytest.raises(OutOfStock) as refused:
            await a_provider(aws).launch(request)

        assert set(refused.value.tried) == everywhere(aws, CapacityType.ON_DEMAND, "m5.large")
        assert "capacity" in refused.value.message

    aws_loop.run(story())


def test_a34_a_fleet_takes_what_there_is_when_the_first_choice_is_out_of_stock(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    request = a_spot_request(aws, "fleet")
    first = request.subnets[0].zone
    aws.faults.out_of_stock |= everywhere(aws, CapacityType.SPOT, "m5a.large") | {
        OfferingKey("m5.large", first, CapacityType.SPOT)
    }

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert (machine.instance_type, machine.capacity_type) == ("m5.large", CapacityType.SPOT)
        assert machine.zone in aws.account.subnets.keys() - {first}
        assert machine.price_usd_per_hour > 0
        assert machine.provider_id == f"aws:///{machine.zone}/{machine.id}"

    aws_loop.run(story())


def test_a_fleet_without_stock_names_every_offering_and_succeeds_when_there_is_some(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """EC2 repeats to a client token what it said before: the same one again would find no machine forever."""
    request = a_spot_request(aws, "later")
    aws.faults.out_of_stock |= everywhere(aws, CapacityType.SPOT, *SPOT_TYPES)

    async def story() -> None:
        provider = a_provider(aws)
        with pytest.raises(OutOfStock) as refused:
            await provider.launch(request)
        assert set(refused.value.tried) == everywhere(aws, CapacityType.SPOT, *SPOT_TYPES)

        aws.faults.out_of_stock.clear()
        machine = await provider.launch(request)

        assert launched(aws, "later") == [machine.id]

    aws_loop.run(story())


def test_a_fleets_quota_is_not_taken_for_a_stock_out(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """Other zones will not help, people may."""
    aws.faults.max_vcpus[CapacityType.SPOT] = 0
    aws.faults.max_vcpus[CapacityType.ON_DEMAND] = 0

    async def story() -> None:
        with pytest.raises(QuotaExceeded):
            await a_provider(aws).launch(a_spot_request(aws, "quota-spot"))
        with pytest.raises(QuotaExceeded):
            await a_provider(aws).launch(a_request(aws, "quota"))

    aws_loop.run(story())


def test_a_denied_launch_names_the_missing_right(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    aws.faults.denied.add("ec2:CreateFleet")

    async def story() -> None:
        with pytest.raises(Forbidden, match="ec2:CreateFleet"):
            await a_provider(aws).launch(a_spot_request(aws, "denied"))

    aws_loop.run(story())


@pytest.mark.parametrize("capacity_type", [CapacityType.ON_DEMAND, CapacityType.SPOT])
def test_a_profile_that_was_just_made_is_waited_for(
    aws: LoopbackAws, aws_loop: asyncio.Runner, capacity_type: CapacityType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 hears of it seconds after IAM made it. Refused, the first machine of each new class would be given up."""
    monkeypatch.setattr(launching, "_UNTIL_PROFILES_ARE_SEEN_SECONDS", (0.01, 0.01))
    token = f"profile-{capacity_type}"
    request = a_spot_request(aws, token) if capacity_type is CapacityType.SPOT else a_request(aws, token)
    refusals = iter(range(2))

    def refuse_twice(moment: CallMoment, call: AwsCall) -> None:
        if call.operation in ("RunInstances", "CreateFleet") and next(refusals, None) is not None:
            said = "Value (new) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
            raise AwsError("InvalidParameterValue", said)

    aws.faults.hook = refuse_twice

    async def story() -> None:
        machine = await a_provider(aws).launch(request)

        assert launched(aws, token) == [machine.id]

    aws_loop.run(story())
