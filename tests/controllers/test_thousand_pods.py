"""A thousand mixed pods from end to end: planned once, bought once, and bound to what was bought."""

from __future__ import annotations

import sys

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, pod_events, pods, template, wait_running
from controllers.thousand_pods import add_thousand_pods


@pytest.mark.timeout(300)  # half a minute of work, which a busy machine makes minutes of
def test_a_thousand_pods_run_on_exactly_the_machines_that_were_planned_for_them() -> None:
    """What is planned is bought, what is bought is used, and nothing has to be bought again."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"minCpu": 4, "burstableInstances": "disabled"})
        await add_thousand_pods(story)

        seconds = await wait_running(story, 1000, within=300, every=10)

        claims = await story.claims()
        cost = sum(claim.spec.price_usd_per_hour or 0.0 for claim in claims)
        sys.stdout.write(
            f"1000 pods run on {len(claims)} machines for ${cost:.2f}/h, {seconds:.0f} s after they came\n"
        )
        planned = [pod for claim in claims if claim.spec.decision for pod in claim.spec.decision.pods]
        assert sorted(planned) == sorted(pod.metadata.key for pod in await pods(story)), "each pod was planned once"
        used = {pod.spec.node_name for pod in await pods(story)}
        assert used == {claim.status.node_name for claim in claims}, "every machine is used, and no other"
        assert story.calls()["launch"] == len(claims)
        assert await pod_events(story, "Preempted") == []
        assert (await template(story)).status.cost_usd_per_hour == pytest.approx(cost)

    tell(plot)
