"""Spot on a cluster: taken where it is cheap, replaced when it is taken back, and come back to when it can be had."""

from __future__ import annotations

import asyncio

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pods, wait_running
from rows.template_world import SPARING, add_job, is_running, job_is_done, price, wait_no_machines
from stratos.apis import labels
from stratos.apis.job import JOB
from stratos.apis.node import NODE
from stratos.catalog.instance_type import CapacityType

SPOT = {
    "spot": True,
    "useSpotFallbacks": True,
    "fallbackRestoreRateSeconds": 1800,
    "instanceFamilies": {"include": ["c6a", "m6a", "g4dn"]},
    "azs": ["us-east-1a", "us-east-1b"],
}
EVERYWHERE = {"stratos.sh/template": "any"}


def withdraw_spot(story: Story) -> int:
    """The cloud takes back all spot machines at once, and has none any more. How many there were."""
    for name in story.cloud.catalog.instance_types:
        story.cloud.stock.sell_out(name, capacity_type=CapacityType.SPOT)
    held = [machine for machine in story.machines() if machine.capacity_type is CapacityType.SPOT]
    for machine in held:
        story.cloud.interrupt(machine.id)
    return len(held)


def terms(story: Story) -> set[str]:
    return {str(machine.capacity_type) for machine in story.machines()}


def test_d08_on_demand_stands_in_while_there_is_no_spot_and_gives_way_at_the_restore_rate() -> None:
    """Labelled as what it is, so that people and policies can tell; and back to the low price when it is to be had."""

    async def plot(story: Story) -> None:
        withdraw_spot(story)
        await add_template(story, constraints={**SPOT, "maxCpu": 2, "gpu": {"maxCount": 0}})
        await add_deployment(story, "web", 2, cpu="1")
        await wait_running(story, 2, every=5)
        assert terms(story) == {"on-demand"}
        node = await story.client.get(NODE, (await pods(story))[0].spec.node_name or "")
        assert node.metadata.labels[labels.SPOT_FALLBACK] == "true"
        before = price(await story.claims())
        story.cloud.stock.restock()

        async def restored() -> bool:
            alive = sum(is_running(pod) for pod in await pods(story))
            return terms(story) == {"spot"} and alive == len(await pods(story)) == len(await story.claims()) == 2

        seconds = await story.wait(restored, 7200, every=10)

        assert 1200 <= seconds <= 3600
        assert price(await story.claims()) < before / 2

    tell(plot)


def test_d08_a_shortage_of_all_spot_is_recognised_before_every_type_was_tried() -> None:
    """There are hundreds of types in six zones. A pod does not wait until each of them was asked for."""

    async def plot(story: Story) -> None:
        withdraw_spot(story)
        await add_template(story, constraints={"spot": True, "useSpotFallbacks": True})
        await add_deployment(story, "web", 1, cpu="1")

        seconds = await wait_running(story, 1, every=5)

        assert terms(story) == {"on-demand"}
        assert seconds < 120
        assert sum(call.operation == "launch" for call in story.cloud.calls) < 60

    tell(plot)


def test_d10_after_spot_is_withdrawn_at_once_everything_runs_again_on_demand() -> None:
    """Services run again on other machines, and a job that saves its work in pieces loses less than one of them."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True, constraints={**SPOT, "fallbackRestoreRateSeconds": 0})
        await add_deployment(story, "serving", 6, cpu="3", gpus=1, selector={})
        await add_deployment(story, "web", 6, cpu="500m", selector={})
        pieces, piece_seconds = 4, 150  # each ends with a checkpoint
        await add_job(story, "training", completions=pieces, gpus=1, cpu="2", seconds=piece_seconds)
        await wait_running(story, 13, every=5)
        assert terms(story) == {"spot"}
        await asyncio.sleep(200)

        taken = withdraw_spot(story)

        async def all_run_again() -> bool:
            alive = [pod for pod in await pods(story) if is_running(pod)]
            return terms(story) == {"on-demand"} and len(alive) == 13

        seconds = await story.wait(all_run_again, 1800, every=5)
        assert taken >= 2
        assert seconds < 600, "the notice, a boot, and a little"
        await story.wait(lambda: job_is_done(story, "training"), 7200, every=10)
        job = await story.client.get(JOB, "default/training")
        assert job.status.succeeded == pieces
        assert (job.status.failed or 0) <= 1, "one piece was done twice at most"

    tell(plot, kubelets=SPARING)


def test_b55_a_job_on_spot_with_an_interruption_completes_at_less_than_two_thirds_of_the_price() -> None:
    """The founding text promises 38 to 50 %; a quarter of the work is done twice, and it is still cheaper."""

    async def job(story: Story, *, spot: bool) -> float:
        constraints = {"spot": spot, "onDemand": not spot, "instanceFamilies": {"include": ["g4dn"]}, "maxCpu": 4}
        await add_template(story, isDefault=True, constraints=constraints)
        await add_job(story, "training", completions=4, cpu="2", gpus=1, seconds=400)
        if spot:
            await asyncio.sleep(800)
            (machine,) = story.machines()
            story.cloud.interrupt(machine.id)
        await story.wait(lambda: job_is_done(story, "training"), 7200, every=20)
        await wait_no_machines(story)
        return story.cloud.cost().machines_usd

    costs: dict[bool, float] = {}

    def measure(spot: bool) -> None:
        async def plot(story: Story) -> None:
            costs[spot] = await job(story, spot=spot)

        tell(plot, kubelets=SPARING)

    measure(False)
    measure(True)
    assert 0 < costs[True] <= 0.62 * costs[False]
