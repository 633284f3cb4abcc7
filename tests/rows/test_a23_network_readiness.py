"""Pods are kept off a started machine until its network is up, but not for ever."""

from __future__ import annotations

import asyncio

from controllers.pool_stories import Story, tell
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis import labels
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NodeState
from stratos.providers.simulated.timings import Duration


def test_a23_the_taint_stays_for_two_minutes_at_most_when_the_network_never_reports() -> None:
    """Some plugins never say that they are up; the machines of theirs that are ready must serve all the same."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(preWarm={"timeout": "1m"})
        await story.add_pod()
        claim = await story.wait_state(NodeState.RUNNING)

        async def is_open() -> bool:
            node = await story.client.get(NODE, claim.status.node_name)
            return labels.NOT_READY_TAINT not in {taint.key for taint in node.spec.taints or ()}

        assert not await is_open()
        seconds = await story.wait(is_open)

        assert 119 <= seconds <= 122
        assert "StartupTaintTimeout" in await story.told()

    tell(plot, kubelets=KubeletOptions(network_up=Duration.exactly(1e6)))


def test_a23_without_the_strategy_no_node_ever_bears_the_taint() -> None:
    """From its first moment to its second start."""

    async def plot(story: Story) -> None:
        borne: set[str] = set()

        async def watch() -> None:
            while True:
                for node in await story.nodes():
                    borne.update(taint.key for taint in node.spec.taints or ())
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        await story.add_filled_pool(template={"networkReadinessStrategy": "None"})
        await story.add_pod()
        await story.wait_pod("Running")
        watching.cancel()

        assert labels.STANDBY_TAINT in borne
        assert labels.NOT_READY_TAINT not in borne

    tell(plot)
