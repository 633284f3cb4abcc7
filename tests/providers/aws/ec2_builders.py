"""Providers, classes and requests for an EC2 on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from typing import Any

from stratos.apis.labels import MANAGED_BY, TAG_CLUSTER, TAG_LAUNCH_TOKEN, TAG_MANAGED_BY
from stratos.base.clock import Clock
from stratos.catalog.catalog import load_catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.provider import AWSProvider
from stratos.providers.contract import (
    Bootstrap,
    CapacityType,
    LaunchRequest,
    Machine,
    MachineState,
    OfferingKey,
    ResolvedNodeClass,
    SecurityGroup,
    Subnet,
)
from stratos.testing.aws import AwsCall, LoopbackAws
from stratos.wiring.clock import SystemClock

SPOT_TYPES = ("m5.large", "m5a.large")


def a_clients(aws: LoopbackAws) -> AwsClients:
    """One for all that ask it in a test run: it is what takes the SDK longest to make."""
    return _clients(aws.region, aws.endpoint_url)


@cache
def _clients(region: str, endpoint_url: str) -> AwsClients:
    return AwsClients(region=region, endpoint_url=endpoint_url)


def a_provider(aws: LoopbackAws, clock: Clock | None = None) -> AWSProvider:
    access = ClusterAccess(aws.account.cluster_name, "https://api.example", "Y2E=", "172.20.0.0/16", "1.33")
    return AWSProvider(a_clients(aws), load_catalog("aws", aws.region), access, clock=clock or SystemClock())


def a_class(aws: LoopbackAws, **fields: Any) -> ResolvedNodeClass:
    usual: dict[str, Any] = {
        "instance_type": "m5.large",
        "image": min(aws.account.images.values()),
        "subnets": tuple(Subnet(id_, zone) for zone, id_ in aws.account.subnets.items()),
        "security_groups": tuple(SecurityGroup(id_, name) for name, id_ in aws.account.security_groups.items()),
    }
    return ResolvedNodeClass(**usual | fields)


def a_request(
    aws: LoopbackAws, token: str, capacity_type: CapacityType = CapacityType.ON_DEMAND, **fields: Any
) -> LaunchRequest:
    """What a machine of `a_class` is asked for with; ``fields`` are those of the class."""
    cluster = aws.account.cluster_name
    return a_class(aws, **fields).launch_request(
        token=token,
        bootstrap=Bootstrap(cluster_name=cluster),
        capacity_type=capacity_type,
        tags={TAG_MANAGED_BY: MANAGED_BY, TAG_CLUSTER: cluster},
    )


def a_spot_request(aws: LoopbackAws, token: str) -> LaunchRequest:
    return replace(a_request(aws, token, CapacityType.SPOT), instance_types=SPOT_TYPES)


def everywhere(aws: LoopbackAws, capacity_type: CapacityType, *types: str) -> set[OfferingKey]:
    """The types in all zones of the account."""
    return {OfferingKey(name, zone, capacity_type) for name in types for zone in aws.account.subnets}


def launched(aws: LoopbackAws, token: str) -> list[str]:
    """The machines that carry the token, whatever anybody was told."""
    return [id_ for id_, each in aws.instances.by_id.items() if each.tags.get(TAG_LAUNCH_TOKEN) == token]


def asked(aws: LoopbackAws, operation: str) -> list[AwsCall]:
    return [call for call in aws.calls if call.operation == operation]


async def seen_in(provider: AWSProvider, machine: Machine, state: MachineState) -> None:
    """Wait until EC2 shows the machine in that state."""
    async with asyncio.timeout(10):
        while True:
            if (await provider.describe([machine.id]))[machine.id].state is state:
                return
            await asyncio.sleep(0.02)
