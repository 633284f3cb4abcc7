"""A standby machine alarms nobody: its node counts as neither unhealthy nor schedulable, or is not there at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis import labels
from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.meta import is_condition_true
from stratos.apis.node import Node
from stratos.apis.nodeclaim import NodeState
from stratos.apis.pod import POD, Pod
from stratos.planning.pools.nodes import NOT_READY_TAINT, STANDBY_TAINT, has_taint

QUIET_SECONDS = 120  # longer than a node may be silent before it is called so


def seen_as_unhealthy(node: Node) -> bool:
    """As kube-controller-manager counts the nodes of a zone: those with the label are not looked at."""
    return labels.EXCLUDE_DISRUPTION not in node.metadata.labels and not is_condition_true(
        node.status.conditions, "Ready"
    )


def is_schedulable(node: Node) -> bool:
    return not node.spec.unschedulable and not has_taint(node, STANDBY_TAINT)


def gets_traffic(node: Node) -> bool:
    return labels.EXCLUDE_FROM_LOAD_BALANCERS not in node.metadata.labels


async def pods_of(story: Story, daemon_set: str) -> list[Pod]:
    return [pod async for pod in story.client.list_all(POD) if pod.metadata.labels.get("app") == daemon_set]


@pytest.mark.parametrize("standby_node", ["Keep", "Remove"])
def test_a_standby_node_counts_as_neither_unhealthy_nor_schedulable(standby_node: str) -> None:
    """A cluster with more machines asleep than awake would otherwise stop evicting pods, or page somebody."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=3, standbyNode=standby_node)
        await asyncio.sleep(QUIET_SECONDS)

        nodes = await story.nodes()

        assert len(nodes) == (3 if standby_node == "Keep" else 0)
        assert not any(seen_as_unhealthy(node) for node in nodes)
        assert not any(is_schedulable(node) for node in nodes)
        assert not any(gets_traffic(node) for node in nodes)

    tell(plot)


@pytest.mark.parametrize("standby_node", ["Keep", "Remove"])
def test_a_node_in_service_counts_again(standby_node: str) -> None:
    """What kept the cluster quiet about it would hide it when it fails."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standbyNode=standby_node)
        await asyncio.sleep(QUIET_SECONDS)
        await story.add_pod()

        seconds = await story.wait_pod("Running")

        (node,) = [node for node in await story.nodes() if node.metadata.labels.get(labels.STATE) == "running"]
        assert is_schedulable(node) and gets_traffic(node)
        assert labels.EXCLUDE_DISRUPTION not in node.metadata.labels
        assert not has_taint(node, NOT_READY_TAINT)
        assert seconds < 60

    tell(plot)


def test_a_node_that_registers_anew_takes_pods_only_when_its_network_is_up() -> None:
    """It comes with the taints of its birth alone; the one that waits for the network has to be put there again."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standbyNode="Remove")
        await asyncio.sleep(QUIET_SECONDS)
        await story.add_pod()
        early: list[Node] = []

        async def runs() -> bool:
            for node in await story.nodes():
                up = any(c.reason == "CiliumIsUp" and c.status == "False" for c in node.status.conditions)
                if is_schedulable(node) and not has_taint(node, NOT_READY_TAINT) and not up:
                    early.append(node)
            return (await story.pod()).status.phase == "Running"

        await story.wait(runs, every=0.05)
        assert early == []
        assert (await story.wait_state(NodeState.RUNNING)).status.wakes_done == 1

    tell(plot)


def test_removed_nodes_come_and_go_with_their_machines() -> None:
    """A machine that is woken, parked and woken again is one node each time, and never a machine too many."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(size=1, standbyNode="Remove", scaleDown={"emptyNodeTTL": "30s"})
        for turn in range(3):
            await story.add_pod(f"job-{turn}", seconds=20)
            await story.wait_pod("Succeeded", f"job-{turn}")
            await story.wait_pool(lambda pool: pool.status.standby == 1)
            await asyncio.sleep(60)
            assert await story.nodes() == []
        assert story.calls()["launch"] == 1
        assert story.calls()["start"] == 3

    tell(plot)


TOLERATES_ALL: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}


@pytest.mark.parametrize(
    ("standby_node", "tolerant", "left"), [("Keep", False, 0), ("Keep", True, 2), ("Remove", True, 0)]
)
def test_daemon_sets_count_standby_nodes_only_where_they_tolerate_everything(
    standby_node: str, tolerant: bool, left: int
) -> None:
    """A DaemonSet that tolerates everything asks for a pod on every node, and misses those that sleep."""

    async def plot(story: Story) -> None:
        container = {"name": "main", "image": "logger:1"}
        spec = {"containers": [container], **(TOLERATES_ALL if tolerant else {})}
        template = {"metadata": {"labels": {"app": "logger"}}, "spec": spec}
        await story.client.create(
            DAEMON_SET,
            {
                "metadata": {"name": "logger", "namespace": "kube-system"},
                "spec": {"selector": {"matchLabels": {"app": "logger"}}, "template": template},
            },
        )
        await story.add_filled_pool(standby=2, standbyNode=standby_node)
        await asyncio.sleep(QUIET_SECONDS)

        uids = {pod.metadata.uid for pod in await pods_of(story, "logger")}
        assert len(uids) == left
        assert (await story.client.get(DAEMON_SET, "kube-system/logger")).status.desired_number_scheduled == left
        await asyncio.sleep(600)
        assert {pod.metadata.uid for pod in await pods_of(story, "logger")} == uids  # none is made and ended in vain

    tell(plot)
