"""A thousand mixed pods, for stories about many machines."""

from __future__ import annotations

from typing import Any

from controllers.pool_stories import Story
from controllers.template_stories import ANY, add_deployment


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
