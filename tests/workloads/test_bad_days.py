"""Writes get lost, and so do answers to writes that were carried out: everything must still end as it was wished."""

from __future__ import annotations

import asyncio
import random

import pytest

from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.deployment import DEPLOYMENT, Deployment
from stratos.apis.job import COMPLETION_INDEX, JOB, Job
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import NAMESPACE
from stratos.apis.pod import POD
from stratos.apis.replicaset import REPLICA_SET
from stratos.apis.statefulset import STATEFUL_SET
from stratos.kube.client import EventType, WatchEvent
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_active
from workloads.small_cluster import SmallCluster, job, small_cluster, template, workload


def is_complete(each: Job) -> bool:
    return is_condition_true(each.status.conditions, "Complete")


def rolled_out_to_five(each: Deployment) -> bool:
    return each.status.updated_replicas == each.status.available_replicas == each.status.replicas == 5


@pytest.mark.parametrize("one_in", [3, 6])
def test_all_workloads_arrive_although_writes_are_lost(one_in: int) -> None:
    """Every controller plans from what is there, so nothing depends on an answer having arrived."""

    async def story() -> None:
        async with small_cluster("a", "b", lose_one_write_in=one_in) as cluster:
            apps = {"Deployment": "web", "StatefulSet": "db", "DaemonSet": "agent"}
            for kind, name in apps.items():
                body = workload(kind, name, pods=template(app=name), selector={"matchLabels": {"app": name}})
                if kind != "DaemonSet":
                    body["spec"]["replicas"] = 4
                if kind == "StatefulSet":
                    body["spec"]["serviceName"] = name
                await cluster.create(body)
            await cluster.create(job(completions=4, parallelism=2, completionMode="Indexed"))
            await cluster.wait(DEPLOYMENT, "default/web", lambda each: each.status.available_replicas == 4)
            await cluster.wait(STATEFUL_SET, "default/db", lambda each: each.status.available_replicas == 4)
            await cluster.wait(DAEMON_SET, "default/agent", lambda each: each.status.number_available == 2)
            await cluster.wait(JOB, "default/work", is_complete)

            await cluster.client.patch(
                DEPLOYMENT, "default/web", {"spec": {"template": template(image="example.com/app:2")}}
            )
            await cluster.wait(DEPLOYMENT, "default/web", lambda each: each.status.updated_replicas == 4)

            async def exactly_what_was_asked_for() -> bool:
                running = [pod for pod in await cluster.pods() if is_active(pod)]
                images = [pod.spec.containers[0].image for pod in running if pod.metadata.labels["app"] == "web"]
                return len(running) == 10 and images == ["example.com/app:2"] * 4

            await cluster.wait_until(exactly_what_was_asked_for)

    run(story())


def test_a_namespace_ends_although_writes_are_lost() -> None:
    async def story() -> None:
        async with small_cluster("a", lose_one_write_in=3) as cluster:
            await cluster.client.create(NAMESPACE, {"metadata": {"name": "team"}})
            body = workload("Deployment", replicas=3)
            body["metadata"]["namespace"] = "team"
            await cluster.create(body)
            await cluster.wait(DEPLOYMENT, "team/web", lambda each: each.status.available_replicas == 3)
            await cluster.client.delete(NAMESPACE, "team")
            await cluster.wait_until(lambda: cluster.is_gone(NAMESPACE, "team"))
            assert await cluster.pods("team") == []

    run(story())


@pytest.mark.parametrize("seed", range(4))
def test_controllers_that_crash_again_and_again_still_finish_the_rollout(seed: int) -> None:
    """What they know they read from the API: a new process goes on where the old one stopped."""
    moments = random.Random(seed)

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await cluster.create(workload("Deployment", replicas=5))
            await cluster.create(job(completions=6, parallelism=2, completionMode="Indexed"))
            for _ in range(12):
                await asyncio.sleep(moments.choice([0.0, 0.01, 0.4, 1.1, 2.0]))
                await cluster.stop_controllers()
                cluster.start_controllers()
            await cluster.client.patch(
                DEPLOYMENT, "default/web", {"spec": {"template": template(image="example.com/app:2")}}
            )
            for _ in range(6):
                await asyncio.sleep(moments.choice([0.0, 0.01, 0.4, 1.1]))
                await cluster.stop_controllers()
                cluster.start_controllers()
            await cluster.wait(
                DEPLOYMENT,
                "default/web",
                lambda each: (
                    each.status.updated_replicas == each.status.available_replicas == each.status.replicas == 5
                ),
            )
            done = await cluster.wait(
                JOB, "default/work", lambda each: is_condition_true(each.status.conditions, "Complete")
            )
            assert (done.status.succeeded, done.status.completed_indexes) == (6, "0-5")
            indexes = [pod.metadata.annotations.get(COMPLETION_INDEX) for pod in await cluster.pods(labels="app=work")]
            assert sorted(str(index) for index in indexes) == [str(index) for index in range(6)]

    run(story())


def test_however_old_their_sight_is_controllers_create_and_delete_exactly_what_is_needed() -> None:
    """They hear of their own writes three seconds late, and must not make up for it by doing things twice."""
    born, told_to_leave = set[str](), set[str]()

    async def follow(cluster: SmallCluster) -> None:
        async for event in cluster.client.watch(POD, namespace="default", send_initial_events=True):
            if isinstance(event, WatchEvent):
                born.add(event.object.metadata.uid)
                if event.object.metadata.deletion_timestamp or event.type is EventType.DELETED:
                    told_to_leave.add(event.object.metadata.uid)

    async def story() -> None:
        async with small_cluster("a", "b", hear_late_seconds=3.0) as cluster:
            watching = asyncio.create_task(follow(cluster))
            await cluster.create(workload("ReplicaSet", replicas=8))
            await cluster.create(job(completions=6, parallelism=3))
            await cluster.wait(REPLICA_SET, "default/web", lambda each: each.status.ready_replicas == 8)
            await cluster.wait(JOB, "default/work", is_complete)
            assert (len(born), len(told_to_leave)) == (8 + 6, 0)

            await cluster.client.patch_scale(REPLICA_SET, "default/web", 3)
            await cluster.wait(REPLICA_SET, "default/web", lambda each: each.status.replicas == 3)
            await asyncio.sleep(60)
            assert (len(born), len(told_to_leave)) == (8 + 6, 5)
            assert cluster.controllers.deletions == 5
            watching.cancel()

    run(story())


def test_a_run_is_the_same_twice() -> None:
    """One seed replays one bad day: the same names, on the same nodes, at the same versions."""

    async def story() -> list[tuple[str, str, str]]:
        async with small_cluster("a", "b", lose_one_write_in=5) as cluster:
            await cluster.create(workload("Deployment", replicas=5))
            await cluster.wait(DEPLOYMENT, "default/web", lambda each: each.status.available_replicas == 5)
            return [
                (pod.metadata.name, pod.spec.node_name, pod.metadata.resource_version) for pod in await cluster.pods()
            ]

    assert run(story()) == run(story())
