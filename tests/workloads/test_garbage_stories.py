"""What goes when its owner goes, and when: owner references, finalizers and namespaces from end to end."""

from __future__ import annotations

import asyncio
from typing import Any

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import CONFIG_MAP, NAMESPACE
from stratos.apis.replicaset import REPLICA_SET
from stratos.testing.virtual_time import run
from workloads.small_cluster import SmallCluster, small_cluster, workload

WEB = "default/web"


async def a_running_deployment(cluster: SmallCluster) -> None:
    await cluster.create(workload("Deployment", replicas=2))
    await cluster.wait(DEPLOYMENT, WEB, lambda each: each.status.available_replicas == 2)


async def config_map(cluster: SmallCluster, name: str, *owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A ConfigMap; returns the reference by which others name it as their owner."""
    body = {"metadata": {"name": name, "namespace": "default", "ownerReferences": list(owners), **metadata}}
    created = await cluster.client.create(CONFIG_MAP, body)
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": created.metadata.uid}


def test_deleting_a_deployment_removes_its_replica_sets_and_pods() -> None:
    async def story() -> None:
        async with small_cluster("a") as cluster:
            await a_running_deployment(cluster)
            await cluster.client.delete(DEPLOYMENT, WEB)

            async def all_gone() -> bool:
                return not await cluster.pods() and not (await cluster.client.list(REPLICA_SET)).items

            await cluster.wait_until(all_gone)

    run(story())


def test_in_the_foreground_the_owner_goes_last() -> None:
    """`kubectl delete --cascade=foreground --wait` returns when the pods are really gone."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await a_running_deployment(cluster)
            await cluster.client.delete(DEPLOYMENT, WEB, propagation="Foreground")
            await cluster.wait_until(lambda: cluster.is_gone(DEPLOYMENT, WEB))
            assert await cluster.pods() == []
            assert (await cluster.client.list(REPLICA_SET)).items == ()

    run(story())


def test_orphaned_dependents_stay_and_forget_their_owner() -> None:
    """`--cascade=orphan` is how people replace a controller without touching its pods."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await a_running_deployment(cluster)
            await cluster.client.delete(DEPLOYMENT, WEB, propagation="Orphan")
            await cluster.wait_until(lambda: cluster.is_gone(DEPLOYMENT, WEB))
            await asyncio.sleep(60)
            (left,) = (await cluster.client.list(REPLICA_SET)).items
            assert left.metadata.owner_references == ()
            assert len(await cluster.pods()) == 2

    run(story())


def test_an_owner_that_never_existed_is_as_good_as_gone() -> None:
    """A reference by a wrong uid must not keep an object alive for ever."""

    async def story() -> None:
        async with small_cluster() as cluster:
            real = await config_map(cluster, "owner")
            await config_map(cluster, "impostor", {**real, "uid": "00000000-0000-4000-8000-000000000000"})
            await config_map(cluster, "child", real)
            await cluster.wait_until(lambda: cluster.is_gone(CONFIG_MAP, "default/impostor"))
            assert not await cluster.is_gone(CONFIG_MAP, "default/child")

    run(story())


def test_an_object_with_two_owners_stays_until_the_second_goes() -> None:
    async def story() -> None:
        async with small_cluster() as cluster:
            first, second = await config_map(cluster, "first"), await config_map(cluster, "second")
            await config_map(cluster, "child", first, second)
            await cluster.client.delete(CONFIG_MAP, "default/first")
            kept = await cluster.wait(
                CONFIG_MAP, "default/child", lambda each: len(each.metadata.owner_references) == 1
            )
            assert kept.metadata.owner_references[0].name == "second"
            await cluster.client.delete(CONFIG_MAP, "default/second")
            await cluster.wait_until(lambda: cluster.is_gone(CONFIG_MAP, "default/child"))

    run(story())


def test_custom_objects_are_collected_like_all_others() -> None:
    """Kinds that appear at run time are followed from then on."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "gadgets", "kind": "Gadget", "singular": "gadget", "listKind": "GadgetList"},
            "scope": "Cluster",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }

    async def story() -> None:
        async with small_cluster() as cluster:
            await cluster.create(definition)
            path = "/apis/example.com/v1/gadgets"
            gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}}
            await asyncio.sleep(5)
            created = await cluster.client.request_json("POST", path, body=gadget)
            owner = {**gadget, "name": "g", "uid": created["metadata"]["uid"]}
            del owner["metadata"]
            # A cluster-scoped owner may own what lives in a namespace.
            await config_map(cluster, "child", owner)
            await asyncio.sleep(5)
            assert not await cluster.is_gone(CONFIG_MAP, "default/child")
            await cluster.client.request_json("DELETE", f"{path}/g")
            await cluster.wait_until(lambda: cluster.is_gone(CONFIG_MAP, "default/child"))

    run(story())


def test_a_deleted_namespace_goes_with_everything_in_it() -> None:
    """What a finalizer holds back holds back the namespace, and its conditions say so."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.client.create(NAMESPACE, {"metadata": {"name": "team"}})
            body = workload("Deployment", replicas=2)
            body["metadata"]["namespace"] = "team"
            await cluster.create(body)
            held = {"metadata": {"name": "held", "namespace": "team", "finalizers": ["example.com/hold"]}}
            await cluster.client.create(CONFIG_MAP, held)
            await cluster.wait(DEPLOYMENT, "team/web", lambda each: each.status.available_replicas == 2)

            await cluster.client.delete(NAMESPACE, "team")
            waiting = await cluster.wait(
                NAMESPACE,
                "team",
                lambda each: is_condition_true(each.status.conditions, "NamespaceFinalizersRemaining"),
            )
            assert waiting.status.phase == "Terminating"
            await asyncio.sleep(30)
            assert await cluster.pods("team") == []
            await cluster.client.patch(CONFIG_MAP, "team/held", {"metadata": {"finalizers": None}})
            await cluster.wait_until(lambda: cluster.is_gone(NAMESPACE, "team"))

    run(story())
