"""Spot machines take the places of on-demand ones, and what happens when the cloud takes them back."""

from __future__ import annotations

import asyncio

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, pods, wait_running
from rows.scraping import scrape
from rows.spot_world import POOL, TYPES, a_replaced_machine, add_spot_pool, claim_of, spot_machines
from rows.template_world import is_running
from stratos.apis import labels
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.node import NODE
from stratos.base.errors import NotFound
from stratos.providers.contract import MachineState


def test_a32_a_running_machine_is_replaced_by_a_spot_machine_and_stands_by_again() -> None:
    """Spot prices for whoever runs for long, and no cold start for whoever comes next."""

    async def plot(story: Story) -> None:
        await add_spot_pool(story)
        await add_deployment(story, "web", 2, selector=POOL)
        await wait_running(story, 2)
        woken = next(machine for machine in story.machines() if machine.state is MachineState.RUNNING)
        serving: list[int] = []

        async def complete() -> bool:
            serving.append(sum(is_running(pod) for pod in await pods(story)))
            return "SpotReplacementComplete" in await story.told()

        await story.wait(complete, every=0.5)

        (spot,) = spot_machines(story)
        claim = await claim_of(story, spot)
        node = await story.client.get(NODE, claim.status.node_name)
        assert {pod.spec.node_name for pod in await pods(story)} == {claim.status.node_name}
        assert min(serving) == 2
        assert "SpotReplacementStarted" in await story.told()
        assert story.cloud.machine(woken.id).state is MachineState.STOPPED
        assert node.metadata.labels[labels.CAPACITY_TYPE] == "spot"
        pool = await story.pool()
        assert (pool.status.spot, pool.status.running) == (1, 1)
        assert pool.status.spot_savings_usd_per_hour == round(woken.price_usd_per_hour - spot.price_usd_per_hour, 6)

    tell(plot)


def test_a32_the_spot_machine_is_of_whichever_listed_type_can_be_had() -> None:
    """One type alone is often out of stock, or soon taken back."""

    async def plot(story: Story) -> None:
        await add_spot_pool(story)
        await add_deployment(story, "web", 2, selector=POOL)
        await wait_running(story, 2)
        story.cloud.stock.sell_out(TYPES[0])

        await story.wait_told("SpotReplacementComplete")

        assert [machine.instance_type for machine in spot_machines(story)] == [TYPES[1]]

    tell(plot)


def test_a33_pods_of_a_spot_machine_that_dies_fall_back_to_a_standby_machine_without_a_launch() -> None:
    """Nobody was told, and yet no pod waits for a cold machine: that is what standby machines are kept for."""

    async def plot(story: Story) -> None:
        spot = await a_replaced_machine(story)
        node = (await claim_of(story, spot)).status.node_name
        before = story.calls()

        story.cloud.interrupt(spot.id, notice_seconds=0)
        await story.wait_told("SpotInterruption")
        seconds = await wait_running(story, 2)

        with pytest.raises(NotFound):
            await story.client.get(NODE, node)
        assert seconds < 120
        since = story.calls() - before
        assert (since["start"], since["launch"]) == (1, 0)

    tell(plot, cloud={"tells_state_changes": True})


def test_a33_a_noticed_interruption_wakes_a_standby_machine_before_the_pods_leave() -> None:
    """With two minutes' notice the pods serve until there is another machine: they wait for seconds, if at all."""

    async def plot(story: Story) -> None:
        spot = await a_replaced_machine(story)
        before = story.calls()
        asked_at = story.now

        story.cloud.interrupt(spot.id)

        async def is_woken() -> bool:
            return (story.calls() - before)["start"] == 1

        assert await story.wait(is_woken, every=0.05) <= 1.0
        fewest = 2

        async def all_moved() -> bool:
            nonlocal fewest
            there = [pod.spec.node_name for pod in await pods(story) if is_running(pod)]
            fewest = min(fewest, len(there))
            return spot_machines(story) == [] and len(there) == 2

        await story.wait(all_moved, every=0.2)
        assert (story.now - asked_at).total_seconds() < 120
        assert (story.calls() - before)["launch"] == 0
        assert await story.events("SpotInterruption")

    tell(plot)


def test_a35_a_machine_has_one_replacement_however_often_the_pool_is_looked_at() -> None:
    """Every change of a claim brings the pool up, and while a machine boots there are many."""

    async def plot(story: Story) -> None:
        await add_spot_pool(story, reconciliationInterval="1s")
        await add_deployment(story, "web", 2, selector=POOL)
        most = 0

        async def complete() -> bool:
            nonlocal most
            most = max(most, len(spot_machines(story)))
            return "SpotReplacementComplete" in await story.told()

        await story.wait(complete)

        assert most == 1
        assert len([c for c in story.cloud.calls if c.operation == "launch"]) == 1 + 1 + 1  # filled, refilled, spot

    tell(plot)


def test_a_full_pool_says_that_it_cannot_replace() -> None:
    """A replacement is one machine more for a while, and poolSize is a promise."""

    async def plot(story: Story) -> None:
        await add_spot_pool(story, size=1)
        await add_deployment(story, "web", 1, selector=POOL)
        await wait_running(story, 1)
        await asyncio.sleep(600)

        assert len(story.machines()) == 1
        assert spot_machines(story) == []

    tell(plot)


def test_nothing_is_replaced_above_the_price_that_the_class_allows() -> None:
    """A request that the cloud would refuse is not made again and again."""

    async def plot(story: Story) -> None:
        await add_spot_pool(story, max_price="0.001")
        await add_deployment(story, "web", 1, selector=POOL)
        await wait_running(story, 1)
        await asyncio.sleep(600)

        assert spot_machines(story) == []
        assert not any(call.outcome != "ok" for call in story.cloud.calls if call.operation == "launch")

    tell(plot)


def test_an_idle_spot_machine_is_ended_for_it_cannot_stand_by() -> None:
    """It could be stopped nowhere, and would cost until somebody noticed."""

    async def plot(story: Story) -> None:
        await a_replaced_machine(story)
        await story.client.patch(DEPLOYMENT, "default/web", {"spec": {"replicas": 0}})

        async def gone() -> bool:
            return not spot_machines(story)

        seconds = await story.wait(gone, every=5)
        assert 300 <= seconds < 400
        assert (await story.pool()).status.running == 0

    tell(plot)


def test_a42_spot_replacements_interruptions_fallbacks_and_savings_are_scraped() -> None:
    """Dashboards show what spot machines save, and how often they are taken back."""

    async def plot(story: Story) -> None:
        spot = await a_replaced_machine(story)
        saved = (await scrape(story)).value("stratos_nodepool_spot_savings_usd_per_hour", pool="ci")
        story.cloud.interrupt(spot.id)

        async def gone() -> bool:
            return story.cloud.machine(spot.id).state.gone

        await story.wait(gone, every=1)
        scraped = await scrape(story)

        assert saved == pytest.approx(0.096 - spot.price_usd_per_hour)
        assert scraped.value("stratos_nodepool_spot_replacements_total", pool="ci") == 1
        assert scraped.value("stratos_nodepool_spot_replacement_duration_seconds_count", pool="ci") == 1
        assert scraped.value("stratos_nodepool_spot_interruptions_total", pool="ci") == 1
        assert scraped.value("stratos_nodepool_spot_fallbacks_total", pool="ci") == 1
        assert scraped.value("stratos_nodepool_spot_savings_usd_per_hour", pool="ci") == 0

    tell(plot)
