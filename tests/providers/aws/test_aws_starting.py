"""A stopped machine on EC2 is started once for each token, although EC2 knows no tokens of starts."""

from __future__ import annotations

import asyncio

import pytest

from providers.aws.ec2_builders import a_provider, a_request, everywhere, seen_in
from stratos.base.errors import Unavailable
from stratos.providers.contract import CapacityType, MachineState, OutOfStock
from stratos.testing.aws import LoopbackAws


def test_a_machine_without_a_host_for_it_is_out_of_stock_and_starts_with_the_same_token_later(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """Stopped machines have no host of their own: a start can fail as a launch can."""

    async def story() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(a_request(aws, "restart"))
        await seen_in(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await seen_in(provider, machine, MachineState.STOPPED)
        aws.faults.out_of_stock |= everywhere(aws, CapacityType.ON_DEMAND, "m5.large")
        with pytest.raises(OutOfStock):
            await provider.start(machine.id, "wake-1")

        aws.faults.out_of_stock.clear()
        await provider.start(machine.id, "wake-1")

        await seen_in(provider, machine, MachineState.RUNNING)

    aws_loop.run(story())


def test_a_start_whose_answer_got_lost_is_not_repeated_once_the_machine_was_parked(
    aws: LoopbackAws, aws_loop: asyncio.Runner
) -> None:
    """StartInstances knows no tokens: what the machine was tagged with before tells whether it was started since."""

    async def story() -> None:
        provider = a_provider(aws)
        machine = await provider.launch(a_request(aws, "parked"))
        await seen_in(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await seen_in(provider, machine, MachineState.STOPPED)
        aws.faults.lost_answers["ec2:StartInstances"] = 1
        with pytest.raises(Unavailable):
            await provider.start(machine.id, "wake-1")
        await seen_in(provider, machine, MachineState.RUNNING)
        await provider.stop(machine.id)
        await seen_in(provider, machine, MachineState.STOPPED)

        await a_provider(aws).start(machine.id, "wake-1")

        assert aws.instances.starts[machine.id] == 1

    aws_loop.run(story())
