"""However calls to EC2 go wrong, a token has one machine in the end, and never two."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.base.errors import InsufficientCapacity, StratosError, Throttled, Unavailable
from stratos.catalog.catalog import load_catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.errors import AskedBefore
from stratos.providers.aws.provider import AWSProvider
from stratos.providers.contract import Bootstrap, CapacityType, LaunchRequest, Machine, Subnet
from stratos.testing.virtual_time import VirtualClock, run

CATALOG = load_catalog("aws", "us-east-1")
LAG = timedelta(seconds=5)  # until a new machine is to be seen
RESTART_SECONDS = 20.0  # a new process, and a lease to win: longer than the lag
REASONS = ("InsufficientInstanceCapacity", "RequestLimitExceeded", "UnauthorizedOperation")  # of a fleet without any
SUBNETS = tuple(Subnet(f"subnet-us-east-1{letter}", f"us-east-1{letter}") for letter in "abd")


@dataclass(frozen=True)
class Made:
    """A machine, as EC2 describes it in all of its answers."""

    row: Mapping[str, Any]
    at: datetime


class TroubledEc2(AwsClients):
    """As EC2 takes tokens: what it made it gives again, a fleet's answer in any case; other words it refuses."""

    def __init__(self, rng: random.Random, clock: VirtualClock) -> None:
        super().__init__(region="us-east-1")
        self.made: list[Made] = []
        self.troubled = True
        self._rng = rng
        self._clock = clock
        self._known: dict[str, tuple[str, dict[str, Any] | None]] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        await asyncio.sleep(0.1)
        if self._strikes(0.1):
            raise Throttled("too fast")
        if self._strikes(0.1):
            raise Unavailable("the request got lost")
        answer = self._answer(operation, parameters)
        if self._strikes(0.2):
            raise Unavailable("the answer got lost")
        return answer

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[dict[str, Any]]:
        await asyncio.sleep(0.1)
        if operation != "describe_instances":
            return []
        seen = [dict(made.row) for made in self.made if self._clock.now() >= made.at + LAG]
        return [{"Instances": seen}]

    def _strikes(self, probability: float) -> bool:
        return self.troubled and self._rng.random() < probability

    def _answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation == "create_launch_template":
            return {}
        token, words = parameters["ClientToken"], repr(parameters)
        before, answer = self._known.get(token, (words, None))
        if before != words:
            raise AskedBefore("the token was used in other words")
        if answer is None:
            answer = self._run(parameters) if operation == "run_instances" else self._fleet(parameters)
            self._known[token] = (words, answer)
        if answer is None:
            raise InsufficientCapacity("no stock there")
        return answer

    def _run(self, parameters: dict[str, Any]) -> dict[str, Any] | None:
        if self._strikes(0.4):
            return None
        return {"Instances": [self._make(parameters, parameters["InstanceType"], parameters["SubnetId"])]}

    def _fleet(self, parameters: dict[str, Any]) -> dict[str, Any]:
        override = self._rng.choice(parameters["LaunchTemplateConfigs"][0]["Overrides"])
        if self._strikes(0.4):
            return {"Instances": [], "Errors": [{"ErrorCode": self._rng.choice(REASONS), "ErrorMessage": "no"}]}
        row = self._make(parameters, override["InstanceType"], override["SubnetId"])
        launched = {"InstanceIds": [row["InstanceId"]], "InstanceType": row["InstanceType"]}
        return {"Instances": [launched | {"LaunchTemplateAndOverrides": {"Overrides": override}}]}

    def _make(self, parameters: dict[str, Any], instance_type: str, subnet: str) -> dict[str, Any]:
        (tags,) = (each["Tags"] for each in parameters["TagSpecifications"] if each["ResourceType"] == "instance")
        row = {
            "InstanceId": f"i-{len(self.made)}",
            "InstanceType": instance_type,
            "Placement": {"AvailabilityZone": subnet.removeprefix("subnet-")},
            "State": {"Name": "pending"},
            "ImageId": "ami-1",
            "LaunchTime": self._clock.now(),
            "Tags": tags,
        }
        self.made.append(Made(row, self._clock.now()))
        return row


@settings(max_examples=50)
@given(rng=st.randoms(use_true_random=False), capacity_type=st.sampled_from(CapacityType))
def test_a45_whatever_gets_lost_a_token_has_one_machine(rng: random.Random, capacity_type: CapacityType) -> None:
    """Calls fail, answers get lost, stock comes and goes, classes change and controllers die: a machine costs money."""

    async def main() -> None:
        ec2 = TroubledEc2(rng, VirtualClock())
        request = a_request(capacity_type)
        provider = a_provider(ec2)
        for _ in range(8):
            if rng.random() < 0.2:
                request = replace(request, image=f"ami-{rng.randrange(3)}", subnets=tuple(rng.sample(SUBNETS, 2)))
            if rng.random() < 0.2:
                await asyncio.sleep(RESTART_SECONDS)
                provider = a_provider(ec2)
            await tried(provider, request)
            assert len(ec2.made) <= 1

        ec2.troubled = False
        machine = await in_the_end(provider, request)

        assert [made.row["InstanceId"] for made in ec2.made] == [machine.id]

    run(main())


def a_provider(ec2: TroubledEc2) -> AWSProvider:
    access = ClusterAccess("prod", "https://api.example", "Y2E=", "172.20.0.0/16")
    return AWSProvider(ec2, CATALOG, access, clock=VirtualClock())


def a_request(capacity_type: CapacityType) -> LaunchRequest:
    return LaunchRequest(
        token="claim-1",
        instance_types=("m5.large", "m5a.large") if capacity_type is CapacityType.SPOT else ("m5.large",),
        subnets=SUBNETS,
        image="ami-0",
        bootstrap=Bootstrap(cluster_name="prod"),
        capacity_type=capacity_type,
    )


async def tried(provider: AWSProvider, request: LaunchRequest) -> Machine | None:
    try:
        return await provider.launch(request)
    except StratosError:
        await asyncio.sleep(1.0)
        return None


async def in_the_end(provider: AWSProvider, request: LaunchRequest) -> Machine:
    """As a controller asks: again and again, for as long as it takes EC2 to be of one mind."""
    async with asyncio.timeout(180.0):
        while True:
            machine = await tried(provider, request)
            if machine is not None:
                return machine
            await asyncio.sleep(5.0)
