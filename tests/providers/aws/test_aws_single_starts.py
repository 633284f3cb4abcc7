"""However calls to EC2 go wrong, a token starts its machine once in the end, and never twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.labels import TAG_START_TOKEN
from stratos.base.errors import InsufficientCapacity, StratosError, Throttled, Unavailable
from stratos.catalog.catalog import load_catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.provider import AWSProvider
from stratos.testing.virtual_time import VirtualClock, run

CATALOG = load_catalog("aws", "us-east-1")
MACHINE = "i-1"


class OneStoppedMachine(AwsClients):
    def __init__(self, rng: random.Random, clock: VirtualClock) -> None:
        super().__init__(region="us-east-1")
        self.started_for: Counter[str] = Counter()
        self.state = "stopped"
        self.troubled = True
        self._rng = rng
        self._clock = clock
        self._launched_at = clock.now()
        self._tags: dict[str, str] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        await asyncio.sleep(1.0)
        if self._strikes(0.1):
            raise Throttled("too fast")
        if self._strikes(0.1):
            raise Unavailable("the request got lost")
        if operation == "create_tags":
            self._tags |= {tag["Key"]: tag["Value"] for tag in parameters["Tags"]}
        elif operation == "start_instances":
            self._start()
        if self._strikes(0.3):
            raise Unavailable("the answer got lost")
        return {}

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[dict[str, Any]]:
        row = {
            "InstanceId": MACHINE,
            "InstanceType": "m5.large",
            "Placement": {"AvailabilityZone": "us-east-1a"},
            "State": {"Name": self.state},
            "ImageId": "ami-1",
            "LaunchTime": self._launched_at,
            "Tags": [{"Key": key, "Value": value} for key, value in self._tags.items()],
        }
        return [{"Instances": [row]}]

    def _start(self) -> None:
        if self._strikes(0.2):
            raise InsufficientCapacity("no host is free")
        if self.state == "stopped":
            self.state, self._launched_at = "running", self._clock.now()
            self.started_for[self._tags[TAG_START_TOKEN]] += 1

    def _strikes(self, probability: float) -> bool:
        return self.troubled and self._rng.random() < probability


@given(rng=st.randoms(use_true_random=False))
def test_a45_whatever_gets_lost_a_token_starts_its_machine_once(rng: random.Random) -> None:
    """A late retry must not wake what was parked since, and a wake must not be taken for done because it was tried."""

    async def main() -> None:
        ec2 = OneStoppedMachine(rng, VirtualClock())
        access = ClusterAccess("prod", "https://api.example", "Y2E=", "172.20.0.0/16")
        provider = AWSProvider(ec2, CATALOG, access, clock=VirtualClock())
        for token in ("wake-1", "wake-2", "wake-3"):
            ec2.troubled = True
            for _ in range(rng.randrange(6)):
                await tried(provider, token)
                if rng.random() < 0.3:
                    ec2.state = "stopped"  # parked, while whoever woke it still waits for an answer
                assert ec2.started_for[token] <= 1

            ec2.troubled = False
            await provider.start(MACHINE, token)

            assert ec2.started_for[token] == 1
            ec2.state = "stopped"

    run(main())


async def tried(provider: AWSProvider, token: str) -> None:
    try:
        await provider.start(MACHINE, token)
    except StratosError:
        await asyncio.sleep(1.0)
