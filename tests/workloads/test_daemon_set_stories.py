"""DaemonSets from end to end: the right nodes, always, and updates node by node."""

from __future__ import annotations

from typing import Any

from stratos.apis.daemonset import DAEMON_SET, DaemonSet
from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_active
from workloads.small_cluster import SmallCluster, small_cluster, template, workload

AGENT = "default/agent"


def daemon_set(**spec: Any) -> dict[str, Any]:
    return workload("DaemonSet", "agent", **spec)


def up(nodes: int, daemon_set: DaemonSet) -> bool:
    status = daemon_set.status
    return (
        status.observed_generation == daemon_set.metadata.generation
        and status.desired_number_scheduled == status.number_available == status.updated_number_scheduled == nodes
    )


async def nodes_with_pods(cluster: SmallCluster) -> list[str]:
    return sorted(pod.spec.node_name for pod in await cluster.pods() if is_active(pod))


def test_every_node_gets_one_pod_also_those_that_come_later() -> None:
    """A node without its agents is not usable: new nodes must not wait for anybody."""

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await cluster.create(daemon_set())
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(2, each))
            await cluster.hosts.add_node("c")
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(3, each))
            assert await nodes_with_pods(cluster) == ["a", "b", "c"]

    run(story())


def test_only_nodes_that_fit_are_served_and_a_node_that_stops_fitting_loses_its_pod() -> None:
    """Selectors decide, for pods that run already too."""

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await cluster.client.patch(NODE, "a", {"metadata": {"labels": {"gpu": "yes"}}})
            await cluster.create(daemon_set(pods=template(nodeSelector={"gpu": "yes"})))
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(1, each))
            assert await nodes_with_pods(cluster) == ["a"]
            await cluster.client.patch(NODE, "b", {"metadata": {"labels": {"gpu": "yes"}}})
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(2, each))
            await cluster.client.patch(NODE, "a", {"metadata": {"labels": {"gpu": None}}})

            async def moved() -> bool:
                return await nodes_with_pods(cluster) == ["b"]

            await cluster.wait_until(moved)

    run(story())


def test_standby_nodes_get_no_daemon_pods_but_cordoned_ones_keep_theirs() -> None:
    """A NoExecute taint that is not tolerated keeps daemons off; an unschedulable node still needs its agents."""

    async def story() -> None:
        async with small_cluster("cordoned", "standby") as cluster:
            standby = [{"key": "stratos.sh/standby", "effect": "NoExecute"}]
            await cluster.client.patch(NODE, "standby", {"spec": {"taints": standby}})
            await cluster.create(daemon_set())
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(1, each))
            await cluster.client.patch(NODE, "cordoned", {"spec": {"unschedulable": True}})
            await cluster.wait(NODE, "cordoned", lambda each: bool(each.spec.taints))
            assert await nodes_with_pods(cluster) == ["cordoned"]

    run(story())


def test_an_update_replaces_one_node_at_a_time() -> None:
    """The default budget is one node without its agent."""

    async def story() -> None:
        async with small_cluster("a", "b", "c") as cluster:
            await cluster.create(daemon_set())
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(3, each))
            await cluster.client.patch(DAEMON_SET, AGENT, {"spec": {"template": template(image="example.com/app:2")}})
            fewest = 3

            async def done() -> bool:
                nonlocal fewest
                seen = await cluster.client.get(DAEMON_SET, AGENT)
                serving = [pod for pod in await cluster.pods() if is_active(pod) and pod.status.phase == "Running"]
                fewest = min(fewest, len(serving))
                return up(3, seen)

            await cluster.wait_until(done)
            assert fewest == 2
            assert {pod.spec.containers[0].image for pod in await cluster.pods()} == {"example.com/app:2"}

    run(story())


def test_failed_daemon_pods_are_replaced_ever_more_slowly() -> None:
    """A daemon that fails at once on some node must not turn into a stream of pods."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            failing = template(annotations={"exit-code": "1", "run-seconds": "2"})
            await cluster.create(daemon_set(pods=failing))
            names = set[str]()

            async def a_minute() -> bool:
                names.update(pod.metadata.name for pod in await cluster.pods())
                return cluster.clock.monotonic() > 120

            await cluster.wait_until(a_minute)
            assert 4 <= len(names) <= 7

    run(story())


def test_pods_of_a_removed_node_are_removed_too() -> None:
    """The object of a dead machine goes, and nothing may claim to run there."""

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await cluster.create(daemon_set())
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(2, each))
            await cluster.client.delete(NODE, "b")
            await cluster.wait(DAEMON_SET, AGENT, lambda each: up(1, each))

            async def gone() -> bool:
                pods = await cluster.client.list(POD)
                return [pod.spec.node_name for pod in pods.items] == ["a"]

            await cluster.wait_until(gone)

    run(story())
