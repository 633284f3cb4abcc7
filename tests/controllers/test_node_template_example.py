"""The manifests under ``examples/node-templates`` do what their comments say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from controllers.pool_stories import Story, tell
from controllers.template_stories import pods, wait_running
from stratos.apis import labels
from stratos.cli.applying import Refused, apply_each
from stratos.cli.manifests import read_manifests
from stratos.providers.simulated.registry import ImageRegistry

_FOLDER = Path(__file__).parents[2] / "examples" / "node-templates"


def test_the_example_gives_every_pod_a_node_of_the_template_it_is_for() -> None:
    """Whoever copies it should see all of it work at once."""

    async def plot(story: Story) -> None:
        for file in ("templates.yaml", "workloads.yaml"):
            async for outcome in apply_each(story.client, read_manifests([_FOLDER / file])):
                assert not isinstance(outcome, Refused), outcome

        await wait_running(story, 17, within=600, every=5)

        nodes = {node.metadata.name: node.metadata.labels for node in await story.nodes()}
        zones = defaultdict(set)
        for pod in await pods(story):
            app, node = pod.metadata.labels["app"], nodes[pod.spec.node_name]
            assert node[labels.TEMPLATE] == ("gpu" if app == "vision" else "default")
            zones[app].add(node[labels.ZONE])
            if app == "reports":
                assert node[labels.INSTANCE_TYPE].partition(".")[0] not in ("m5", "r5")
        assert len(zones["shop"]) > 1
        cost = sum(claim.spec.price_usd_per_hour or 0.0 for claim in await story.claims())
        assert 0 < cost < 5

    tell(plot, registry=ImageRegistry())
