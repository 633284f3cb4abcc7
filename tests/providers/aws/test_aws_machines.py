"""Looking at machines on EC2, stopping them, and doing so no faster than the account allows."""

from __future__ import annotations

import asyncio
import random

import pytest
from prometheus_client import CollectorRegistry

from providers.aws.ec2_builders import a_class, a_provider, a_request, asked, seen_in
from stratos.base.errors import Forbidden, Unauthorized
from stratos.providers.aws import instances
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.contract import (
    CapacityType,
    MachineBusy,
    MachineGone,
    MachineState,
    NotStoppable,
    ProviderMetrics,
    RateLimited,
)
from stratos.testing.aws import AwsCall, AwsError, CallMoment, LoopbackAws
from stratos.testing.aws.loopback import ACCESS_KEY
from stratos.wiring.clock import SystemClock


def test_a_listing_of_many_pages_is_read_to_its_end(
    aws: LoopbackAws, aws_loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is not read has no claim, or has one too many."""
    monkeypatch.setattr(instances, "_PAGE", {"PageSize": 5})

    async def main() -> None:
        provider = a_provider(aws)
        launched = await asyncio.gather(
            *(provider.launch(a_request(aws, f"page-{number}", tags={"test": "pages"})) for number in range(7))
        )
        aws.calls.clear()

        found = await provider.list_by_tags({"test": "pages"})

        assert [machine.id for machine in found] == sorted(machine.id for machine in launched)
        assert len(asked(aws, "DescribeInstances")) == 2

    aws_loop.run(main())


def test_many_who_look_at_once_make_one_call_and_an_unknown_machine_spoils_nothing(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """Asked by ids, EC2 would refuse them all because of the one."""

    async def main() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(a_request(aws, "looked-at"))
        aws.calls.clear()

        known, unknown = await asyncio.gather(provider.describe([machine.id]), provider.describe(["i-0"]))

        assert (list(known), unknown) == ([machine.id], {})
        assert len(asked(aws, "DescribeInstances")) == 1

    aws_loop.run(main())


def test_a_machine_that_may_hibernate_does_so_when_it_is_stopped_but_not_by_force(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """What its processes hold in memory is there again after the start."""
    node_class = a_class(aws, settings=AwsSettings(hibernation=True).to_settings())
    request = a_request(aws, "hibernates", settings=node_class.settings)

    async def main() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(request)
        await seen_in(provider, machine, MachineState.RUNNING)

        await provider.stop(machine.id)
        await provider.stop(machine.id, force=True)

        assert [call.parameters.get("Hibernate") for call in asked(aws, "StopInstances")][:1] == ["true"]
        assert all("Hibernate" not in call.parameters for call in asked(aws, "StopInstances")[1:])

    aws_loop.run(main())


def test_what_has_no_meaning_for_a_machine_is_said_before_ec2_is_asked(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    async def main() -> None:
        provider = a_provider(aws)
        spot = await provider.launch(a_request(aws, "spot", capacity_type=CapacityType.SPOT))
        with pytest.raises(NotStoppable):
            await provider.stop(spot.id)
        aws.faults.timings.pending = 5.0
        pending = await provider.launch(a_request(aws, "pending"))
        with pytest.raises(MachineBusy):
            await provider.stop(pending.id)
        await provider.terminate(pending.id)
        with pytest.raises(MachineGone):
            await provider.start(pending.id, "wake-1")
        assert asked(aws, "StopInstances") == asked(aws, "StartInstances") == []

    aws_loop.run(main())


def test_expired_credentials_are_told_from_missing_rights(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """One is mended by renewing them, the other by a policy."""

    async def main() -> None:
        provider = a_provider(aws)
        aws.faults.expired_keys.add(ACCESS_KEY)
        with pytest.raises(Unauthorized):
            await provider.list_by_tags({"test": "x"})
        aws.faults.expired_keys.clear()
        aws.faults.denied.add("ec2:DescribeInstances")
        with pytest.raises(Forbidden, match="ec2:DescribeInstances"):
            await provider.list_by_tags({"test": "x"})

    aws_loop.run(main())


def test_new_credentials_are_found_without_a_restart(
    aws: LoopbackAws, aws_loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever renews them in a file or a secret should not have to think of the controller."""
    clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)

    async def look() -> None:
        await clients.pages("ec2", "describe_instances", "Reservations")

    aws.faults.expired_keys.add(ACCESS_KEY)
    with pytest.raises(Unauthorized):
        aws_loop.run(look())

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIARENEWED")
    aws_loop.run(look())

    assert asked(aws, "DescribeInstances")[-1].access_key == "AKIARENEWED"


def test_a44_a_call_that_ec2_throttles_comes_again_ever_more_slowly_and_succeeds(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """EC2 throttles by account: whoever hammers on after a refusal locks out everybody beside."""
    times: list[float] = []

    def throttle_twice(moment: CallMoment, call: AwsCall) -> None:
        if moment is CallMoment.BEFORE:
            times.append(aws_loop.get_loop().time())
            if len(times) <= 2:
                raise AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)

    aws.faults.hook = throttle_twice

    aws_loop.run(_list(limited(aws, qps=50.0, burst=10)))

    first, second, third = times
    assert 0.25 <= second - first < third - second


def test_a44_ec2_sees_no_more_calls_than_rate_and_burst_allow(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """The buckets that EC2 counts in are small, and shared with all other tools of the account."""
    calls, qps, burst = 30, 40.0, 4
    provider = limited(aws, qps=qps, burst=burst)

    async def main() -> None:
        await asyncio.gather(*(_list(provider) for _ in range(calls)))

    began = aws_loop.get_loop().time()
    aws_loop.run(main())

    assert len(asked(aws, "DescribeInstances")) == calls
    assert aws_loop.get_loop().time() - began >= (calls - burst) / qps


def limited(aws: LoopbackAws, *, qps: float, burst: int) -> RateLimited:
    metrics = ProviderMetrics(CollectorRegistry())
    return RateLimited(
        a_provider(aws), qps=qps, burst=burst, clock=SystemClock(), rng=random.Random(1), metrics=metrics
    )


async def _list(provider: RateLimited) -> None:
    await provider.list_by_tags({"test": "limited"})
