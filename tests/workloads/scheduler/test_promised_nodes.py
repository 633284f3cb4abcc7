"""Nodes that somebody else keeps for a pod: whoever makes a node nominates the pods it was made for."""

from __future__ import annotations

import asyncio

from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.testing.virtual_time import run
from workloads.scheduler.scheduled_cluster import ScheduledCluster, scheduled_cluster

_CLOSED = [{"key": "stratos.sh/standby", "effect": "NoExecute"}]


async def _promise(cluster: ScheduledCluster, pod: str, node: str) -> None:
    patch = {"status": {"nominatedNodeName": node}}
    await cluster.client.patch(POD, f"default/{pod}", patch, subresource="status")


async def _open(cluster: ScheduledCluster, node: str) -> None:
    await cluster.client.patch(NODE, node, {"spec": {"taints": None}})


def test_pods_go_to_the_nodes_that_were_made_for_them_and_nobody_takes_their_room() -> None:
    """Spread evenly, as schedulers like it, the small ones would leave no node with room for the big one."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            plan = {"small-1": "one", "small-2": "one", "big": "two"}
            for pod in plan:
                await cluster.add_pod(pod, cpu="2" if pod == "big" else "1")
                await cluster.wait_refused(pod)
            for node in ("one", "two"):
                await cluster.add_node(node, cpu="2", taints=_CLOSED)
            for pod, node in plan.items():
                await _promise(cluster, pod, node)
            await cluster.add_pod("latecomer", cpu="1")

            for node in ("two", "one"):
                await _open(cluster, node)

            assert {pod: await cluster.wait_bound(pod) for pod in plan} == plan
            await cluster.wait_refused("latecomer", saying="Insufficient cpu")

    run(story())


def test_a_promise_holds_while_its_node_is_still_closed() -> None:
    """Whatever else brings the pod up in the meantime must not cost it its place."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_pod("early")
            await cluster.wait_refused("early")
            await cluster.add_node("made-for-it", cpu="1", taints=_CLOSED)
            await _promise(cluster, "early", "made-for-it")
            await cluster.add_node("full", cpu="100m")
            await asyncio.sleep(60)
            pod = await cluster.client.get(POD, "default/early")
            assert pod.status.nominated_node_name == "made-for-it"

            await _open(cluster, "made-for-it")

            assert await cluster.wait_bound("early") == "made-for-it"

    run(story())


def test_a_promise_binds_nobody_when_there_is_room_elsewhere() -> None:
    """A pod does not wait for its node if another one will do now."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_pod("pod")
            await cluster.wait_refused("pod")
            await cluster.add_node("made-for-it", taints=_CLOSED)
            await _promise(cluster, "pod", "made-for-it")

            await cluster.add_node("other")

            assert await cluster.wait_bound("pod") == "other"

    run(story())


def test_pods_that_spread_are_let_on_the_nodes_that_were_made_for_them_all() -> None:
    """Those to come do even it out, each on its own node: counting a node's share alone would keep all of them off."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            spread = [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ]
            for index in range(6):
                await cluster.add_pod(f"web-{index}", labels={"app": "web"}, topologySpreadConstraints=spread)
                await cluster.wait_refused(f"web-{index}")
            for node in ("one", "two"):
                await cluster.add_node(node, taints=_CLOSED)
            for index in range(6):
                await _promise(cluster, f"web-{index}", "one" if index < 3 else "two")

            for node in ("one", "two"):
                await _open(cluster, node)

            nodes = [await cluster.wait_bound(f"web-{index}") for index in range(6)]
            assert nodes.count("one") == 3
            assert nodes.count("two") == 3

    run(story())


def test_pods_that_ask_for_the_same_trade_places_instead_of_waiting_for_each_other() -> None:
    """Whoever is tried first may not go to its own node yet, because of the spread; its like's will do as well."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            spread = [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ]
            pods = [f"web-{index}" for index in range(20)]
            for pod in pods:
                await cluster.add_pod(pod, labels={"app": "web"}, topologySpreadConstraints=spread)
                await cluster.wait_refused(pod)
            for zone in ("a", "b"):
                await cluster.add_node(zone, cpu="10", taints=_CLOSED, labels={"topology.kubernetes.io/zone": zone})
            for index, pod in enumerate(pods):
                await _promise(cluster, pod, "a" if index < 10 else "b")
            await asyncio.sleep(20)

            for node in ("a", "b"):
                await _open(cluster, node)

            nodes = [await cluster.wait_bound(pod, within=11) for pod in pods]
            assert nodes.count("a") == nodes.count("b") == 10

    run(story())
