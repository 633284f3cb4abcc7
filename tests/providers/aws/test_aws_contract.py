"""EC2 is held to the contract that the simulated cloud is held to, over HTTP and through the official SDK."""

from __future__ import annotations

import asyncio

import pytest

from providers.aws.ec2_builders import a_class, a_provider
from stratos.testing.aws import LoopbackAws
from stratos.testing.provider_contract import CONTRACT, Check, ContractCase, check_name


@pytest.mark.parametrize("check", CONTRACT, ids=check_name)
def test_ec2_keeps_the_contract(check: Check, aws_loop: asyncio.Runner, aws: LoopbackAws) -> None:
    case = ContractCase(
        a_provider(aws), a_class(aws), token_prefix=check_name(check), patience_seconds=10.0, poll_seconds=0.02
    )
    aws_loop.run(_check(check, case))


async def _check(check: Check, case: ContractCase) -> None:
    await check(case)
