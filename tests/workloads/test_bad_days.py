"""Writes get lost, and so do answers to writes that were carried out: everything must still end as it was wished."""

from __future__ import annotations

import pytest

from stratos.apis.daemonset import DAEMON_SET
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.job import JOB
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import NAMESPACE
from stratos.apis.statefulset import STATEFUL_SET
from stratos.testing.virtual_time import run
from stratos.workloads.pods import is_active
from workloads.small_cluster import job, small_cluster, template, workload


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
            await cluster.wait(JOB, "default/work", lambda each: is_condition_true(each.status.conditions, "Complete"))

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
