"""Machines that join and never become ready: what the pool says is done with them, and it is counted why."""

from __future__ import annotations

import pytest

from controllers.pool_stories import Story, tell
from rows.scraping import scrape
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.providers.contract import MachineState
from stratos.providers.simulated.timings import Duration

NO_NETWORK = KubeletOptions(network_up=Duration.exactly(1e6))


def test_a07_a_machine_that_is_not_ready_in_time_is_stopped_by_force_and_stands_by() -> None:
    """It takes 10 s to stop politely and 2 s by force: at a timeout nobody waits for what does not answer."""

    async def plot(story: Story) -> None:
        await story.add_pool(preWarm={"timeout": "5m"})

        told = await story.wait_told("WarmupTimeout")
        parked = await story.wait_pool(lambda pool: pool.status.standby == 1)

        assert 300 <= told <= 330
        assert parked < 10
        [machine] = story.machines()
        assert machine.state is MachineState.STOPPED
        metrics = await scrape(story)
        assert metrics.value("stratos_nodepool_warmup_failures_total", pool="ci", reason="timeout") == 1
        assert metrics.value("stratos_nodepool_warmup_duration_seconds_count", pool="ci", mode="timeout") == 1

    tell(plot, kubelets=NO_NETWORK)


def test_a07_or_it_is_terminated_when_the_pool_would_rather_have_none() -> None:
    """Half prepared is not good enough for everybody."""

    async def plot(story: Story) -> None:
        await story.add_pool(preWarm={"timeout": "5m", "timeoutAction": "terminate"})
        await story.wait_told("WarmupTimeout")
        first = story.cloud.machines()[0]

        async def ended() -> bool:
            return story.cloud.machine(first.id).state is MachineState.TERMINATED

        await story.wait(ended, within=60)
        assert (await story.pool()).status.standby == 0
        metrics = await scrape(story)
        assert metrics.value("stratos_nodepool_warmup_failures_total", pool="ci", reason="timeout") == 1

    tell(plot, kubelets=NO_NETWORK)


@pytest.mark.parametrize("action", ["stop", "terminate"])
def test_a08_a_machine_without_a_node_is_counted_under_a_reason_of_its_own(action: str) -> None:
    """Nothing joins when the boot or the credentials are broken: another fault than a slow network."""

    async def plot(story: Story) -> None:
        story.cloud.hang_next_boots(1)
        await story.add_pool(preWarm={"timeout": "5m", "timeoutAction": action})
        await story.wait_told("WarmupTimeout")

        metrics = await scrape(story)
        assert metrics.value("stratos_nodepool_warmup_failures_total", pool="ci", reason="timeout_no_node") == 1

    tell(plot)
