"""The ``nodecostestimate`` gate on a cluster: pods are told what they would cost, and nothing is bought."""

from __future__ import annotations

import asyncio
from typing import Any

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, pod_events, template
from rows.template_world import LUNA, add_pod
from stratos.apis.event import EVENT
from stratos.apis.meta import is_condition_true
from stratos.apis.pod import POD
from stratos.base.errors import NotFound

ESTIMATE = "NodeCostEstimate"
SHARED: dict[str, Any] = {"cpu": "500m", "memory": "512Mi"}
SELECTED: dict[str, Any] = {"cpu": "3", "memory": "2Gi"}
TYPES = {"instanceFamilies": {"include": ["c6a", "m6a"]}, "azs": ["us-east-1a"]}


async def add_lunas_template(story: Story) -> None:
    await add_template(
        story, pods={"labels": LUNA}, strategy="thresholds", constraints=TYPES, disruption={"policy": "Never"}
    )

    async def is_ready() -> bool:
        return is_condition_true((await template(story)).status.conditions, "Ready")

    await story.wait(is_ready, 60)


async def add_gated(story: Story, name: str, **spec: Any) -> None:
    await add_pod(story, name, labels=LUNA, schedulingGates=[{"name": "nodecostestimate"}], **spec)


async def estimates(story: Story) -> dict[str, str]:
    """By pod, what it was told."""
    return dict(await pod_events(story, ESTIMATE))


async def wait_told(story: Story, pods: int) -> None:
    async def all_told() -> bool:
        return len(await pod_events(story, ESTIMATE)) >= pods

    await story.wait(all_told, 60, every=1)


def thrifty(messages: list[str]) -> tuple[float, int]:
    """Cost per hour and nodes as the tools read them: same messages once, then characters 17 to 24, then a word."""
    cost, nodes = 0.0, 0
    for message in sorted(set(messages)):
        number = int(message.split("; ")[1].split(" ")[3])
        cost += float(message[16:24]) * number
        nodes += number
    return cost, nodes


def test_b20_b21_gated_pods_are_told_machines_and_prices_and_no_machine_is_added() -> None:
    """Three small pods share a machine, three large ones get one each; the tools that read it get it right."""

    async def plot(story: Story) -> None:
        await add_lunas_template(story)
        for number in range(3):
            await add_gated(story, f"shared-{number}", **SHARED)
            await add_gated(story, f"selected-{number}", **SELECTED)
        await wait_told(story, 6)
        await asyncio.sleep(60)

        told = await estimates(story)
        price = story.cloud.catalog.offerings("c6a.xlarge")[0].price_usd_per_hour
        assert len(set(told.values())) == 2
        assert thrifty([told[f"shared-{number}"] for number in range(3)])[1] == 1
        cost, nodes = thrifty([told[f"selected-{number}"] for number in range(3)])
        assert (round(cost, 6), nodes) == (round(3 * price, 6), 3)
        assert not story.cloud.machines()
        assert not await story.claims()

    tell(plot)


def test_b22_an_estimate_is_said_once_and_again_when_its_event_is_deleted() -> None:
    """Whoever asks anew deletes the event; a loop that repeats itself would drown all others."""

    async def plot(story: Story) -> None:
        await add_lunas_template(story)
        await add_gated(story, "job", **SELECTED)
        await wait_told(story, 1)
        await add_gated(story, "another", **SELECTED)
        await wait_told(story, 2)
        await asyncio.sleep(600)

        events = [event async for event in story.client.list_all(EVENT) if event.reason == ESTIMATE]
        assert [event.count for event in events] == [1, 1]
        mine = next(event for event in events if event.involved_object.name == "job")
        await story.client.delete(EVENT, mine.metadata.key)

        async def is_back() -> bool:
            return "job" in await estimates(story)

        assert await story.wait(is_back, 60, every=0.5) < 10
        assert "estimated node count 2" in (await estimates(story))["job"]

    tell(plot)


def test_b23_an_estimate_heeds_what_is_sold_out_and_takes_no_account_of_free_nodes() -> None:
    """It says what the pods would cost by themselves, from what is to be had now."""

    async def plot(story: Story) -> None:
        await add_lunas_template(story)
        story.cloud.stock.sell_out("c6a.xlarge")
        await add_pod(story, "real", labels=LUNA, **SELECTED)
        await story.wait_pod("Running", "real", 600)
        await story.client.delete(POD, "default/real")
        await story.wait(lambda: _is_gone(story, "real"), 60)

        await add_gated(story, "gated", **SELECTED)
        await wait_told(story, 1)

        assert [machine.instance_type for machine in story.machines()] == ["m6a.xlarge"], "a free node is there"
        assert "estimated node count 1; node type m6a.xlarge" in (await estimates(story))["gated"]

    tell(plot)


def test_b24_a_pod_that_no_machine_would_hold_is_told_so() -> None:
    """The words are those that tools look for."""

    async def plot(story: Story) -> None:
        await add_lunas_template(story)
        await add_gated(story, "huge", cpu="5000", memory="1Gi")
        await wait_told(story, 1)

        assert (await estimates(story))["huge"].startswith("No node type found")

    tell(plot)


def test_b20_a_pod_whose_gate_is_removed_gets_the_machine_it_was_told_of() -> None:
    """What was said is what is bought."""

    async def plot(story: Story) -> None:
        await add_lunas_template(story)
        await add_gated(story, "job", **SELECTED)
        await wait_told(story, 1)
        told = (await estimates(story))["job"]

        await story.client.patch(POD, "default/job", {"spec": {"schedulingGates": []}})
        await story.wait_pod("Running", "job", 600)

        (claim,) = await story.claims()
        assert f"node type {claim.spec.instance_type} ({claim.spec.capacity_type})" in told
        assert float(told[16:24]) == claim.spec.price_usd_per_hour

    tell(plot)


async def _is_gone(story: Story, pod: str) -> bool:
    try:
        await story.pod(pod)
    except NotFound:
        return True
    return False
