"""EC2 is held to the contract that the simulated cloud is held to, over HTTP and through the official SDK."""

from __future__ import annotations

import asyncio

import pytest

from stratos.catalog.catalog import load_catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.provider import AWSProvider
from stratos.providers.contract import ResolvedNodeClass, SecurityGroup, Subnet
from stratos.testing.aws import LoopbackAws, aws_on_loopback
from stratos.testing.provider_contract import CONTRACT, Check, ContractCase, check_name
from stratos.wiring.clock import SystemClock


@pytest.mark.parametrize("check", CONTRACT, ids=check_name)
def test_ec2_keeps_the_contract(check: Check, aws_loop: asyncio.Runner, moto_url: str) -> None:
    async def main() -> None:
        async with aws_on_loopback(clock=SystemClock(), moto_url=moto_url) as aws:
            await check(ContractCase(a_provider(aws), a_class(aws), patience_seconds=10.0, poll_seconds=0.03))

    aws_loop.run(main())


def a_provider(aws: LoopbackAws) -> AWSProvider:
    clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)
    access = ClusterAccess(aws.account.cluster_name, "https://api.example", "Y2E=", "172.20.0.0/16")
    return AWSProvider(clients, load_catalog("aws", aws.region), access, clock=SystemClock())


def a_class(aws: LoopbackAws) -> ResolvedNodeClass:
    return ResolvedNodeClass(
        instance_type="m5.large",
        image=min(aws.account.images.values()),
        subnets=tuple(Subnet(id_, zone) for zone, id_ in aws.account.subnets.items()),
        security_groups=tuple(SecurityGroup(id_, name) for name, id_ in aws.account.security_groups.items()),
    )
