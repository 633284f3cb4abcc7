"""The words that pools tell their story in: dashboards and people look for exactly these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.nodepool import NODE_POOL
from stratos.base.errors import Unavailable
from stratos.providers.simulated.cloud import CallMoment
from stratos.providers.simulated.timings import Duration


async def a_pool_lives_and_is_deleted(story: Story) -> None:
    await story.add_filled_pool(size=1, scaleDown={"emptyNodeTTL": "1m"})
    await story.add_pod(seconds=10)
    await story.wait_pod("Succeeded")
    await story.wait_told("NodeStopped")
    await story.wait_pool(lambda pool: pool.status.standby == 1)
    await story.client.delete(NODE_POOL, "ci")


async def a_machine_serves_too_long(story: Story) -> None:
    await story.add_filled_pool(size=1, maxNodeRuntime="10m")
    await story.add_pod()


async def an_image_is_missing(story: Story) -> None:
    await story.add_pool(preWarm={"images": ["none:1"]})


async def the_network_stays_down(story: Story) -> None:
    await story.add_filled_pool(preWarm={"timeout": "3m"})
    await story.add_pod()


async def there_is_no_class(story: Story) -> None:
    await story.add_pool(template={"nodeClassRef": {"kind": "SimNodeClass", "name": "nowhere"}})


async def a_machine_cannot_be_ended(story: Story) -> None:
    def refuse(moment: CallMoment, operation: str, target: str) -> None:
        if operation == "terminate":
            raise Unavailable("the cloud is away")

    await story.add_filled_pool(size=1)
    story.cloud.fault_hook = refuse
    await story.client.delete(NODE_POOL, "ci")


SCENES: dict[Callable[[Story], Awaitable[None]], set[str]] = {
    a_pool_lives_and_is_deleted: {
        "Created",
        "Replenishing",
        "WarmupStarted",
        "WarmupCompleted",
        "ScaleUp",
        "NodeStarted",
        "StartupTaintsRemoved",
        "ScaleDown",
        "NodeStopped",
        "Deleting",
        "Deleted",
    },
    a_machine_serves_too_long: {"MaxRuntimeApproaching", "MaxRuntimeExceeded"},
    an_image_is_missing: {"WarmupFailed"},
    the_network_stays_down: {"WarmupTimeout", "StartupTaintTimeout"},
    there_is_no_class: {"NodeClassNotFound"},
    a_machine_cannot_be_ended: {"CleanupFailed"},
}
NO_NETWORK = {"kubelets": KubeletOptions(network_up=Duration.exactly(1e6))}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a41_each_turn_of_a_pools_life_is_told_in_the_documented_word(
    scene: Callable[[Story], Awaitable[None]],
) -> None:
    """All eighteen, between the six scenes."""
    world: dict[str, Any] = NO_NETWORK if scene is the_network_stays_down else {}

    async def plot(story: Story) -> None:
        await scene(story)
        for reason in sorted(SCENES[scene]):
            await story.wait_told(reason)

    tell(plot, **world)


def test_a41_conditions_follow_a_pool_through_a_burst() -> None:
    """Short of standby, ready, rising, falling, ready again."""

    async def plot(story: Story) -> None:
        def shows(type_: str, status: str, reason: str) -> Callable[[], Awaitable[bool]]:
            async def asked() -> bool:
                return await story.condition(type_) == (status, reason)

            return asked

        await story.add_pool(size=1, scaleDown={"emptyNodeTTL": "1m"})
        await story.wait(shows("Ready", "False", "InsufficientStandby"))
        await story.wait(shows("Reconciling", "True", "Reconciling"))
        await story.wait(shows("Ready", "True", "PoolReady"))
        await story.add_pod(seconds=10)
        await story.wait(shows("ScaleUpInProgress", "True", "ScaleUpInProgress"))
        await story.wait(shows("ScaleUpInProgress", "False", "ScaleUpInProgress"))
        await story.wait(shows("ScaleDownInProgress", "True", "ScaleDownInProgress"))
        await story.wait(shows("Ready", "True", "PoolReady"))

    tell(plot)
