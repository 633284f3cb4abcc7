"""Templates from end to end: the real controllers, scheduler and API, a simulated cloud and its hosts."""

from __future__ import annotations

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pods, types_in_use, wait_running


def test_a_pod_gets_a_machine_of_a_template_and_runs_there() -> None:
    """Nobody named a type: constraints in, the cheapest machine that fits out, and the pod on it."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"minCpu": 4})
        await add_deployment(story, "web", 3)

        await wait_running(story, 3, within=180)

        [claim] = await story.claims()
        assert claim.spec.template == "any"
        assert {pod.spec.node_name for pod in await pods(story)} == {claim.status.node_name}
        assert types_in_use(story) == [claim.spec.instance_type]

    tell(plot)
