"""EC2 is joined up only where somebody wants it, and says at once what is missing."""

from __future__ import annotations

import asyncio
import sys

import pytest

from stratos.base.clock import FixedClock
from stratos.base.errors import NotFound, NotReady
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.wiring.aws import aws_provider

CLUSTER = ClusterAccess("prod", "https://api.example", "Y2E=", "172.20.0.0/16")


async def opened(region: str) -> str:
    async with aws_provider(region, CLUSTER, clock=FixedClock()) as provider:
        return f"{provider.name} {provider.catalog.region}"


def test_a_region_is_joined_up_with_its_part_of_the_catalog() -> None:
    assert asyncio.run(opened("eu-west-1")) == "aws eu-west-1"


def test_a_region_that_does_not_exist_is_refused_with_one_that_does() -> None:
    """The SDK would look for a host of that name until it gave up."""
    with pytest.raises(NotFound, match="us-wset-1") as refused:
        asyncio.run(opened("us-wset-1"))

    assert refused.value.hint == "did you mean us-west-1?"


def test_without_the_sdk_the_extra_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is large, and whoever runs on another cloud does not want it."""
    monkeypatch.delitem(sys.modules, "stratos.providers.aws.clients", raising=False)
    monkeypatch.delitem(sys.modules, "stratos.providers.aws.provider", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(NotReady) as refused:
        asyncio.run(opened("us-east-1"))

    assert refused.value.hint == "pip install 'stratos-compute[aws]'"
