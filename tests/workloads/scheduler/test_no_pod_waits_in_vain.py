"""The scheduler wakes a waiting pod only when a change could help it. That must never be too seldom."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planning.scheduling.scheduling_strategies import nodes, pods
from stratos.apis.node import NODE, Node
from stratos.apis.pod import POD, Pod
from stratos.base.errors import AlreadyExists, Invalid, NotFound
from stratos.base.quantity import resource_amount
from stratos.testing.slow_scheduling import World, why_not
from stratos.testing.virtual_time import run
from workloads.scheduler.scheduled_cluster import ScheduledCluster, patch_node, scheduled_cluster

LONGEST_BACKOFF_SECONDS = 10.0
STEPS = ["node", "node", "pod", "pod", "pod", "delete pod", "delete node", "cordon", "uncordon"]


async def add_node(cluster: ScheduledCluster, node: Node) -> None:
    # A server gives no node taints that only occur in thought: one of each key and effect.
    await cluster.client.create(NODE, msgspec.to_builtins(node))
    status = {"status": msgspec.to_builtins(node.status)}
    await cluster.client.patch(NODE, node.metadata.name, status, subresource="status")


async def add_pod(cluster: ScheduledCluster, pod: Pod) -> None:
    manifest = msgspec.to_builtins(pod)
    manifest["metadata"] = {"name": pod.metadata.name, "namespace": "default", "labels": pod.metadata.labels}
    manifest["spec"]["priority"] = 0
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(manifest["spec"].get(kind, ())):
            container |= {"name": f"{kind.lower()}-{index}", "image": "example.com/app:1"}
    await cluster.client.create(POD, manifest)


async def take_step(cluster: ScheduledCluster, step: str, node: Node, pod: Pod) -> None:
    name = node.metadata.name
    try:
        match step:
            case "node":
                await add_node(cluster, node)
            case "pod":
                await add_pod(cluster, pod)
            case "delete pod":
                await cluster.client.delete(POD, f"default/{pod.metadata.name}", grace_seconds=0)
            case "delete node":
                await cluster.client.delete(NODE, name)
            case "cordon":
                await patch_node(cluster, name, {"unschedulable": True})
            case "uncordon":
                await patch_node(cluster, name, {"unschedulable": None})
    except (AlreadyExists, NotFound):
        pass  # chance proposed what makes no sense now
    except Invalid:
        pass  # or what no server would store


def overfilled(world: World) -> list[str]:
    found = []
    for node in world.nodes:
        for resource, allocatable in node.status.allocatable.items():
            wanted = sum(
                resource_amount(resource, (container.resources.requests or {}).get(resource, 0))
                for pod in world.pods_on(node)
                for container in pod.spec.containers
            )
            if resource != "pods" and wanted > resource_amount(resource, allocatable):
                found.append(f"{node.metadata.name}: {resource}")
    return found


Step = tuple[str, float, Node, Pod]
STEP = st.tuples(
    st.sampled_from(STEPS),
    st.sampled_from([0.0, 0.0, 0.5, 3.0]),
    st.integers(0, 2).flatmap(lambda index: nodes(f"node-{index}")),
    st.integers(0, 5).flatmap(lambda index: pods(f"pod-{index}")),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(STEP, min_size=3, max_size=16))
def test_once_all_is_quiet_every_pod_runs_or_truly_cannot(steps: Sequence[Step]) -> None:
    """No wake-up is lost, whatever the order of events, and no node is promised more than it has."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for step, pause, node, pod in steps:
                await take_step(cluster, step, node, pod)
                await asyncio.sleep(pause)
            await asyncio.sleep(2 * LONGEST_BACKOFF_SECONDS)
            seen = [node async for node in cluster.client.list_all(NODE)]
            names = {node.metadata.name for node in seen}
            every_pod = [pod async for pod in cluster.client.list_all(POD)]
            world = World(seen, [pod for pod in every_pod if pod.spec.node_name in names])
            assert overfilled(world) == []
            for pod in every_pod:
                if not pod.spec.node_name:
                    assert pod.unschedulable
                    assert [node.metadata.name for node in seen if not why_not(pod, node, world)] == []

    run(story())
