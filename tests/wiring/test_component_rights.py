"""Each component runs with the rights of its own role: a busy hour must not need one that is missing."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from prometheus_client import CollectorRegistry

from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.testing import virtual_time
from stratos.wiring.cluster import Cluster

Obj = dict[str, Any]

NAMESPACE = "/namespaces/default"
STRATOS = "/apis/stratos.sh/v1alpha1"
SELECTOR: Obj = {"matchLabels": {"app": "x"}}


def a_template(**spec: Any) -> Obj:
    container = {"name": "main", "image": "nginx:1", "command": ["sleep", "90"]}
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container], **spec}}


def an_object(api_version: str, kind: str, **spec: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


A_JOB: Obj = {"template": a_template(restartPolicy="Never")}
A_REPLICATED: Obj = {"selector": SELECTOR, "template": a_template(), "replicas": 2}

BUSY: tuple[tuple[str, Obj], ...] = (
    (f"{STRATOS}/simnodeclasses", an_object("stratos.sh/v1alpha1", "SimNodeClass", instanceType="m5.large")),
    (
        f"{STRATOS}/nodepools",
        an_object(
            "stratos.sh/v1alpha1",
            "NodePool",
            poolSize=4,
            minStandby=1,
            template={"nodeClassRef": {"kind": "SimNodeClass", "name": "x"}},
            scaleDown={"emptyNodeTTL": "1m"},
        ),
    ),
    (f"/apis/apps/v1{NAMESPACE}/deployments", an_object("apps/v1", "Deployment", **A_REPLICATED)),
    (f"/apis/apps/v1{NAMESPACE}/statefulsets", an_object("apps/v1", "StatefulSet", serviceName="x", **A_REPLICATED)),
    (
        f"/apis/apps/v1{NAMESPACE}/daemonsets",
        an_object("apps/v1", "DaemonSet", selector=SELECTOR, template=a_template()),
    ),
    (f"/apis/batch/v1{NAMESPACE}/jobs", an_object("batch/v1", "Job", **A_JOB)),
    (
        f"/apis/batch/v1{NAMESPACE}/cronjobs",
        an_object(
            "batch/v1",
            "CronJob",
            schedule="*/5 * * * *",
            jobTemplate={"spec": A_JOB | {"ttlSecondsAfterFinished": 300}},
        ),
    ),
    (f"/api/v1{NAMESPACE}/services", an_object("v1", "Service", selector={"app": "x"}, ports=[{"port": 80}])),
    (
        f"/apis/policy/v1{NAMESPACE}/poddisruptionbudgets",
        an_object("policy/v1", "PodDisruptionBudget", selector=SELECTOR, maxUnavailable=1),
    ),
)


def refusals(metrics: CollectorRegistry) -> dict[str, float]:
    """How often each verb on each resource was forbidden to somebody."""
    return {
        f"{sample.labels['verb']} {sample.labels['resource']}": sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == "apiserver_request_total" and sample.labels["code"] == "403"
    }


async def live_through_an_hour(cluster: Cluster, admin: Client) -> None:
    for path, obj in BUSY:
        await admin.request_json("POST", path, body=obj)
    await asyncio.sleep(900)
    for pod in (await admin.list(POD)).items[:2]:
        await admin.delete(POD, pod.metadata.key)
    await admin.patch(NODE, (await admin.list(NODE)).items[0].metadata.name, {"spec": {"unschedulable": True}})
    await asyncio.sleep(900)
    for path, obj in reversed(BUSY):
        await admin.request_json("DELETE", f"{path}/{obj['metadata']['name']}", body={})
    await asyncio.sleep(1800)


def test_a_busy_hour_needs_no_right_that_a_component_lacks() -> None:
    """Controllers retry quietly: a missing right shows as something that just never happens."""

    async def story() -> dict[str, float]:
        chance = random.Random(3)
        cluster = Cluster(open_memory(), clock=virtual_time.VirtualClock(), ids=SeededIds(chance), rng=chance)
        async with cluster.running():
            await live_through_an_hour(cluster, cluster.admin)
            assert (await cluster.admin.list(NODE)).items == ()
        return refusals(cluster.metrics)

    assert virtual_time.run(story()) == {}
