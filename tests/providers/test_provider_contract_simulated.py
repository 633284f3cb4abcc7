"""The simulated cloud is held to the contract that real ones are held to, on good days and on slow ones."""

import random

import pytest

from stratos.catalog.catalog import load_catalog
from stratos.providers.contract import ResolvedNodeClass, Subnet
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.testing.provider_contract import CONTRACT, Check, ContractCase, check_name
from stratos.testing.virtual_time import VirtualClock, run


@pytest.mark.parametrize("describe_lag_seconds", [0.0, 5.0], ids=["prompt", "lagging"])
@pytest.mark.parametrize("check", CONTRACT, ids=check_name)
def test_the_simulated_cloud_keeps_the_contract(check: Check, describe_lag_seconds: float) -> None:
    async def main() -> None:
        cloud = SimulatedCloud(
            load_catalog("aws", "us-east-1"),
            clock=VirtualClock(),
            rng=random.Random(1),
            options=CloudOptions(describe_lag_seconds=describe_lag_seconds),
        )
        node_class = ResolvedNodeClass(
            instance_type="m5.large",
            image=cloud.account.images[0].id,
            subnets=tuple(Subnet(subnet.id, subnet.zone) for subnet in cloud.account.subnets),
        )
        await check(ContractCase(cloud, node_class))

    run(main())
