"""A thousand mixed pods become four hundred: their machines become few, and nobody of those who stay notices."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import pytest

from controllers.pool_stories import Story, tell
from controllers.ready_guard import guarding
from controllers.template_stories import add_template, pods, wait_running
from controllers.thousand_pods import add_thousand_pods
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.nodeclaim import Wanted
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.planning.pools.drain import workload_pods

GUARDED = ("plain", "large", "even", "fat")  # by a budget that lets a tenth of them be missing


@pytest.mark.timeout(300)  # half a minute of work, which a busy machine makes minutes of
def test_four_hundred_of_a_thousand_pods_move_to_few_machines_and_are_never_missed() -> None:
    """No ready count and no budget is broken at any moment, no machine is left empty, and the bill shrinks."""

    async def plot(story: Story) -> None:
        large = {"minCpu": 16}
        often = {"budgets": [{"nodes": "40%"}], "nodeUnneededDuration": "2m"}
        await add_template(story, constraints=large, disruption=often)
        await add_thousand_pods(story)
        for app in GUARDED:
            body = {"selector": {"matchLabels": {"app": app}}, "maxUnavailable": "10%"}
            metadata = {"name": app, "namespace": "default"}
            await story.client.create(POD_DISRUPTION_BUDGET, {"metadata": metadata, "spec": body})
        await wait_running(story, 1000, within=300, every=10)
        machines, cost = await _bill(story)

        deployments = [deployment async for deployment in story.client.list_all(DEPLOYMENT)]
        left = {each.metadata.name: each.spec.replicas * 2 // 5 for each in deployments}
        async with guarding(story, left) as guard:
            for name, replicas in left.items():
                await story.client.patch_scale(DEPLOYMENT, f"default/{name}", replicas)
            await _wait_settled(story)
            assert guard.fewest == left, "nobody had fewer, and none was kept who was not asked for"

        machines_after, cost_after = await _bill(story)
        sys.stdout.write(
            f"1000 pods on {machines} machines for ${cost:.2f}/h; 400 on {machines_after} for ${cost_after:.2f}/h\n"
        )
        running = workload_pods(await pods(story))
        assert len(running) == 400
        assert {pod.spec.node_name for pod in running} == {claim.status.node_name for claim in await story.claims()}
        assert cost_after < 0.6 * cost

    tell(plot)


async def _bill(story: Story) -> tuple[int, float]:
    claims = await story.claims()
    return len(claims), sum(claim.spec.price_usd_per_hour or 0.0 for claim in claims)


async def _wait_settled(story: Story) -> None:
    """Until nothing has been on its way for longer than a node has to be little used before it goes."""
    quiet_since = story.now
    async with asyncio.timeout(3600):
        while story.now < quiet_since + timedelta(minutes=4):
            await asyncio.sleep(20)
            claims = await story.claims()
            if any(claim.spec.departure is not None or claim.wish is Wanted.GONE for claim in claims):
                quiet_since = story.now
