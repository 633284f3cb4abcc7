"""StatefulSets from end to end: names, order, storage and partitions."""

from __future__ import annotations

import asyncio
from typing import Any

from stratos.apis.meta import Kind, KubeObject
from stratos.apis.pod import POD
from stratos.apis.statefulset import STATEFUL_SET, StatefulSet
from stratos.apis.workload import CONTROLLER_REVISION
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_ready
from workloads.small_cluster import SmallCluster, small_cluster, template, workload

WEB = "default/web"
CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, KubeObject)


def stateful_set(**spec: Any) -> dict[str, Any]:
    return workload("StatefulSet", serviceName="web", **spec)


def up(replicas: int, stateful_set: StatefulSet) -> bool:
    status = stateful_set.status
    return (
        status.observed_generation == stateful_set.metadata.generation
        and status.replicas == status.ready_replicas == status.updated_replicas == replicas
    )


async def images(cluster: SmallCluster) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.containers[0].image for pod in await cluster.pods()}


def test_pods_come_one_after_the_other_and_leave_in_reverse() -> None:
    """Members of a quorum join one at a time; a second one must not start while the first is still finding its feet."""
    overlaps = list[list[str]]()

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(stateful_set(replicas=3))
            while not up(3, await cluster.client.get(STATEFUL_SET, WEB)):
                starting = [pod.metadata.name for pod in await cluster.pods() if not is_ready(pod)]
                if len(starting) > 1:
                    overlaps.append(starting)
                await asyncio.sleep(0.05)
            pods = await cluster.pods()
            assert [pod.metadata.name for pod in pods] == ["web-0", "web-1", "web-2"]
            assert (pods[0].spec.hostname, pods[0].spec.subdomain) == ("web-0", "web")
            assert pods[1].metadata.labels["apps.kubernetes.io/pod-index"] == "1"

            await cluster.client.patch_scale(STATEFUL_SET, WEB, 1)
            await cluster.wait(STATEFUL_SET, WEB, lambda each: up(1, each))
            assert [pod.metadata.name for pod in await cluster.pods()] == ["web-0"]

    run(story())
    assert overlaps == []


def test_claims_are_made_for_each_pod_and_outlive_it() -> None:
    """The data of a pod must be there when the pod comes back."""
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(stateful_set(replicas=2, volumeClaimTemplates=[claim]))
            await cluster.wait(STATEFUL_SET, WEB, lambda each: up(2, each))
            await cluster.client.patch_scale(STATEFUL_SET, WEB, 1)
            await cluster.wait(STATEFUL_SET, WEB, lambda each: up(1, each))
            claims = (await cluster.client.list(CLAIM, namespace="default")).items
            assert [each.metadata.name for each in claims] == ["data-web-0", "data-web-1"]
            pod = await cluster.client.get(POD, "default/web-0")
            volume = next(each for each in pod.spec.volumes or () if each.name == "data")
            assert volume.persistent_volume_claim is not None
            assert volume.persistent_volume_claim.claim_name == "data-web-0"

    run(story())


def test_a_partition_holds_the_update_back_below_it() -> None:
    """A canary is the highest ordinals; a pod below the partition that dies comes back as it was."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(stateful_set(replicas=3))
            await cluster.wait(STATEFUL_SET, WEB, lambda each: up(3, each))
            update = {
                "template": template(image="example.com/app:2"),
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
            }
            await cluster.client.patch(STATEFUL_SET, WEB, {"spec": update})
            await cluster.wait(
                STATEFUL_SET, WEB, lambda each: each.status.updated_replicas == 1 and each.status.ready_replicas == 3
            )
            await cluster.client.delete(POD, "default/web-0", grace_seconds=0)
            await cluster.wait(STATEFUL_SET, WEB, lambda each: each.status.ready_replicas == 2)
            partial = await cluster.wait(STATEFUL_SET, WEB, lambda each: each.status.ready_replicas == 3)
            assert await images(cluster) == {
                "web-0": "example.com/app:1",
                "web-1": "example.com/app:1",
                "web-2": "example.com/app:2",
            }
            assert partial.status.current_revision != partial.status.update_revision

            whole = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}
            await cluster.client.patch(STATEFUL_SET, WEB, {"spec": whole})
            done = await cluster.wait(
                STATEFUL_SET,
                WEB,
                lambda each: up(3, each) and each.status.current_revision == each.status.update_revision,
            )
            assert done.status.current_revision == done.status.update_revision
            assert set((await images(cluster)).values()) == {"example.com/app:2"}
            revisions = (await cluster.client.list(CONTROLLER_REVISION, namespace="default")).items
            assert sorted(each.revision for each in revisions) == [1, 2]

    run(story())


def test_parallel_management_starts_all_pods_at_once() -> None:
    """Where members do not depend on each other, waiting for one another only costs time."""

    async def story() -> float:
        async with small_cluster("a") as cluster:
            before = cluster.clock.monotonic()
            await cluster.create(stateful_set(replicas=5, podManagementPolicy="Parallel"))
            await cluster.wait(STATEFUL_SET, WEB, lambda each: up(5, each))
            return cluster.clock.monotonic() - before

    assert run(story()) < 3
