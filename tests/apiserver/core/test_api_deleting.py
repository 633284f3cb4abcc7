"""Deletion: at once, with grace, with finalizers, and of whole collections."""

from __future__ import annotations

from apiserver.core.api_calls import CONFIG_MAPS, DEPLOYMENTS, PODS, Api, a_config_map, a_deployment, a_pod, with_api


def test_what_nobody_waits_for_is_gone_at_once() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create(CONFIG_MAPS, a_config_map())
        reply = await api.delete(f"{CONFIG_MAPS}/cm")
        assert reply.obj["status"] == "Success"
        assert reply.obj["details"]["uid"] == created["metadata"]["uid"]
        assert (await api.delete(f"{CONFIG_MAPS}/cm")).status() == (404, "NotFound", 'configmaps "cm" not found')

    with_api(scenario)


def test_an_object_with_finalizers_goes_with_the_last_of_them() -> None:
    async def scenario(api: Api) -> None:
        held = a_config_map()
        held["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
        await api.create(CONFIG_MAPS, held)
        marked = (await api.delete(f"{CONFIG_MAPS}/cm")).obj
        assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
        more = await api.patch(f"{CONFIG_MAPS}/cm", {"metadata": {"finalizers": ["example.com/a", "example.com/new"]}})
        assert more.status()[:2] == (422, "Invalid")
        assert more.obj["details"]["causes"][0]["field"] == "metadata.finalizers"
        await api.patch(f"{CONFIG_MAPS}/cm", {"metadata": {"finalizers": ["example.com/b"]}})
        assert (await api.get(f"{CONFIG_MAPS}/cm"))["metadata"]["finalizers"] == ["example.com/b"]
        await api.patch(f"{CONFIG_MAPS}/cm", {"metadata": {"finalizers": None}})
        assert (await api.call("GET", f"{CONFIG_MAPS}/cm")).code == 404

    with_api(scenario)


def test_the_propagation_policy_becomes_a_finalizer() -> None:
    """The garbage collector reads from it what should become of the dependents."""

    async def scenario(api: Api) -> None:
        for policy, finalizers in (("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])):
            await api.create(DEPLOYMENTS, a_deployment(policy.lower()))
            marked = await api.delete(f"{DEPLOYMENTS}/{policy.lower()}", {"propagationPolicy": policy})
            assert marked.obj["metadata"]["finalizers"] == finalizers
        await api.create(DEPLOYMENTS, a_deployment())
        await api.delete(f"{DEPLOYMENTS}/web", {"propagationPolicy": "Background"})
        assert (await api.call("GET", f"{DEPLOYMENTS}/web")).code == 404

    with_api(scenario)


def test_a_running_pod_is_given_time_and_a_second_deletion_may_only_hurry() -> None:
    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod())
        await api.create(f"{PODS}/web-0/binding", {"target": {"kind": "Node", "name": "n1"}})
        marked = (await api.delete(f"{PODS}/web-0", {"gracePeriodSeconds": 60})).obj["metadata"]
        assert (marked["deletionTimestamp"], marked["deletionGracePeriodSeconds"]) == ("2026-01-01T00:01:00Z", 60)
        longer = (await api.delete(f"{PODS}/web-0", {"gracePeriodSeconds": 90})).obj["metadata"]
        assert longer["deletionGracePeriodSeconds"] == 60
        sooner = (await api.delete(f"{PODS}/web-0", {"gracePeriodSeconds": 5})).obj["metadata"]
        assert sooner["deletionGracePeriodSeconds"] == 5
        await api.delete(f"{PODS}/web-0", {"gracePeriodSeconds": 0})
        assert (await api.call("GET", f"{PODS}/web-0")).code == 404

    with_api(scenario)


def test_a_pod_that_runs_nowhere_needs_no_grace() -> None:
    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod())
        await api.delete(f"{PODS}/web-0")
        assert (await api.call("GET", f"{PODS}/web-0")).code == 404

    with_api(scenario)


def test_a_precondition_that_does_not_hold_saves_the_object() -> None:
    """Who means the old object must not delete its successor of the same name."""

    async def scenario(api: Api) -> None:
        await api.create(CONFIG_MAPS, a_config_map())
        reply = await api.delete(f"{CONFIG_MAPS}/cm", {"preconditions": {"uid": "another"}})
        assert reply.status()[:2] == (409, "Conflict")
        assert "Precondition failed: UID in precondition: another" in reply.obj["message"]
        assert (await api.call("GET", f"{CONFIG_MAPS}/cm")).code == 200

    with_api(scenario)


def test_a_collection_is_deleted_by_selector() -> None:
    async def scenario(api: Api) -> None:
        for name, app in (("a", "web"), ("b", "web"), ("c", "db")):
            await api.create(CONFIG_MAPS, a_config_map(name, app=app))
        deleted = await api.delete(CONFIG_MAPS, labelSelector="app=web")
        assert [item["metadata"]["name"] for item in deleted.obj["items"]] == ["a", "b"]
        left = await api.get(CONFIG_MAPS)
        assert [item["metadata"]["name"] for item in left["items"]] == ["c"]

    with_api(scenario)
