"""When the cloud says no: other candidates, back-offs, rounds that go on without haste, and one warning for each."""

from __future__ import annotations

import asyncio
from typing import Any

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, pod_events, template, wait_running
from rows.template_world import add_pod
from stratos.apis.event import EVENT
from stratos.apis.pod import POD
from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract import MachineState

WARNING = "NodeAddRequestWarning"
ONE_ZONE = {"azs": ["us-east-1a"]}


def attempts(story: Story) -> int:
    """How often the cloud was asked for a machine, with or without success."""
    return sum(call.operation == "launch" for call in story.cloud.calls)


async def add_choosy_template(story: Story, *families: str, **constraints: Any) -> None:
    """The cheapest types of each family that hold a pod of one CPU, in one zone."""
    wanted = {"instanceFamilies": {"include": families}, **ONE_ZONE, **constraints}
    await add_template(story, isDefault=True, constraints=wanted)


def test_b16_after_two_candidates_failed_the_third_serves_and_the_failed_are_left_alone_for_their_time() -> None:
    """Sold out is sold out: asking again at once costs minutes, asking never again costs money."""

    async def plot(story: Story) -> None:
        await add_choosy_template(story, "c6a", "m6a", "r6a", maxCpu=2)
        for name in ("c6a.large", "m6a.large"):
            story.cloud.stock.sell_out(name)
        await add_pod(story, "first", cpu="1")
        await story.wait_pod("Running", "first", 900)

        assert [machine.instance_type for machine in story.machines()] == ["r6a.large"]
        held = {each.instance_type: each for each in (await template(story)).status.backed_off}
        assert set(held) == {"c6a.large", "m6a.large"}
        assert attempts(story) == 3
        story.cloud.stock.restock()
        await add_pod(story, "second", cpu="1500m")
        await story.wait_pod("Running", "second", 900)
        assert story.calls()["launch"] == 2
        assert [machine.instance_type for machine in story.machines()] == ["r6a.large"] * 2, "still left alone"
        await asyncio.sleep(max(0.0, (held["c6a.large"].until - story.now).total_seconds()))
        await add_pod(story, "third", cpu="1600m")
        await story.wait_pod("Running", "third", 900)
        assert "c6a.large" in [machine.instance_type for machine in story.machines()], "its time was over"

    tell(plot)


def test_b16_spot_that_is_sold_out_says_nothing_about_the_same_type_on_demand() -> None:
    """The other category of the type is tried at once."""

    async def plot(story: Story) -> None:
        story.cloud.stock.sell_out("c6a.large", capacity_type=CapacityType.SPOT)
        await add_choosy_template(story, "c6a", spot=True, onDemand=True, maxCpu=2)
        await add_pod(story, "job", cpu="1")

        await story.wait_pod("Running", "job", 900)

        (machine,) = story.machines()
        assert (machine.instance_type, machine.capacity_type) == ("c6a.large", CapacityType.ON_DEMAND)

    tell(plot)


def test_b12_a_machine_above_the_price_cap_is_not_bought_though_nothing_else_is_to_be_had() -> None:
    """A cap that gives way when it hurts is none."""

    async def plot(story: Story) -> None:
        story.cloud.stock.sell_out("c6a.large")
        await add_choosy_template(story, "c6a")
        await add_pod(story, "thrifty", cpu="1", annotations={"node.elotl.co/instance-max-cost": "0.08"})

        await story.wait(lambda: _warned(story, 2), 900, every=5)

        assert not story.machines()
        assert attempts(story) == 1
        assert "instance-max-cost" in (await pod_events(story, WARNING))[-1][1]

    tell(plot)


def test_b17_a_machine_that_hangs_is_cancelled_after_ten_minutes_and_the_next_candidate_asked_for() -> None:
    """The cloud says that it runs, and nothing ever joins."""

    async def plot(story: Story) -> None:
        story.cloud.hang_next_boots()
        await add_choosy_template(story, "c6a", "m6a", maxCpu=2)
        await add_pod(story, "job", cpu="1")

        seconds = await story.wait_pod("Running", "job", 1800)

        first, second = story.cloud.machines()
        assert (first.instance_type, first.state) == ("c6a.large", MachineState.TERMINATED)
        assert (second.instance_type, second.state) == ("m6a.large", MachineState.RUNNING)
        assert 600 <= seconds < 720
        asked = [call for call in story.cloud.calls if call.operation in ("launch", "terminate")]
        assert [call.operation for call in asked] in (
            ["launch", "terminate", "launch"],
            ["launch", "launch", "terminate"],
        )
        assert min(call.at_seconds for call in asked[1:]) - asked[0].at_seconds >= 590

    tell(plot)


def test_b18_b19_rounds_go_on_without_haste_and_each_warns_each_pod_once() -> None:
    """Nothing is to be had for an hour, then everything is: nobody has to do anything, and no loop spins meanwhile."""

    async def plot(story: Story) -> None:
        for name in ("c6a.large", "m6a.large"):
            story.cloud.stock.sell_out(name)
        await add_choosy_template(story, "c6a", "m6a", maxCpu=2)
        await add_pod(story, "one", cpu="1")
        await add_pod(story, "two", cpu="1")
        await asyncio.sleep(3600)

        asked = [call.at_seconds for call in story.cloud.calls if call.operation == "launch"]
        assert len(asked) == 6, "two pods try both candidates, and when the back-offs are over each is tried once"
        assert asked[-1] - asked[0] >= 600
        told = [event async for event in story.client.list_all(EVENT) if event.reason == WARNING]
        assert {event.count for event in told} == {1}, "nothing is said twice"
        attempts_of_one = [
            event for event in told if event.involved_object.name == "one" and "was not to be had" in event.message
        ]
        assert len(attempts_of_one) == 3, "both candidates of the first round, and what is new in the second"
        story.cloud.stock.restock()
        await wait_running(story, 2, within=7200, every=30)

    tell(plot)


def test_b53_the_next_gpu_of_the_list_is_used_while_the_first_is_sold_out() -> None:
    """The alternative was in the list for just that."""

    async def plot(story: Story) -> None:
        for name in story.cloud.catalog.instance_types:
            if name.startswith(("g6.", "gr6.")):
                story.cloud.stock.sell_out(name)
        await add_template(story, isDefault=True, constraints={"maxCpu": 8, **ONE_ZONE})
        await add_pod(story, "vision", cpu="1", gpus=1, annotations={"node.elotl.co/instance-gpu-skus": "L4,A10G"})

        await story.wait_pod("Running", "vision", 3600)

        assert [machine.instance_type for machine in story.machines()] == ["g5.xlarge"]

    tell(plot)


async def _warned(story: Story, number: int) -> bool:
    return len(await pod_events(story, WARNING)) >= number


def test_a_pod_whose_annotation_is_mended_is_looked_at_again_at_once() -> None:
    """Whoever corrects a slip of the pen should not have to wait until something else happens in the cluster."""

    async def plot(story: Story) -> None:
        await add_template(story, isDefault=True)
        await add_pod(story, "app", annotations={"node.elotl.co/instance-max-gpus": "few"})
        await asyncio.sleep(30)
        assert not await story.claims()

        mended = {"node.elotl.co/instance-max-gpus": "0"}
        await story.client.patch(POD, "default/app", {"metadata": {"annotations": mended}})
        await asyncio.sleep(5)

        assert len(await story.claims()) == 1

    tell(plot)
