"""A thousand mixed pods from end to end: planned once, bought once, and bound to what was bought."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import (
    ANY,
    add_deployment,
    add_template,
    pod_events,
    pods,
    template,
    wait_running,
)


def _spread(app: str, key: str) -> dict[str, Any]:
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": app}},
            }
        ]
    }


def _apart(app: str) -> dict[str, Any]:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


async def add_thousand_pods(story: Story) -> None:
    """Of nine shapes; some in one zone, some spread over zones or hosts, some apart, a few with a GPU."""
    zone = "topology.kubernetes.io/zone"
    await add_deployment(story, "plain", 300, cpu="250m", memory="256Mi")
    await add_deployment(story, "large", 120, cpu="1500m", memory="3Gi")
    await add_deployment(story, "lean", 150, cpu="900m", memory="700Mi")
    await add_deployment(story, "fat", 100, cpu="500m", memory="6Gi")
    await add_deployment(story, "zonal", 100, cpu="1", memory="2Gi", selector=ANY | {zone: "us-east-1b"})
    await add_deployment(story, "even", 180, cpu="600m", memory="1Gi", **_spread("even", zone))
    await add_deployment(story, "wide", 20, cpu="300m", memory="512Mi", **_spread("wide", "kubernetes.io/hostname"))
    await add_deployment(story, "lonely", 20, cpu="400m", memory="1Gi", **_apart("lonely"))
    await add_deployment(story, "vision", 10, cpu="2", memory="8Gi", gpus=1)


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
