"""Deployments from end to end: on the embedded server, with every other controller running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stratos.apis.deployment import DEPLOYMENT, Deployment
from stratos.apis.meta import find_condition
from stratos.apis.pod import POD
from stratos.apis.replicaset import REPLICA_SET
from stratos.kube.client import EventType, WatchEvent
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_active, is_ready
from workloads.small_cluster import SmallCluster, small_cluster, template, workload

WEB = "default/web"


def rolled_out(replicas: int) -> Callable[[Deployment], bool]:
    """What ``kubectl rollout status`` waits for."""

    def holds(deployment: Deployment) -> bool:
        status = deployment.status
        return (
            status.observed_generation == deployment.metadata.generation
            and status.updated_replicas == status.replicas == status.available_replicas == replicas
        )

    return holds


def reason(deployment: Deployment, type_: str = "Progressing") -> str | None:
    condition = find_condition(deployment.status.conditions, type_)
    return condition.reason if condition else None


async def set_image(cluster: SmallCluster, image: str) -> None:
    await cluster.client.patch(DEPLOYMENT, WEB, {"spec": {"template": template(image=image)}})


async def images(cluster: SmallCluster) -> list[str]:
    return sorted(pod.spec.containers[0].image for pod in await cluster.pods() if is_active(pod))


def test_a_deployment_brings_up_its_pods_and_says_so() -> None:
    """The plainest promise: what `kubectl rollout status` waits for comes true."""

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            await cluster.create(workload("Deployment", replicas=3))
            deployment = await cluster.wait(DEPLOYMENT, WEB, rolled_out(3))
            conditions = {each.type: (each.status, each.reason) for each in deployment.status.conditions}
            assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
            assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")
            assert deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
            assert len(await cluster.pods()) == 3

    run(story())


def test_a_rolling_update_keeps_its_bounds_at_every_moment() -> None:
    """Judged by every event of a watch, not by a look now and then."""
    ready_pods, all_pods = list[int](), list[int]()

    async def follow(cluster: SmallCluster) -> None:
        present = dict[str, Any]()
        async for event in cluster.client.watch(POD, namespace="default", send_initial_events=True):
            if isinstance(event, WatchEvent):
                present[event.object.metadata.name] = event.object
                if event.type is EventType.DELETED:
                    del present[event.object.metadata.name]
                active = [pod for pod in present.values() if is_active(pod)]
                all_pods.append(len(active))
                ready_pods.append(sum(is_ready(pod) for pod in active))

    async def story() -> None:
        async with small_cluster("a", "b") as cluster:
            rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
            await cluster.create(workload("Deployment", replicas=6, strategy=rolling))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(6))
            watching = asyncio.create_task(follow(cluster))
            await asyncio.sleep(0.1)
            all_pods.clear()
            ready_pods.clear()
            await set_image(cluster, "example.com/app:2")
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(6))
            watching.cancel()
            assert await images(cluster) == ["example.com/app:2"] * 6

    run(story())
    assert max(all_pods) <= 8
    assert min(ready_pods) >= 5


def test_undo_brings_back_the_old_replica_set_under_a_new_revision() -> None:
    """`kubectl rollout undo` writes the old template; the history must not grow a second entry for it."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=2))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(2))
            await set_image(cluster, "example.com/app:2")
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(2))
            await set_image(cluster, "example.com/app:1")
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(2))

            sets = (await cluster.client.list(REPLICA_SET, namespace="default")).items
            revisions = {
                each.spec.template["spec"]["containers"][0]["image"]: (
                    each.metadata.annotations["deployment.kubernetes.io/revision"],
                    each.metadata.annotations.get("deployment.kubernetes.io/revision-history"),
                )
                for each in sets
            }
            assert revisions == {"example.com/app:1": ("3", "1"), "example.com/app:2": ("2", None)}
            assert await images(cluster) == ["example.com/app:1"] * 2

    run(story())


def test_recreate_ends_the_last_old_pod_before_the_first_new_one_starts() -> None:
    """Some programs cannot run twice: two versions must never overlap, not even while one terminates."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=2, strategy={"type": "Recreate"}))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(2))
            await set_image(cluster, "example.com/app:2")
            versions_seen = set[frozenset[str]]()
            async with asyncio.timeout(60):
                while True:
                    versions_seen.add(frozenset(pod.spec.containers[0].image for pod in await cluster.pods()))
                    if rolled_out(2)(await cluster.client.get(DEPLOYMENT, WEB)):
                        break
                    await asyncio.sleep(0.05)
            assert frozenset({"example.com/app:1", "example.com/app:2"}) not in versions_seen
            assert await images(cluster) == ["example.com/app:2"] * 2

    run(story())


def test_a_rollout_that_never_serves_exceeds_its_deadline_and_keeps_the_old_pods() -> None:
    """A broken image must cost a warning, not the service."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=4, progressDeadlineSeconds=60))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(4))
            cluster.hosts.broken_images.add("example.com/app:broken")
            await set_image(cluster, "example.com/app:broken")
            late = await cluster.wait(DEPLOYMENT, WEB, lambda each: reason(each) == "ProgressDeadlineExceeded")
            assert late.status.available_replicas >= 3
            assert reason(late, "Available") == "MinimumReplicasAvailable"

    run(story())


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    """Pausing gathers several changes into one rollout; capacity must stay adjustable meanwhile."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=2))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(2))
            await cluster.client.patch(DEPLOYMENT, WEB, {"spec": {"paused": True}})
            await set_image(cluster, "example.com/app:2")
            await cluster.client.patch_scale(DEPLOYMENT, WEB, 4)
            paused = await cluster.wait(DEPLOYMENT, WEB, lambda each: each.status.available_replicas == 4)
            assert reason(paused) == "DeploymentPaused"
            assert await images(cluster) == ["example.com/app:1"] * 4

            await cluster.client.patch(DEPLOYMENT, WEB, {"spec": {"paused": False}})
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(4))
            assert await images(cluster) == ["example.com/app:2"] * 4

    run(story())


def test_history_beyond_its_limit_is_forgotten() -> None:
    """Each rollout leaves a ReplicaSet behind; without a limit they would pile up for ever."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=1, revisionHistoryLimit=1))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(1))
            for version in (2, 3, 4):
                await set_image(cluster, f"example.com/app:{version}")
                await cluster.wait(DEPLOYMENT, WEB, rolled_out(1))

            async def two_left() -> bool:
                return len((await cluster.client.list(REPLICA_SET, namespace="default")).items) == 2

            await cluster.wait_until(two_left)

    run(story())


def test_a_lost_pod_is_replaced_exactly_once() -> None:
    """However stale the watch, a ReplicaSet must not answer one loss with two pods."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(workload("Deployment", replicas=3))
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(3))
            first = (await cluster.pods())[0]
            await cluster.client.delete(POD, first.metadata.key, grace_seconds=0)
            await cluster.wait(DEPLOYMENT, WEB, lambda each: each.status.available_replicas < 3)
            await cluster.wait(DEPLOYMENT, WEB, rolled_out(3))
            pods = await cluster.pods()
            assert len(pods) == 3
            assert first.metadata.name not in {pod.metadata.name for pod in pods}

    run(story())


def test_orphans_that_match_are_adopted_and_those_relabelled_are_let_go() -> None:
    """People take a pod out of its set by a label, to look at it: the set must let go of it and replace it."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}}
            await cluster.client.create(POD, {**orphan, "spec": template()["spec"]})
            await cluster.create(workload("ReplicaSet", replicas=2))
            await cluster.wait(REPLICA_SET, WEB, lambda each: each.status.ready_replicas == 2)
            adopted = await cluster.client.get(POD, "default/orphan")
            assert adopted.metadata.controller is not None
            assert adopted.metadata.controller.name == "web"

            await cluster.client.patch(POD, "default/orphan", {"metadata": {"labels": {"app": "debugged"}}})
            released = await cluster.wait(POD, "default/orphan", lambda each: each.metadata.controller is None)
            assert is_active(released)

            async def replaced() -> bool:
                return len(await cluster.pods(labels="app=web")) == 2

            await cluster.wait_until(replaced)

    run(story())
