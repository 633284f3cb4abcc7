"""Two replicas on AWS, of which the leader is stopped in the midst of its work, and goes on when the other leads."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from e2e.aws_world import POOL, AwsWorld, aws_world
from stratos.apis.lease import LEASE
from stratos.apis.nodepool import NODE_POOL

SHORT_TERMS = (
    "--leader-elect",
    "--leader-elect-namespace=stratos-system",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=1500ms",
    "--leader-elect-retry-period=300ms",
)
_HARMLESS = ("Describe", "Get", "Receive", "List")


def changes_by(world: AwsWorld, key: str) -> list[str]:
    """What the replica with this access key asked AWS to change."""
    return [
        call.action for call in world.aws.calls if call.access_key == key and not call.operation.startswith(_HARMLESS)
    ]


async def led_by(world: AwsWorld, identity: str) -> bool:
    return [
        lease.spec.holder_identity for lease in (await world.admin.list(LEASE, namespace="stratos-system")).items
    ] == [identity]


def test_a_leader_that_was_paused_changes_nothing_on_aws_when_it_goes_on(tmp_path: Path, moto_url: str) -> None:
    """It knows of launches that it was about to make: by now the other one has made them."""

    async def story() -> None:
        async with aws_world(tmp_path, moto_url) as world:
            world.use_access_key("first")
            async with world.controller(*SHORT_TERMS, "--leader-elect-identity=first") as first:
                await first.wait_line("controllers start")
                await world.add_class()
                await world.add_pool(minStandby=3)
                await world.wait(lambda: begun(world), "the first launch")
                first.signal(signal.SIGSTOP)
                world.use_access_key("second")
                async with world.controller(*SHORT_TERMS, "--leader-elect-identity=second") as second:
                    await world.wait(lambda: led_by(world, "second"), "the second to lead")
                    await second.wait_line("controllers start")
                    before = len(changes_by(world, "first"))
                    first.signal(signal.SIGCONT)
                    await first.wait_line("no longer leading")
                    await world.wait_standby(3)
                    # A thread of the SDK may have been past the door when it was paused: by its token, what it
                    # asks for is the machine that the other one has asked for by now.
                    assert set(changes_by(world, "first")[before:]) <= {"ec2:RunInstances"}
                    assert len(world.aws.instances.by_id) == 3
                    assert set(world.aws.ec2.launches.values()) == {1}
                    await world.admin.delete(NODE_POOL, POOL)
                    await world.wait_gone()

    asyncio.run(story())


async def begun(world: AwsWorld) -> bool:
    return bool(changes_by(world, "first"))
