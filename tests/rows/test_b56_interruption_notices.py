"""What is done between the notice that a machine is taken back and its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_deployment, add_template, pods, wait_running
from rows.spot_world import POOL, a_replaced_machine, claim_of, spot_machines
from rows.template_world import is_running, running
from stratos.apis import labels
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, InterruptionKind, NodeClaim, NodeState
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.planning.interruptions.notices import HostNotice, write_notice
from stratos.providers.contract import CapacityType, Machine, MachineState

SPOT = {"spot": True}


async def a_spot_machine_of_a_template(story: Story, replicas: int = 2) -> Machine:
    await add_template(story, constraints=SPOT)
    await add_deployment(story, "web", replicas)
    await wait_running(story, replicas)
    (machine,) = [machine for machine in story.machines() if machine.capacity_type is CapacityType.SPOT]
    return machine


async def node_of(story: Story, machine: Machine) -> Node:
    return await story.client.get(NODE, (await claim_of(story, machine)).status.node_name)


def is_closed(node: Node) -> bool:
    return node.spec.unschedulable and any(taint.key == labels.DISRUPTED_TAINT for taint in node.spec.taints or ())


async def watch_until_gone(story: Story, machine: Machine) -> tuple[int, float]:
    """The fewest pods that ran meanwhile, and after how many seconds the machine was ended."""
    began, fewest = story.now, 1000

    async def gone() -> bool:
        nonlocal fewest
        fewest = min(fewest, sum(is_running(pod) for pod in await pods(story)))
        return story.cloud.machine(machine.id).state.gone

    await story.wait(gone, every=0.2)
    return fewest, (story.now - began).total_seconds()


def test_b56_a_noticed_machine_is_closed_within_a_second_and_left_within_its_two_minutes() -> None:
    """Another machine first, then cordon, then the pods; and all of it before the cloud turns the old one off."""

    async def plot(story: Story) -> None:
        machine = await a_spot_machine_of_a_template(story)

        story.cloud.interrupt(machine.id)

        async def closed() -> bool:
            return is_closed(await node_of(story, machine))

        seconds = await story.wait(closed, every=0.02)
        assert seconds <= 1.0
        assert len(await story.claims()) == 2  # its successor is asked for
        _, lasted = await watch_until_gone(story, machine)
        assert lasted < 120
        assert machine.id not in {each.id for each in story.machines()}
        await wait_running(story, 2)

    tell(plot)


def test_b56_pods_serve_on_until_there_is_room_for_them() -> None:
    """The machine dies in two minutes, not now: whoever can be replaced before is."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        story.cloud.interrupt(machine.id)

        async def evicted() -> bool:
            return any(pod.metadata.deletion_timestamp for pod in await pods(story))

        await story.wait(evicted, every=0.1)
        others = [node for node in await story.nodes() if not node.spec.unschedulable]
        assert others  # where they go is ready

    tell(plot)


def test_b56_notices_that_come_twice_from_two_sources_do_nothing_more() -> None:
    """The queue delivers again, the host hears it, too: one replacement, one event, one count."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        before = story.calls()
        node = await node_of(story, machine)

        story.cloud.interrupt(machine.id)
        heard = write_notice(HostNotice(InterruptionKind.SPOT_INTERRUPTION, story.now + timedelta(seconds=118)))
        await story.client.patch(NODE, node.metadata.name, {"metadata": {"annotations": {labels.INTERRUPTION: heard}}})
        await asyncio.sleep(5)
        story.cloud.interrupt(machine.id)
        await watch_until_gone(story, machine)
        await wait_running(story, 2)

        since = story.calls() - before
        assert (since["start"], since["launch"]) == (1, 0)
        assert len(await story.events("SpotInterruption")) == 1

    tell(plot)


def test_b56_a_host_that_hears_it_alone_is_enough() -> None:
    """Not every account has the queue."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        node = await node_of(story, machine)
        heard = write_notice(HostNotice(InterruptionKind.SPOT_INTERRUPTION, story.now + timedelta(minutes=2)))

        await story.client.patch(NODE, node.metadata.name, {"metadata": {"annotations": {labels.INTERRUPTION: heard}}})
        _, lasted = await watch_until_gone(story, machine)

        assert lasted < 120
        await wait_running(story, 2)

    tell(plot)


def test_b56_a_budget_is_kept_until_shortly_before_the_end_and_then_gives_way() -> None:
    """What a budget protects ends with its machine in any case; told half a minute before, it ends in order."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        budget = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 2}
        metadata = {"name": "web", "namespace": "default"}
        await story.client.create(POD_DISRUPTION_BUDGET, {"metadata": metadata, "spec": budget})
        await asyncio.sleep(5)
        asked_at = story.now

        story.cloud.interrupt(machine.id)

        async def told_to_go() -> bool:
            return any(pod.metadata.deletion_timestamp for pod in await pods(story))

        await story.wait(told_to_go, every=0.2)
        assert 85 <= (story.now - asked_at).total_seconds() <= 95
        await watch_until_gone(story, machine)
        assert (story.now - asked_at).total_seconds() < 120
        await wait_running(story, 2)

    tell(plot)


def test_b56_a_machine_that_leaves_at_leisure_makes_haste() -> None:
    """It was to go in any case, and waited for a budget that might never have let it."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        budget = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 2}
        metadata = {"name": "web", "namespace": "default"}
        await story.client.create(POD_DISRUPTION_BUDGET, {"metadata": metadata, "spec": budget})
        await story.client.delete(NODE_CLAIM, (await claim_of(story, machine)).metadata.name)
        await asyncio.sleep(300)
        assert story.cloud.machine(machine.id).state is MachineState.RUNNING

        story.cloud.interrupt(machine.id)
        _, lasted = await watch_until_gone(story, machine)

        assert lasted < 120
        await wait_running(story, 2)

    tell(plot)


def test_b56_no_pod_gets_more_grace_than_the_machine_has_time() -> None:
    """Ten minutes to end in order are of no use on a machine that has two."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints=SPOT)
        await add_deployment(story, "web", 1, terminationGracePeriodSeconds=600)
        await wait_running(story, 1)
        (machine,) = story.machines()

        story.cloud.interrupt(machine.id)

        async def told_to_go() -> bool:
            return any(pod.metadata.deletion_timestamp for pod in await pods(story))

        await story.wait(told_to_go, every=0.2)
        leaving = next(pod for pod in await pods(story) if pod.metadata.deletion_timestamp)
        ends = leaving.metadata.deletion_timestamp
        claim = await claim_of(story, machine)
        notice = claim.spec.interruption
        assert ends is not None and notice is not None and notice.deadline is not None
        assert ends <= notice.deadline - timedelta(seconds=9)

    tell(plot)


def test_a_rebalance_recommendation_moves_pods_with_care() -> None:
    """Nobody dies of it: another machine first, each pod replaced before it goes, and no deadline."""

    async def plot(story: Story) -> None:
        machine = await a_replaced_machine(story)
        before = story.calls()

        story.cloud.recommend_rebalance(machine.id)
        fewest, _ = await watch_until_gone(story, machine)

        assert fewest == 2
        since = story.calls() - before
        assert (since["start"], since["launch"]) == (1, 0)
        assert len(set((await running(story)).values())) == 1
        assert await story.events("RebalanceRecommendation")

    tell(plot)


@pytest.mark.parametrize("heeded", [True, False])
def test_a_template_heeds_recommendations_as_it_does_predictions(heeded: bool) -> None:
    """They are predictions, made by the cloud itself."""

    async def plot(story: Story) -> None:
        await add_template(story, constraints={**SPOT, "spotInterruptionPredictionsEnabled": heeded})
        await add_deployment(story, "web", 2)
        await wait_running(story, 2)
        (machine,) = story.machines()

        story.cloud.recommend_rebalance(machine.id)
        await asyncio.sleep(600)

        assert story.cloud.machine(machine.id).state.gone is heeded
        assert len(await running(story)) == 2

    tell(plot)


def test_a_scheduled_change_is_moved_away_from_before_its_date() -> None:
    """EC2 tells of repairs days ahead; a machine that is stopped and started again comes to another host."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=2)
        await add_deployment(story, "web", 2, selector=POOL)
        await wait_running(story, 2)
        claim = await story.wait_state(NodeState.RUNNING)
        machine = story.cloud.machine(claim.status.instance_id)

        story.cloud.schedule_change(machine.id, in_seconds=3 * 24 * 3600)

        async def parked() -> bool:
            return story.cloud.machine(machine.id).state is MachineState.STOPPED

        assert await story.wait(parked, every=1) < 600
        assert len(await running(story)) == 2

        async def forgotten() -> bool:
            kept: NodeClaim = await story.client.get(NODE_CLAIM, claim.metadata.name)
            return kept.spec.interruption is None and kept.spec.departure is None

        await story.wait(forgotten)
        assert spot_machines(story) == []

    tell(plot)


def test_a_change_of_state_that_the_cloud_tells_is_looked_at_at_once() -> None:
    """Settled machines are asked about once a minute; whoever is told need not wait for that."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        await asyncio.sleep(65)
        (machine,) = story.machines()

        story.cloud.outside_terminate(machine.id)

        assert await story.wait_told("NodeLost") < 12  # ending it takes ten seconds

    tell(plot, cloud={"tells_state_changes": True})
