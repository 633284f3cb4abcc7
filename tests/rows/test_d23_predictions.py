"""Interruptions that somebody predicts: pods move while there is time, and a little later nobody misses the machine."""

from __future__ import annotations

import asyncio

import pytest

from controllers.pool_stories import Story, tell
from controllers.ready_guard import guarding
from controllers.template_stories import add_deployment, add_template, pods, wait_running
from stratos.apis import labels
from stratos.apis.node import NODE

SPOT = {"spot": True, "instanceFamilies": {"include": ["c6a", "m6a"]}, "azs": ["us-east-1a"]}


@pytest.mark.parametrize("heeded", [True, False])
def test_d23_a_predicted_machine_is_left_before_it_is_given_notice(heeded: bool) -> None:
    """Two minutes are short. Whoever does not trust predictions leaves them off, and nothing moves."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={**SPOT, "spotInterruptionPredictionsEnabled": heeded})
        await add_deployment(story, "web", 2, cpu="500m")
        await wait_running(story, 2, every=5)
        (doomed,) = await story.claims()
        async with guarding(story, {"web": 2}):
            note = {"metadata": {"annotations": {labels.INTERRUPTION_PREDICTED: "true"}}}
            await story.client.patch(NODE, doomed.status.node_name, note)
            await asyncio.sleep(300)

        left = doomed.metadata.name not in [claim.metadata.name for claim in await story.claims()]
        assert left is heeded
        if heeded:
            (taken,) = [each for each in story.cloud.machines() if each.id == doomed.status.instance_id]
            assert taken.state.gone
            assert {pod.spec.node_name for pod in await pods(story)} != {doomed.status.node_name}

    tell(plot)
