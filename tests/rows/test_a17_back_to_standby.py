"""An empty machine is kept in service for as long as its pool says, and not much longer."""

from __future__ import annotations

import pytest

from controllers.pool_stories import Story, tell
from stratos.providers.contract import MachineState

CYCLE_SECONDS = 30


@pytest.mark.parametrize("minutes", [2, 10, 30])
def test_a17_a_machine_stands_by_again_when_it_was_empty_for_the_time_its_pool_says(minutes: int) -> None:
    """The three founding use cases wait ten minutes, half an hour and two minutes. None throws the disk away."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=1, scaleDown={"emptyNodeTTL": f"{minutes}m"})
        await story.add_pod(seconds=30)
        await story.wait_pod("Succeeded")

        seconds = await story.wait_pool(lambda pool: pool.status.running == 0)

        assert abs(seconds - minutes * 60) <= CYCLE_SECONDS
        await story.wait_pool(lambda pool: pool.status.standby == 1, within=60)
        assert [machine.state for machine in story.machines()] == [MachineState.STOPPED]
        assert story.calls()["terminate"] == 0

    tell(plot)
