"""Pods whose node falls silent, is tainted or goes; and who may be evicted, and who is reachable."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import find_condition
from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET, PodDisruptionBudget
from stratos.apis.service import ENDPOINT_SLICE, ENDPOINTS
from stratos.base.errors import Throttled
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_active, is_ready
from workloads.small_cluster import SmallCluster, small_cluster, template, workload

WEB = "default/web"


async def a_running_deployment(cluster: SmallCluster, replicas: int = 2, **spec: Any) -> None:
    await cluster.create(workload("Deployment", replicas=replicas, pods=template(**spec)))
    await cluster.wait(DEPLOYMENT, WEB, lambda each: each.status.available_replicas == replicas)


def test_a_silent_node_turns_unknown_and_its_pods_move_when_their_patience_ends() -> None:
    """Forty seconds without a heartbeat; then each pod stays as long as it tolerates, and runs elsewhere."""
    patience = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await a_running_deployment(cluster, tolerations=patience)
            cluster.hosts.silent.add("a")
            silent_at = cluster.clock.monotonic()
            node = await cluster.wait(NODE, "a", lambda each: bool(each.spec.taints))
            assert 30 <= cluster.clock.monotonic() - silent_at <= 52
            ready = find_condition(node.status.conditions, "Ready")
            assert ready is not None
            assert ready.status == "Unknown"
            assert {(taint.key, taint.effect) for taint in node.spec.taints or ()} == {
                ("node.kubernetes.io/unreachable", "NoSchedule"),
                ("node.kubernetes.io/unreachable", "NoExecute"),
            }
            await asyncio.sleep(1)
            assert sorted(pod.spec.node_name for pod in await cluster.pods() if is_ready(pod)) == ["b"]
            tainted_at = cluster.clock.monotonic()

            async def evicted() -> bool:
                return any(pod.metadata.deletion_timestamp for pod in await cluster.pods())

            await cluster.wait_until(evicted)
            assert 58 <= cluster.clock.monotonic() - tainted_at <= 61

            cluster.hosts.silent.discard("a")
            healed = await cluster.wait(NODE, "a", lambda each: not each.spec.taints)
            condition = find_condition(healed.status.conditions, "Ready")
            assert condition is not None
            assert condition.status == "True"

    run(story())


def test_a_standby_taint_ends_the_pods_that_do_not_tolerate_it_at_once() -> None:
    """A machine about to be parked has to be empty; daemons that tolerate the taint may stay."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await a_running_deployment(cluster, replicas=1)
            tolerant = template(tolerations=[{"key": "stratos.sh/standby", "operator": "Exists"}])
            stays = {"metadata": {"name": "stays", "namespace": "default"}, "spec": tolerant["spec"]}
            await cluster.client.create(POD, stays)
            await cluster.wait(POD, "default/stays", is_ready)
            before = {pod.metadata.name for pod in await cluster.pods(labels="app=web")}
            taints = [{"key": "stratos.sh/standby", "effect": "NoExecute"}]
            await cluster.client.patch(NODE, "a", {"spec": {"taints": taints}})

            async def ended() -> bool:
                return not before & {pod.metadata.name for pod in await cluster.pods(labels="app=web")}

            await cluster.wait_until(ended, within=5)
            assert is_active(await cluster.client.get(POD, "default/stays"))

    run(story())


def test_bare_pods_of_a_removed_node_are_ended_by_force() -> None:
    """Nobody is left there to confirm their end."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.client.create(
                POD, {"metadata": {"name": "bare", "namespace": "default"}, "spec": template()["spec"]}
            )
            await cluster.wait(POD, "default/bare", is_ready)
            cluster.hosts.silent.add("a")
            await cluster.client.delete(NODE, "a")
            await cluster.wait_until(lambda: cluster.is_gone(POD, "default/bare"))

    run(story())


def test_pods_of_a_node_that_went_unseen_are_ended_too() -> None:
    """A controller that was away when the node went gets no news of it: it has to look for itself."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.client.create(
                POD, {"metadata": {"name": "bare", "namespace": "default"}, "spec": template()["spec"]}
            )
            await cluster.wait(POD, "default/bare", is_ready)
            await cluster.stop_controllers()
            cluster.hosts.silent.add("a")
            await cluster.client.delete(NODE, "a")
            cluster.controllers.later_seconds["/api/v1/nodes"] = 1.0  # pods are known before nodes are
            cluster.start_controllers()
            await cluster.wait_until(lambda: cluster.is_gone(POD, "default/bare"))

    run(story())


def budget(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def allows(count: int, each: PodDisruptionBudget) -> bool:
    return each.status.observed_generation > 0 and each.status.disruptions_allowed == count


def test_evictions_are_granted_one_by_one_as_replacements_serve() -> None:
    """The budget counts an evicted pod as gone from the moment it is granted, not when it is seen to be gone."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await a_running_deployment(cluster, replicas=3)
            await cluster.client.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
            seen = await cluster.wait(POD_DISRUPTION_BUDGET, WEB, lambda each: allows(1, each))
            assert (seen.status.expected_pods, seen.status.desired_healthy, seen.status.current_healthy) == (3, 2, 3)

            first, second, _ = await cluster.pods()
            await cluster.client.evict(first.metadata.key)
            with pytest.raises(Throttled, match="disruption budget"):
                await cluster.client.evict(second.metadata.key)
            await cluster.wait(POD_DISRUPTION_BUDGET, WEB, lambda each: each.status.current_healthy == 2)
            restored = await cluster.wait(POD_DISRUPTION_BUDGET, WEB, lambda each: allows(1, each))
            assert restored.status.disrupted_pods == {}
            await cluster.client.evict(second.metadata.key)

    run(story())


def test_a_service_is_answered_by_its_ready_pods_alone() -> None:
    """A pod that is not ready must not be sent traffic, and one that becomes ready must be."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(service)
            cluster.hosts.broken_images.add("example.com/app:broken")
            await a_running_deployment(cluster, replicas=2)
            broken = {"name": "broken", "namespace": "default", "labels": {"app": "web"}}
            spec = template(image="example.com/app:broken")["spec"]
            await cluster.client.create(POD, {"metadata": broken, "spec": spec})

            async def three_known() -> bool:
                slices = (await cluster.client.list(ENDPOINT_SLICE, namespace="default")).items
                return [len(each.endpoints or ()) for each in slices] == [3]

            await cluster.wait_until(three_known)
            (slice_,) = (await cluster.client.list(ENDPOINT_SLICE, namespace="default")).items
            assert sorted(bool(each.conditions.ready) for each in slice_.endpoints or ()) == [False, True, True]
            assert [(port.name, port.port) for port in slice_.ports or ()] == [("http", 8080)]
            subsets = (await cluster.client.get(ENDPOINTS, WEB)).subsets or ()
            assert [(len(each.addresses or ()), len(each.not_ready_addresses or ())) for each in subsets] == [(2, 1)]

    run(story())
