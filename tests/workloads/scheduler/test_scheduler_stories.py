"""The scheduler from end to end: real objects in an embedded server, in virtual time."""

import asyncio
from collections import Counter

import pytest

from stratos.apis.meta import find_condition
from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.base.errors import NotFound
from stratos.testing.virtual_time import run
from workloads.scheduler.scheduled_cluster import (
    STOP_SECONDS,
    patch_node,
    scheduled_cluster,
    scheduled_condition,
)

STANDBY = {"key": "stratos.sh/standby", "effect": "NoExecute"}


def test_a_hundred_pods_fill_their_nodes_and_the_rest_is_told_why() -> None:
    """A burst is placed without waiting for echoes, and no node is ever overfilled."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for index in range(10):
                await cluster.add_node(f"node-{index}", cpu="8")
            await cluster.add_node("standby", cpu="64", taints=[STANDBY])
            await asyncio.gather(*(cluster.add_pod(f"pod-{index}") for index in range(100)))
            async with asyncio.timeout(5):
                await cluster.pods.wait_until(
                    lambda pods: (
                        sum(bool(pod.spec.node_name) for pod in pods) == 80
                        and sum(pod.unschedulable for pod in pods) == 20
                    )
                )
            bound = Counter(pod.spec.node_name for pod in cluster.pods if pod.spec.node_name)
            assert bound == {f"node-{index}": 8 for index in range(10)}
            messages = {scheduled_condition(pod).message for pod in cluster.pods if pod.unschedulable}
            assert messages == {
                "0/11 nodes are available: 1 node(s) had untolerated taint {stratos.sh/standby: }, "
                "10 Insufficient cpu. preemption: 0/11 nodes are available: 1 Preemption is not helpful for "
                "scheduling, 10 No preemption victims found for incoming pod."
            }

    run(story())


def test_a_pod_is_told_at_once_and_bound_as_soon_as_a_node_can_take_it() -> None:
    """Nothing is polled: the moment the taint goes, the pod that waited for it is bound."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            loop = asyncio.get_running_loop()
            started = loop.time()
            await cluster.add_pod("pod")
            assert await cluster.wait_refused("pod") == "no nodes available to schedule pods"
            assert loop.time() - started < 0.01

            await cluster.add_node("node", taints=[STANDBY])
            await asyncio.sleep(20)
            await patch_node(cluster, "node", {"taints": None})
            untainted = loop.time()
            assert await cluster.wait_bound("pod") == "node"
            assert loop.time() - untainted < 0.01

            scheduled = await cluster.events("Scheduled")
            assert [event.message for event in scheduled] == ["Successfully assigned default/pod to node"]
            assert await cluster.events("FailedScheduling")

    run(story())


def test_room_left_by_one_pod_goes_to_the_next() -> None:
    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("node", cpu="1")
            await cluster.add_pod("first")
            await cluster.wait_bound("first")
            await cluster.add_pod("second")
            await cluster.wait_refused("second", saying="1 Insufficient cpu")

            await cluster.client.delete(POD, "default/first", grace_seconds=0)

            assert await cluster.wait_bound("second") == "node"

    run(story())


def test_a_gated_pod_waits_for_its_gates_and_nothing_else() -> None:
    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("node")
            await cluster.add_pod("pod", schedulingGates=[{"name": "example.com/quota"}])
            pod = await cluster.wait_pod("pod", lambda pod: bool(pod.status.conditions))
            assert scheduled_condition(pod).reason == "SchedulingGated"
            await asyncio.sleep(600)
            assert not (await cluster.client.get(POD, "default/pod")).spec.node_name

            await cluster.client.patch(POD, "default/pod", {"spec": {"schedulingGates": None}})

            assert await cluster.wait_bound("pod") == "node"

    run(story())


def test_an_important_pod_takes_the_place_of_a_lesser_one() -> None:
    """Victims leave politely, their place is kept meanwhile, and everybody can see what happened."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("node", cpu="1")
            await cluster.add_pod("lesser", priority=1)
            await cluster.wait_bound("lesser")
            await cluster.add_pod("important", priority=10)
            await cluster.add_pod("another", priority=1)

            nominated = await cluster.wait_pod("important", lambda pod: bool(pod.status.nominated_node_name))
            assert nominated.status.nominated_node_name == "node"
            victim = await cluster.wait_pod("lesser", lambda pod: pod.metadata.deletion_timestamp is not None)
            target = find_condition(victim.status.conditions, "DisruptionTarget")
            assert target is not None and target.reason == "PreemptionByScheduler"

            assert await cluster.wait_bound("important", within=STOP_SECONDS + 0.1) == "node"
            with pytest.raises(NotFound):
                await cluster.client.get(POD, "default/lesser")
            await cluster.wait_refused("another", saying="Insufficient cpu")
            preempted = await cluster.events("Preempted")
            assert [event.message for event in preempted] == [f"Preempted by pod {nominated.metadata.uid} on node node"]

    run(story())


def test_the_most_important_of_those_that_wait_comes_first() -> None:
    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for index in range(3):
                await cluster.add_pod(f"low-{index}", priority=0)
            await cluster.add_pod("high", priority=10)
            await cluster.wait_refused("high")
            await asyncio.sleep(5)

            await cluster.add_node("node", cpu="1")

            assert await cluster.wait_bound("high") == "node"
            assert sum(bool(pod.spec.node_name) for pod in cluster.pods) == 1

    run(story())


def test_a_pod_that_follows_another_is_bound_when_that_one_comes() -> None:
    """Affinity to a pod that does not exist yet is a wish the scheduler remembers."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for zone in ("a", "b"):
                await cluster.add_node(f"node-{zone}", labels={"topology.kubernetes.io/zone": zone})
            term = {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "db"}}}
            affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
            await cluster.add_pod("client", affinity=affinity)
            await cluster.wait_refused("client", saying="2 node(s) didn't match pod affinity rules")
            await asyncio.sleep(2)

            await cluster.add_pod("db", labels={"app": "db"}, nodeSelector={"topology.kubernetes.io/zone": "b"})

            assert await cluster.wait_bound("client") == "node-b"

    run(story())


def test_pods_of_another_scheduler_are_left_alone() -> None:
    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("node")
            await cluster.add_pod("theirs", schedulerName="somebody-else")
            await cluster.add_pod("ours")
            await cluster.wait_bound("ours")
            await asyncio.sleep(60)

            theirs = await cluster.client.get(POD, "default/theirs")

            assert not theirs.spec.node_name
            assert theirs.status.conditions == ()

    run(story())


def test_a_node_that_leaves_takes_its_room_along() -> None:
    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("gone")
            await cluster.add_node("stays", cpu="1")
            await cluster.client.delete(NODE, "gone")
            await cluster.add_pod("first")
            assert await cluster.wait_bound("first") == "stays"
            await cluster.add_pod("second")

            assert (await cluster.wait_refused("second")).startswith("0/1 nodes are available: 1 Insufficient cpu.")

    run(story())


def test_waiting_pods_are_not_written_to_again_while_nothing_changes() -> None:
    """A pod that waits for days must not cost a write every few minutes."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            await cluster.add_node("node", cpu="1")
            await cluster.add_pod("big", cpu="2")
            await cluster.wait_refused("big")
            version = (await cluster.client.get(POD, "default/big")).metadata.resource_version

            await asyncio.sleep(24 * 3600)

            assert (await cluster.client.get(POD, "default/big")).metadata.resource_version == version

    run(story())


def test_a_pod_waits_for_its_claim_and_then_goes_where_its_volume_is() -> None:
    """A pod bound away from its disk would never start."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for zone in ("a", "b"):
                await cluster.add_node(f"node-{zone}", labels={"topology.kubernetes.io/zone": zone})
            volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
            await cluster.add_pod("pod", volumes=volumes)
            message = await cluster.wait_refused("pod")
            assert message == '0/2 nodes are available: persistentvolumeclaim "data" not found.'

            await cluster.add_volume("disk", zone="b")
            await cluster.add_claim("data", volume="disk")

            assert await cluster.wait_bound("pod") == "node-b"

    run(story())


def test_pods_kept_away_by_another_may_come_anywhere_once_it_has_left() -> None:
    """The one that wanted to be alone was on another node of the zone: its leaving frees them all."""

    async def story() -> None:
        async with scheduled_cluster() as cluster:
            for name in ("node-1", "node-2"):
                await cluster.add_node(name, labels={"topology.kubernetes.io/zone": "a"})
            term = {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "web"}}}
            alone = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
            await cluster.add_pod("alone", affinity=alone, nodeSelector={"kubernetes.io/hostname": "node-1"})
            await cluster.wait_bound("alone")
            await cluster.add_pod("web", labels={"app": "web"}, nodeSelector={"kubernetes.io/hostname": "node-2"})
            await cluster.wait_refused("web", saying="didn't satisfy existing pods anti-affinity rules")

            await cluster.client.delete(POD, "default/alone", grace_seconds=0)

            assert await cluster.wait_bound("web") == "node-2"

    run(story())
