"""A cloud that throttles, below a whole cluster that wants many machines at once."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from controllers.pool_stories import Story, tell
from stratos.wiring.controllers import ControllerSettings

MACHINES = 60
ATTEMPTS_OF_A_CALL = 10


def test_a44_a_throttled_pool_asks_ever_more_slowly_and_fills_all_the_same() -> None:
    """Two calls a second are all that this account is granted, and sixty machines are wanted."""
    settings = ControllerSettings(cluster_name="")

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=MACHINES, standby=MACHINES, preWarm={"timeout": "30m"})

        calls = list(story.cloud.calls)
        assert any(call.outcome == "Throttled" for call in calls)
        for first, call in enumerate(calls):
            in_a_second = sum(later.at_seconds <= call.at_seconds + 1 for later in calls[first:])
            assert in_a_second <= settings.provider_burst + settings.provider_qps
        attempts: dict[str, list[float]] = defaultdict(list)
        for call in calls:
            if call.operation == "launch":
                attempts[call.target].append(call.at_seconds)
        assert len(attempts) == MACHINES
        for moments in attempts.values():
            for number, (earlier, later) in enumerate(pairwise(moments)):
                # After ten attempts a call gives up; the loop then calls anew, and its pauses begin anew with it.
                in_call = number % ATTEMPTS_OF_A_CALL
                assert later - earlier >= min(0.25 * 2**in_call, 15) or in_call == ATTEMPTS_OF_A_CALL - 1
        assert set(story.cloud.launches_by_token.values()) == {1}

    tell(plot, cloud={"calls_per_second": 2.0, "call_burst": 5})
