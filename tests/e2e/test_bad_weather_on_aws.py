"""EC2 throttles, loses what is said to it or what it answers, lets credentials expire, and its queue repeats itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from e2e.aws_world import POOL, AwsWorld, aws_world
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.nodepool import NODE_POOL

_CHANGES = ("ec2:RunInstances", "ec2:CreateFleet", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances")
NOTICE_SECONDS = 30.0


async def serves(world: AwsWorld, *, spot: bool) -> bool:
    """Whether the one pod runs, and on which kind of machine."""
    nodes = {each.hostname for each in world.machines() if each.spot is spot}
    pods = await world.pods()
    return [pod.status.phase for pod in pods] == ["Running"] and pods[0].spec.node_name in nodes


def test_a_pool_outlives_a_day_on_which_everything_fails_once(tmp_path: Path, moto_url: str) -> None:
    """None of it is rare where thousands of calls are made a day, and each has its own way to double a machine."""

    async def story() -> None:
        async with aws_world(tmp_path, moto_url) as world, world.controller() as run:
            faults, ec2, instances = world.aws.faults, world.aws.ec2, world.aws.instances
            await run.wait_line("controllers start")
            await world.add_class(spotConfig={"instanceTypes": ["m5.large", "m5a.large"]})
            for action in _CHANGES:
                faults.throttled[action] = 1
                faults.lost_requests[action] = 1
                faults.lost_answers[action] = 1
            replacement = {"enabled": True, "replacementDelay": "15s"}
            await world.add_pool(poolSize=4, scaleDown={"emptyNodeTTL": "1s"}, spotReplacement=replacement)
            await world.wait_standby(2)
            assert len(instances.by_id) == 2

            faults.expired_keys.add("loopback")
            await world.add_deployment("web", 1)
            before = len(world.aws.calls)
            await world.wait(lambda: called_since(world, before), "calls with credentials that expired")
            assert instances.starts.total() == 0
            world.use_access_key("renewed")
            await world.wait(lambda: serves(world, spot=False), "the pod to run once credentials are renewed")
            assert instances.starts.total() == 1

            await world.wait(lambda: serves(world, spot=True), "the pod to run on a spot machine")
            await world.wait(lambda: standing_by(world, 2), "the other machines to stand by")
            faults.lost_requests["sqs:DeleteMessageBatch"] = 1
            spot = next(each for each in world.machines() if each.spot)
            await world.aws.interrupt(spot.id, NOTICE_SECONDS)
            await world.aws.notices.spot_interruption(spot)
            await world.wait(lambda: serves(world, spot=False), "the pod to run where it came from")
            assert instances.starts.total() == 2

            await world.admin.delete(DEPLOYMENT, "default/web")
            await world.admin.delete(NODE_POOL, POOL)
            await world.wait_gone()
            assert set(ec2.launches.values()) == {1}
            assert faults.throttled.total() + faults.lost_requests.total() + faults.lost_answers.total() == 0

    asyncio.run(story())


async def called_since(world: AwsWorld, before: int) -> bool:
    return len(world.aws.calls) > before + 3


async def standing_by(world: AwsWorld, count: int) -> bool:
    return (await world.pool()).status.standby == count
