"""Warm pools from end to end: the real controllers, scheduler and API, a simulated cloud and its hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis import labels
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.meta import find_condition
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, ClaimCondition, NodeState, Wanted
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.base.errors import InsufficientCapacity, Invalid, NotFound, Unavailable
from stratos.providers.contract import MachineState
from stratos.providers.simulated.cloud import CallMoment


@pytest.mark.parametrize(
    ("size", "standby", "field"), [(0, 0, "poolSize"), (1001, 1, "poolSize"), (2, 3, "minStandby")]
)
def test_a02_impossible_sizes_are_refused_at_admission(size: int, standby: int, field: str) -> None:
    """Better an error now than a pool that never is what it says."""

    async def plot(story: Story) -> None:
        with pytest.raises(Invalid, match=field):
            await story.add_pool(size=size, standby=standby)

    tell(plot)


def test_a04_a_pool_fills_to_its_minimum_and_never_beyond_its_size() -> None:
    """Five machines, prepared and stopped, about a minute and a half after the pool was made."""

    async def plot(story: Story) -> None:
        await story.add_pool(size=6, standby=5)

        seconds = await story.wait_pool(lambda pool: pool.status.standby == 5, within=150)

        assert 60 < seconds < 120
        assert story.calls()["launch"] == 5
        assert {machine.state for machine in story.machines()} == {MachineState.STOPPED}
        assert await story.condition("Ready") == ("True", "PoolReady")
        await asyncio.sleep(600)
        assert story.calls()["launch"] == 5

    tell(plot)


def test_a05_a26_a_machine_is_prepared_with_its_daemon_sets_then_closed_and_stopped() -> None:
    """What runs on every node is on its disk before it stands by."""

    async def plot(story: Story) -> None:
        await story.add_daemon_set()
        await story.add_filled_pool()

        claim = await story.wait_state(NodeState.STANDBY)
        await asyncio.sleep(1)
        [node] = await story.nodes()
        assert node.spec.unschedulable
        assert {labels.STANDBY_TAINT, labels.NOT_READY_TAINT} <= {taint.key for taint in node.spec.taints or ()}
        assert node.metadata.labels[labels.STATE] == "standby"
        assert node.metadata.labels[labels.POOL] == "ci"
        assert node.metadata.annotations[labels.WARMUP_COMPLETED]
        assert "logger:1" in story.cloud.disk(claim.status.instance_id).images
        assert {"WarmupStarted", "WarmupCompleted", "Replenishing", "Created"} <= await story.told()
        [machine] = story.machines()
        assert machine.tags[labels.TAG_STATE] == "standby"

    tell(plot)


def test_a06_a_machine_that_turns_itself_off_is_parked_without_a_stop_call() -> None:
    """G1 pools say so."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(preWarm={"completionMode": "SelfStop"})

        assert story.calls()["stop"] == 0

    tell(plot)


@pytest.mark.parametrize("action", ["stop", "terminate"])
def test_a08_a_machine_that_never_joins_is_tagged_and_given_up_then_replaced(action: str) -> None:
    """It has no node, so there is nothing of it to use."""

    async def plot(story: Story) -> None:
        story.cloud.hang_next_boots(1)
        await story.add_pool(preWarm={"timeout": "5m", "timeoutAction": action})

        await story.wait_pool(lambda pool: pool.status.standby == 1)

        [lost] = [machine for machine in story.cloud.machines() if machine.state.gone]
        assert lost.tags[labels.TAG_STATE] == "warmup-failed"
        assert lost.tags[labels.TAG_STATE_NOTE] == "timeout_no_node"
        assert "WarmupTimeout" in await story.told()
        assert story.calls()["launch"] == 2

    tell(plot)


def test_a09_a10_a_pending_pod_runs_on_a_standby_machine_in_about_twenty_seconds() -> None:
    """The main job: one start, no launch in its way, and next to no time of our own."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(preWarm={"images": ["app:1"]})
        await story.add_pod()

        seconds = await story.wait_pod("Running")

        assert 15 < seconds <= 25
        assert story.calls()["start"] == 1
        assert (await story.pod()).spec.node_name
        assert {"ScaleUp", "NodeStarted", "StartupTaintsRemoved"} <= await story.told()

    tell(plot)


def test_a12_a16_demand_beyond_the_pool_starts_each_machine_once_and_says_what_is_left() -> None:
    """Three machines for more pods than they hold; every look sees the same pods, and nothing is started twice."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=3, standby=3)
        for number in range(10):
            await story.add_pod(f"job-{number}")

        await story.wait_pool(lambda pool: pool.status.running == 3)
        await asyncio.sleep(120)

        assert story.calls()["start"] == 3
        assert story.calls()["launch"] == 3
        assert max(story.cloud.starts_by_token.values()) == 1
        in_progress = find_condition((await story.pool()).status.conditions, "ScaleUpInProgress")
        assert in_progress is not None
        assert in_progress.message.startswith("left waiting: 7 pods")
        assert (await story.pool()).status.total == 3

    tell(plot)


def test_a15_of_two_pools_that_match_only_one_acts() -> None:
    """A pod that selects neither by name could be served by both."""

    async def plot(story: Story) -> None:
        shared: dict[str, Any] = {"template": {"labels": {"team": "a"}}}
        for name in ("blue", "green"):
            await story.add_filled_pool(name, **shared)
        await story.add_pod(selector={"team": "a"})

        await story.wait_pod("Running")

        assert story.calls()["start"] == 1
        running = [claim.spec.pool for claim in await story.claims() if claim.spec.wanted is Wanted.RUNNING]
        assert running == ["blue"]

    tell(plot)


def test_a17_a22_an_empty_node_returns_to_standby_after_its_time() -> None:
    """Stopped, not terminated: its disk is what makes the next start fast. DaemonSet pods do not keep it."""

    async def plot(story: Story) -> None:
        await story.add_daemon_set()
        await story.add_filled_pool(scaleDown={"emptyNodeTTL": "10m"})
        await story.add_pod(seconds=30)
        await story.wait_pod("Succeeded")

        seconds = await story.wait_pool(lambda pool: pool.status.running == 0)

        assert 600 <= seconds <= 600 + 35
        await story.wait_pool(lambda pool: pool.status.standby == 2)
        assert {machine.state for machine in story.machines()} == {MachineState.STOPPED}
        assert story.calls()["terminate"] == 0
        assert {"ScaleDown", "NodeStopped"} <= await story.told()

    tell(plot)


def test_a20_a_budget_without_room_keeps_the_node_until_it_gives_way() -> None:
    """Recycling may wait; what a budget guards may not be cut off."""

    async def plot(story: Story) -> None:
        await story.client.create(
            POD_DISRUPTION_BUDGET,
            {
                "metadata": {"name": "keep", "namespace": "default"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
            },
        )
        await story.add_filled_pool(maxNodeRuntime="10m", scaleDown={"drainTimeout": "1m"})
        await story.add_pod(labels={"app": "db"})
        await story.wait_pod("Running")
        claim = await story.wait_state(NodeState.TERMINATING)

        await asyncio.sleep(600)
        assert (await story.pod()).metadata.deletion_timestamp is None
        assert story.cloud.machine(claim.status.instance_id).state is MachineState.RUNNING

        await story.client.delete(POD_DISRUPTION_BUDGET, "default/keep")
        await story.wait(lambda: _is_gone(story, claim.metadata.name), within=120)

    tell(plot)


async def _is_gone(story: Story, claim: str) -> bool:
    try:
        await story.client.get(NODE_CLAIM, claim)
    except NotFound:
        return True
    return False


@pytest.mark.parametrize(("policy", "reaches_standby"), [("Required", False), ("BestEffort", True)])
def test_a25_a_missing_image_fails_the_warm_up_only_when_it_is_required(policy: str, reaches_standby: bool) -> None:
    """And a pool whose image is missing does not launch machines for ever."""

    async def plot(story: Story) -> None:
        await story.add_pool(preWarm={"images": ["none:1"], "imagePullPolicy": policy})
        if reaches_standby:
            await story.wait_pool(lambda pool: pool.status.standby == 1)
            return
        await story.wait_told("WarmupFailed")
        assert any("image_pull_failed" in message for message in await story.events("WarmupFailed"))
        await asyncio.sleep(3600)
        assert (await story.pool()).status.standby == 0
        assert story.calls()["launch"] <= 8

    tell(plot)


def test_a36_a_machine_that_ran_its_time_is_replaced() -> None:
    """With a warning five minutes ahead, and with a new machine at the end."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=2, standby=1, maxNodeRuntime="20m")
        await story.add_pod()
        await story.wait_pod("Running")
        old = await story.wait_state(NodeState.RUNNING)

        warned = await story.wait_told("MaxRuntimeApproaching")
        exceeded = await story.wait_told("MaxRuntimeExceeded")

        assert 850 < warned < 910
        assert 295 < exceeded < 305
        await story.wait(lambda: _is_gone(story, old.metadata.name), within=600)
        assert story.cloud.machine(old.status.instance_id).state.gone
        await story.wait_pool(lambda pool: pool.status.standby == 1)

    tell(plot)


def test_a37_what_others_do_to_machines_is_noticed_and_answered() -> None:
    """Terminated: replaced. Stopped: stands by. Started: serves until it is empty."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=4, standby=2, scaleDown={"emptyNodeTTL": "5m"})
        first, second = sorted(machine.id for machine in story.machines())

        story.cloud.outside_start(first)
        await story.wait_pool(lambda pool: pool.status.running == 1, within=180)
        claim = await story.wait_state(NodeState.RUNNING)
        assert claim.status.instance_id == first
        assert claim.spec.decision is not None
        assert claim.spec.decision.reason == "Drift"
        await story.wait_pool(lambda pool: pool.status.running == 0, within=900)

        story.cloud.outside_terminate(second)
        await story.wait(lambda: _unknown(story, second), within=180)
        await story.wait_pool(lambda pool: pool.status.standby == 3 or pool.status.standby == 2, within=300)

        await story.add_pod()
        await story.wait_pod("Running")
        serving = await story.wait_state(NodeState.RUNNING)
        story.cloud.outside_stop(serving.status.instance_id)
        await story.wait(lambda: _stands_by(story, serving.metadata.name), within=180)
        assert "NodeLost" in await story.told()

    tell(plot)


async def _unknown(story: Story, instance_id: str) -> bool:
    return all(claim.status.instance_id != instance_id for claim in await story.claims())


async def _stands_by(story: Story, claim: str) -> bool:
    return (await story.client.get(NODE_CLAIM, claim)).status.state is NodeState.STANDBY


def test_a38_deleting_a_pool_leaves_no_machine_no_node_and_no_claim_behind() -> None:
    """Whoever deletes a pool wants the bill to end."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=2)
        await story.add_pod()
        await story.wait_pod("Running")

        await story.client.delete(NODE_POOL, "ci")
        await story.wait(lambda: _no_pool(story), within=600)

        assert story.machines() == []
        assert await story.claims() == []
        assert await story.nodes() == []
        assert {"Deleting", "Deleted"} <= await story.told()

    tell(plot)


async def _no_pool(story: Story) -> bool:
    try:
        await story.pool()
    except NotFound:
        return True
    return False


def test_a39_a_class_stays_until_its_last_pool_is_gone() -> None:
    """A pool whose class has vanished can launch nothing."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        await story.client.delete(SIM_NODE_CLASS, "small")
        await asyncio.sleep(60)
        assert (await story.client.get(SIM_NODE_CLASS, "small")).status.node_pool_count == 1

        await story.client.delete(NODE_POOL, "ci")
        await story.wait(lambda: _no_class(story), within=600)

    tell(plot)


async def _no_class(story: Story) -> bool:
    try:
        await story.client.get(SIM_NODE_CLASS, "small")
    except NotFound:
        return True
    return False


def test_a40_a_pool_waits_for_a_class_that_does_not_resolve() -> None:
    """And goes on by itself when it does."""

    async def plot(story: Story) -> None:
        await story.add_pool(template={"nodeClassRef": {"kind": "SimNodeClass", "name": "later"}})
        await story.wait_told("NodeClassNotFound")
        assert await story.condition("Degraded") == ("True", "NodeClassNotFound")
        assert story.calls()["launch"] == 0

        await story.client.create(SIM_NODE_CLASS, {"metadata": {"name": "later"}, "spec": {"instanceType": "m5.large"}})
        await story.wait_pool(lambda pool: pool.status.standby == 1, within=150)
        assert (await story.condition("Degraded"))[0] == "False"

    tell(plot)


def test_an_orphan_is_ended() -> None:
    """A claim that was removed by force leaves a machine that nobody knows."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=2)
        claim = await story.wait_state(NodeState.STANDBY)
        await story.cluster.stratos.stop()
        await story.client.patch(NODE_CLAIM, claim.metadata.name, {"metadata": {"finalizers": []}})
        await story.client.delete(NODE_CLAIM, claim.metadata.name)
        await story.cluster.stratos.start()

        async def ended() -> bool:
            return bool(story.cloud.machine(claim.status.instance_id).state.gone)

        await story.wait(ended, within=300)

    tell(plot)


def test_a_node_that_nobody_knows_is_removed() -> None:
    """It may join after its machine was given up; pods that were bound to it would wait for ever."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        stray = {"name": "stray", "labels": {labels.POOL: "ci"}}
        await story.client.create(NODE, {"metadata": stray, "spec": {"providerID": "sim:///us-east-1a/i-ended"}})
        foreign = {"metadata": {"name": "foreign"}, "spec": {"providerID": "sim:///us-east-1a/i-foreign"}}
        await story.client.create(NODE, foreign)

        await asyncio.sleep(300)

        names = {node.metadata.name for node in await story.nodes()}
        assert "stray" not in names
        assert "foreign" in names
        assert len(names) == 2

    tell(plot)


def test_a45_a_controller_that_is_killed_at_any_moment_of_a_start_goes_on_where_it_was() -> None:
    """Twenty lives, each cut short a little later; one launch, one start and one machine all the same."""

    async def plot(story: Story) -> None:
        await story.add_pool(size=2, standby=1)
        for life in range(10):
            await asyncio.sleep(0.05 * (life + 1))
            await story.cluster.stratos.stop()
            await story.cluster.stratos.start()
        await story.wait_pool(lambda pool: pool.status.standby == 1)
        await story.add_pod()
        for life in range(10):
            await asyncio.sleep(0.03 * (life + 1))
            await story.cluster.stratos.stop()
            await story.cluster.stratos.start()

        await story.wait_pod("Running")

        assert max(story.cloud.launches_by_token.values()) == 1
        assert max(story.cloud.starts_by_token.values()) == 1
        assert len(story.machines()) <= 2

    tell(plot)


def test_the_ledger_tells_why_a_machine_runs() -> None:
    """`stratos explain` reads it from here."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        await story.add_pod()
        claim = await story.wait_state(NodeState.RUNNING)

        decision = claim.spec.decision
        assert decision is not None
        assert decision.reason == "ScaleUp"
        assert decision.pods == ("default/job",)
        assert decision.message == "a standby machine for default/job"
        assert any(condition.type == ClaimCondition.WOKEN for condition in claim.status.conditions)

    tell(plot)


def test_a23_pods_are_kept_off_a_started_node_until_its_network_is_up() -> None:
    """The network comes up a moment after the kubelet; a pod that starts before it fails."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        await story.add_pod()
        claim = await story.wait_state(NodeState.RUNNING)
        await asyncio.sleep(1)
        node = await story.client.get(NODE, claim.status.node_name)
        assert {taint.key for taint in node.spec.taints or ()} >= {labels.NOT_READY_TAINT}
        assert not node.spec.unschedulable
        assert (await story.pod()).spec.node_name == ""

        await story.wait_told("StartupTaintsRemoved")
        node = await story.client.get(NODE, claim.status.node_name)
        assert labels.NOT_READY_TAINT not in {taint.key for taint in node.spec.taints or ()}

    tell(plot)


def test_a_refused_start_is_answered_with_another_machine() -> None:
    """The cloud may be out of the machines it has just stopped for us; the pod should hardly notice."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=2)
        refused: list[str] = []

        def refuse_once(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "start" and moment is CallMoment.BEFORE and not refused:
                refused.append(target)
                raise InsufficientCapacity("none left")

        story.cloud.fault_hook = refuse_once
        await story.add_pod()

        seconds = await story.wait_pod("Running")

        assert refused
        assert seconds < 40
        serving = await story.wait_state(NodeState.RUNNING)
        assert serving.status.instance_id not in refused

    tell(plot)


def test_a38_a_machine_that_cannot_be_ended_is_told_of_and_tried_again() -> None:
    """A pool must not vanish while somebody still pays for it."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        angry = True

        def refuse(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "terminate" and angry:
                raise Unavailable("the cloud is away")

        story.cloud.fault_hook = refuse
        await story.client.delete(NODE_POOL, "ci")
        await story.wait_told("CleanupFailed", within=60)
        assert not await _no_pool(story)

        angry = False
        await story.wait(lambda: _no_pool(story), within=600)
        assert story.machines() == []

    tell(plot)


def test_a46_settings_of_the_cloud_inside_the_pool_become_a_class_of_its_name() -> None:
    """The first generation of manifests had no classes."""

    async def plot(story: Story) -> None:
        inline = {
            "bootstrapTemplate": "AL2023",
            "instanceType": "m5.large",
            "subnetSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
            "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
            "role": "node-role",
        }
        template = {"cloudProvider": "aws", "aws": inline, "labels": {"stratos.sh/pool": "old"}}
        body = {"poolSize": 2, "minStandby": 1, "template": template}
        await story.client.create(NODE_POOL, {"metadata": {"name": "old"}, "spec": body})

        await story.wait_pool(lambda pool: pool.status.standby == 1, "old", within=150)

        made = await story.client.get(AWS_NODE_CLASS, "old")
        assert made.metadata.owner_references[0].name == "old"
        assert made.status.node_pool_count == 1

    tell(plot)


def test_a_cloud_without_machines_is_asked_ever_less_often() -> None:
    """Hammering on brings no machine, and costs everybody in the account their calls."""

    async def plot(story: Story) -> None:
        story.cloud.stock.stock_out_probability = 1.0
        await story.add_pool(size=2, standby=1)
        await asyncio.sleep(3600)
        refused = sum(call.operation == "launch" for call in story.cloud.calls)
        assert 20 < refused < 60

        story.cloud.stock.stock_out_probability = 0.0
        await story.wait_pool(lambda pool: pool.status.standby == 1, within=300)
        assert max(story.cloud.launches_by_token.values()) == 1

    tell(plot)


def test_a_cloud_that_will_not_end_a_machine_is_not_hammered_either() -> None:
    """Each try is told of once, and the next one waits longer."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool()
        tries: list[str] = []

        def refuse(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "terminate" and moment is CallMoment.BEFORE:
                tries.append(target)
                raise Unavailable("the cloud is away")

        story.cloud.fault_hook = refuse
        await story.client.delete(NODE_POOL, "ci")
        await asyncio.sleep(3600)

        assert 5 < len(tries) < 60

    tell(plot)
