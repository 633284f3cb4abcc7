"""Machines of templates go when they are not needed, and nobody who uses them notices."""

from __future__ import annotations

import asyncio
from typing import Any

from controllers.pool_stories import Story, tell
from controllers.ready_guard import guarding
from controllers.template_stories import add_deployment, add_template, pods, wait_running
from stratos.apis import labels
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.event import EVENT
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.catalog.instance_type import CapacityType
from stratos.wiring.cluster import catalog_named

LARGE = {"minCpu": 8, "gpu": {"maxCount": 0}}


async def scale(story: Story, name: str, replicas: int) -> None:
    await story.client.patch_scale(DEPLOYMENT, f"default/{name}", replicas)


async def add_budget(story: Story, app: str, **spec: Any) -> None:
    body = {"selector": {"matchLabels": {"app": app}}, **spec}
    metadata = {"name": app, "namespace": "default"}
    await story.client.create(POD_DISRUPTION_BUDGET, {"metadata": metadata, "spec": body})


async def edit_template(story: Story, **spec: Any) -> None:
    await story.client.patch(NODE_TEMPLATE, "any", {"spec": spec})


async def told(story: Story, reason: str) -> list[str]:
    return [event.message async for event in story.client.list_all(EVENT) if event.reason == reason]


def test_d15_a_machine_that_nobody_uses_any_more_goes() -> None:
    """Five minutes after its last pod, and not before."""

    async def plot(story: Story) -> None:
        await add_template(story)
        await add_deployment(story, "web", 1)
        await wait_running(story, 1)
        await scale(story, "web", 0)
        await story.wait(lambda: _none(pods(story)))
        seconds = await story.wait(lambda: _none(story.claims()), 900)
        assert 300 <= seconds < 400
        assert not story.machines()

    tell(plot)


async def _none(found: Any) -> bool:
    return not await found


def test_a_machine_is_replaced_by_a_cheaper_one_and_its_pods_are_replaced_before_they_go() -> None:
    """At no moment is one of three pods missing, though a budget would have allowed it."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE)
        await add_deployment(story, "web", 3)
        await add_budget(story, "web", maxUnavailable=1)
        await wait_running(story, 3)
        (before,) = await story.claims()
        async with guarding(story, {"web": 3}) as guard:
            await edit_template(story, constraints={"minCpu": None})

            async def replaced() -> bool:
                return before.metadata.name not in [claim.metadata.name for claim in await story.claims()]

            await story.wait(replaced, 1800)
            assert guard.fewest == {"web": 3}
        after = await story.claims()
        assert sum(claim.spec.price_usd_per_hour or 0 for claim in after) < (before.spec.price_usd_per_hour or 0) / 2
        web = await story.client.get(DEPLOYMENT, "default/web")
        assert (web.spec.replicas, labels.SURGE in web.metadata.annotations) == (3, False)
        assert {pod.spec.node_name for pod in await pods(story)} == {claim.status.node_name for claim in after}
        (message,) = await told(story, "Cheaper")
        assert "cheaper machines would do; 3 pods to move" in message

    tell(plot)


def test_b26_a_pod_that_is_not_to_be_evicted_keeps_its_machine_and_an_event_says_so() -> None:
    """Who wonders why a node stays finds the pod in ``kubectl describe node``."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE)
        await add_deployment(story, "web", 1)
        await wait_running(story, 1)
        (pod,) = await pods(story)
        note = {"metadata": {"annotations": {"pod.elotl.co/do-not-evict": "true"}}}
        await story.client.patch(POD, pod.metadata.key, note)
        (before,) = await story.claims()
        await edit_template(story, disruption={"nodeTTL": "5m"}, constraints={"minCpu": None})

        async def said() -> bool:
            return bool(await told(story, "DisruptionBlocked"))

        await story.wait(said, 1800)
        assert [claim.metadata.name for claim in await story.claims()] == [before.metadata.name]
        (message, *_) = await told(story, "DisruptionBlocked")
        assert f"pod {pod.metadata.key} has annotation pod.elotl.co/do-not-evict=true" in message

    tell(plot)


def test_a_departure_is_taken_back_when_its_replacement_cannot_be_had() -> None:
    """The cloud has none in stock: the machine stays open, and its pods where they are."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE)
        await add_deployment(story, "web", 1)
        await wait_running(story, 1)
        (before,) = await story.claims()
        for name in catalog_named("aws/us-east-1").instance_types:
            story.cloud.stock.sell_out(name)
        await edit_template(story, constraints={"minCpu": None})

        async def given_up() -> bool:
            return bool(await told(story, "DisruptionGivenUp"))

        await story.wait(given_up, 1800)
        claim = await story.client.get(NODE_CLAIM, before.metadata.name)
        assert claim.spec.departure is None

    tell(plot)


def test_b29_nodes_are_renewed_one_after_another_and_no_pod_is_missed() -> None:
    """Each replacement is there before the node it replaces goes."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={"minCpu": 4, "maxCpu": 4}, disruption={"nodeTTL": "1h"})
        await add_deployment(story, "web", 4, cpu="2500m")
        await wait_running(story, 4)
        first = {claim.metadata.name for claim in await story.claims()}
        assert len(first) == 4
        most_leaving = 0

        async def renewed() -> bool:
            nonlocal most_leaving
            claims = await story.claims()
            leaving = [claim for claim in claims if claim.spec.departure is not None]
            most_leaving = max(most_leaving, len(leaving))
            return first.isdisjoint(claim.metadata.name for claim in claims)

        async with guarding(story, {"web": 4}):
            await story.wait(renewed, 7200, every=5)
        assert most_leaving == 1
        assert len(await story.claims()) == 4
        assert all("older than nodeTTL 1h" in message for message in await told(story, "Expired"))

    tell(plot)


def test_d08_what_stood_in_for_spot_is_replaced_when_spot_is_back() -> None:
    """No spot to be had: on-demand, labelled so. Spot is back: spot, at the restore rate, with nobody missed."""

    async def plot(story: Story) -> None:
        constraints = {"spot": True, "useSpotFallbacks": True, "fallbackRestoreRateSeconds": 1200}
        for name in catalog_named("aws/us-east-1").instance_types:
            story.cloud.stock.sell_out(name, capacity_type=CapacityType.SPOT)
        await add_template(story, constraints={**constraints, "maxCpu": 2, "instanceFamilies": {"include": ["m5"]}})
        await add_deployment(story, "web", 2)
        await wait_running(story, 2)
        (stand_in,) = await story.claims()
        assert stand_in.spec.node is not None
        assert stand_in.spec.node.labels["scheduling.cast.ai/spot-fallback"] == "true"
        story.cloud.stock.restock()

        async def restored() -> bool:
            return {claim.spec.capacity_type for claim in await story.claims()} == {"spot"}

        async with guarding(story, {"web": 2}):
            seconds = await story.wait(restored, 3600, every=5)
        assert 1200 <= seconds < 1500
        assert stand_in.metadata.name not in [claim.metadata.name for claim in await story.claims()]

    tell(plot)


async def a_surge(story: Story) -> bool:
    return labels.SURGE in (await story.client.get(DEPLOYMENT, "default/web")).metadata.annotations


def test_a_move_that_was_cut_short_goes_on_where_it_stopped() -> None:
    """What a move has changed is written where it was changed: whoever comes next finds it, and ends it well."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE)
        await add_deployment(story, "web", 2)
        await wait_running(story, 2)
        (before,) = await story.claims()
        await edit_template(story, constraints={"minCpu": None})
        async with guarding(story, {"web": 2}):
            await story.wait(lambda: a_surge(story), 1800)
            await story.cluster.stratos.stop()
            await asyncio.sleep(120)
            assert await a_surge(story)
            await story.cluster.stratos.start()

            async def replaced() -> bool:
                return before.metadata.name not in [claim.metadata.name for claim in await story.claims()]

            await story.wait(replaced, 1800)
        web = await story.client.get(DEPLOYMENT, "default/web")
        assert (web.spec.replicas, await a_surge(story)) == (2, False)

    tell(plot)


def test_a_number_of_replicas_that_somebody_sets_in_the_middle_of_a_move_is_theirs() -> None:
    """An autoscaler or a user decides how many there are; the move goes on from there."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE)
        await add_deployment(story, "web", 2)
        await wait_running(story, 2)
        (before,) = await story.claims()
        await edit_template(story, constraints={"minCpu": None})
        async with guarding(story, {"web": 2}):
            await story.wait(lambda: a_surge(story), 1800)
            await scale(story, "web", 6)

            async def replaced() -> bool:
                return before.metadata.name not in [claim.metadata.name for claim in await story.claims()]

            await story.wait(replaced, 3600)
        web = await story.client.get(DEPLOYMENT, "default/web")
        assert (web.spec.replicas, await a_surge(story)) == (6, False)
        await wait_running(story, 6)

    tell(plot)


def test_a_lone_replica_moves_only_as_its_template_says() -> None:
    """Wait: it keeps its machine, and an event tells why."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=LARGE, disruption={"singleReplica": "Wait", "nodeTTL": "10m"})
        await add_deployment(story, "web", 1)
        await wait_running(story, 1)
        (before,) = await story.claims()
        await edit_template(story, constraints={"minCpu": None})
        await asyncio.sleep(1800)
        assert [claim.metadata.name for claim in await story.claims()] == [before.metadata.name]
        assert any(
            "is the only one of Deployment default/web" in text for text in await told(story, "DisruptionBlocked")
        )

        await edit_template(story, disruption={"singleReplica": "Surge"})

        async def replaced() -> bool:
            return before.metadata.name not in [claim.metadata.name for claim in await story.claims()]

        async with guarding(story, {"web": 1}):
            await story.wait(replaced, 1800)

    tell(plot)
