"""The scheduler wakes a waiting pod only when a change could help it. That must never be too seldom."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.base.errors import AlreadyExists, NotFound
from stratos.base.quantity import resource_amount
from stratos.testing.slow_scheduling import World, why_not
from stratos.testing.virtual_time import run
from workloads.scheduler.scheduled_cluster import ScheduledCluster, patch_node, scheduled_cluster

LONGEST_BACKOFF_SECONDS = 10.0
ZONE = "topology.kubernetes.io/zone"
WEB_IN_ZONE = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "web"}}}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

# Each kind waits for something else: room, a label, company, distance, a level spread, a port.
KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "small": ("1", {}),
    "big": ("3", {}),
    "zonal": ("1", {"nodeSelector": {ZONE: "b"}}),
    "follower": ("500m", {"affinity": {"podAffinity": {_REQUIRED: [WEB_IN_ZONE]}}}),
    "loner": ("500m", {"affinity": {"podAntiAffinity": {_REQUIRED: [WEB_IN_ZONE]}}}),
    "web": (
        "1",
        {
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": ZONE,
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ]
        },
    ),
    "tolerant": ("1", {"tolerations": [{"key": "standby", "operator": "Exists"}], "nodeSelector": {"pool": "warm"}}),
}

STEPS = st.one_of(
    st.tuples(st.just("add pod"), st.integers(0, 9), st.sampled_from(sorted(KINDS))),
    st.tuples(st.just("add pod"), st.integers(0, 9), st.sampled_from(sorted(KINDS))),
    st.tuples(st.just("delete pod"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("add node"), st.integers(0, 3), st.sampled_from(["a", "b"])),
    st.tuples(st.just("delete node"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("cordon"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("uncordon"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("rezone"), st.integers(0, 3), st.sampled_from(["a", "b"])),
)


async def take(cluster: ScheduledCluster, step: str, number: int, detail: str) -> None:
    node, pod = f"node-{number}", f"pod-{number}"
    try:
        match step:
            case "add pod":
                cpu, spec = KINDS[detail]
                labels = {"app": "web"} if detail == "web" else {}
                await cluster.add_pod(pod, cpu=cpu, labels=labels, **spec)
            case "delete pod":
                await cluster.client.delete(POD, f"default/{pod}", grace_seconds=0)
            case "add node":
                taints = [{"key": "standby", "effect": "NoSchedule"}] if number == 3 else []
                pool = {"pool": "warm"} if number == 3 else {}
                await cluster.add_node(node, cpu="4", labels={ZONE: detail, **pool}, taints=taints)
            case "delete node":
                await cluster.client.delete(NODE, node)
            case "cordon":
                await patch_node(cluster, node, {"unschedulable": True})
            case "uncordon":
                await patch_node(cluster, node, {"unschedulable": None})
            case "rezone":
                await cluster.client.patch(NODE, node, {"metadata": {"labels": {ZONE: detail}}})
    except (AlreadyExists, NotFound):
        pass  # chance proposed what makes no sense now


def overfilled(world: World) -> list[str]:
    """Nodes that were promised more CPU than they have."""

    def wanted(node_name: str) -> int:
        return sum(
            resource_amount("cpu", (container.resources.requests or {})["cpu"])
            for pod in world.pods
            if pod.spec.node_name == node_name
            for container in pod.spec.containers
        )

    return [node.metadata.name for node in world.nodes if wanted(node.metadata.name) > 4000]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(STEPS, st.sampled_from([0.0, 0.0, 0.5, 3.0])), min_size=20, max_size=40),
)
def test_once_all_is_quiet_every_pod_runs_or_truly_cannot(
    steps: Sequence[tuple[tuple[str, int, str], float]],
) -> None:
    """No wake-up is lost, whatever the order of events, and no node is promised more than it has."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for number, zone in enumerate("ab"):
                await take(cluster, "add node", number, zone)
            for (step, number, detail), pause in steps:
                await take(cluster, step, number, detail)
                await asyncio.sleep(pause)
            await asyncio.sleep(2 * LONGEST_BACKOFF_SECONDS)
            nodes = [node async for node in cluster.client.list_all(NODE)]
            pods = [pod async for pod in cluster.client.list_all(POD)]
            world = World(nodes, [pod for pod in pods if pod.spec.node_name])
            assert overfilled(world) == []
            for pod in pods:
                if not pod.spec.node_name:
                    assert pod.unschedulable
                    assert [node.metadata.name for node in nodes if not why_not(pod, node, world)] == []

    run(story())
