"""A pool's whole life on AWS, with the real controllers, the real SDK and real sockets, told as a table.

`make e2e-aws` shows the table: what happened, how long it took, how many machines there were then, and which calls of
EC2 it took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from e2e.aws_world import ON_TEMPLATE, POOL, TEMPLATE, AwsWorld, aws_world
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.providers.contract import MachineState
from stratos.testing.aws.instances import RECLAIMED

NOTICE_SECONDS = 20.0
REPLICAS = 2
_CHANGES = ("RunInstances", "CreateFleet", "StartInstances", "StopInstances", "TerminateInstances")


class Stages:
    """The table, written as it comes about."""

    def __init__(self, world: AwsWorld) -> None:
        self._world = world
        self._write("stage", "seconds", "machines", "calls that change machines")

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        began, seen = time.monotonic(), len(self._world.aws.calls)
        yield
        calls = Counter(call.operation for call in self._world.aws.calls[seen:])
        changes = ", ".join(f"{calls[each]} {each}" for each in _CHANGES if calls[each])
        self._write(name, f"{time.monotonic() - began:.1f}", self._machines(), changes or "none")

    def _machines(self) -> str:
        states = Counter(
            f"{each.offering.capacity_type} {each.state}" if each.spot else str(each.state)
            for each in self._world.machines()
        )
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "0"

    def _write(self, stage: str, seconds: str, machines: str, calls: str) -> None:
        sys.stdout.write(f"{stage:<54}{seconds:>7}  {machines:<40}  {calls}\n")
        sys.stdout.flush()


async def on_spot(world: AwsWorld) -> bool:
    """Whether every pod runs on a spot machine, and the machines they came from stand by again."""
    spot = {each.hostname for each in world.machines() if each.spot}
    return await running_within(world, spot) and await at_rest(world, MachineState.STOPPED)


async def running_within(world: AwsWorld, nodes: set[str]) -> bool:
    """Whether all that there is to run, runs, and there."""
    pods = await world.pods()
    return len(pods) == REPLICAS and all(p.status.phase == "Running" and p.spec.node_name in nodes for p in pods)


async def at_rest(world: AwsWorld, state: MachineState) -> bool:
    return all(each.state is state for each in world.machines() if not each.spot)


async def parked(world: AwsWorld) -> bool:
    machines = world.machines()
    return bool(machines) and all(each.state is MachineState.STOPPED and not each.spot for each in machines)


@pytest.mark.timeout(300)
def test_a_pool_lives_its_whole_life_on_aws_and_leaves_nothing(tmp_path: Path, moto_url: str) -> None:
    """Every part was tested alone. Here they have only what users have: manifests, a command and a cloud."""

    async def story() -> None:
        async with aws_world(tmp_path, moto_url) as world, world.controller() as run:
            await run.wait_line("controllers start")
            stages = Stages(world)
            await world.add_class(spotConfig={"instanceTypes": ["m5.large", "m5a.large", "m6i.large"]})

            async with stages.stage("a pool of 6 fills up to 2 on standby"):
                await world.add_pool(
                    poolSize=6,
                    scaleDown={"emptyNodeTTL": "1s"},
                    spotReplacement={"enabled": True, "replacementDelay": "4s"},
                )
                await world.wait_standby(2)

            async with stages.stage("2 pods wake machines"):
                await world.add_deployment("builds", REPLICAS)
                await world.wait_all_running(REPLICAS)
            assert world.aws.instances.starts.total() == 2

            async with stages.stage("spot machines take their places"):
                await world.wait(lambda: on_spot(world), "pods on spot machines")

            async with stages.stage(f"EC2 takes both back, with {NOTICE_SECONDS:g} s notice"):
                taken = [each for each in world.machines() if each.spot]
                for instance in taken:
                    await world.aws.interrupt(instance.id, NOTICE_SECONDS)
                others = {each.hostname for each in world.machines() if not each.spot}
                await world.wait(lambda: running_within(world, others), "pods on other machines")
            assert not any(each.reason == RECLAIMED for each in taken)

            async with stages.stage("the pods end, and machines return to standby"):
                await world.admin.delete(DEPLOYMENT, "default/builds")
                await world.wait(lambda: parked(world), "all machines on standby")

            async with stages.stage("a pod of a template gets the cheapest machine"):
                await world.add_template()
                await world.add_pod("anywhere", ON_TEMPLATE)
                await world.wait_all_running(1)

            async with stages.stage("pod, template, pool and class are deleted"):
                await world.admin.delete(POD, "default/anywhere")
                await world.admin.delete(NODE_TEMPLATE, TEMPLATE)
                await world.admin.delete(NODE_POOL, POOL)
                await world.wait_gone()
                assert await world.launch_templates() != []  # there is something to clean up
                await world.delete_class()

            assert await world.launch_templates() == []
            assert set(world.aws.ec2.launches.values()) == {1}
            assert [line for line in run.log if "Traceback" in line] == []

    asyncio.run(story())
