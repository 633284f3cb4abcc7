"""Scale, binding, eviction, logs, reviews and custom kinds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from apiserver.core.api_calls import (
    DEPLOYMENTS,
    NOBODY,
    PODS,
    Api,
    a_deployment,
    a_pod,
    an_api,
    settle,
    with_api,
)
from stratos.apiserver.storage.sqlite import open_sqlite
from stratos.testing import virtual_time

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def a_definition() -> dict[str, Any]:
    spec = {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [version, {**version, "name": "v2", "storage": False}],
        },
    }


async def a_running_pod(api: Api, name: str = "web-0") -> None:
    await api.create(PODS, a_pod(name, app="web"))
    await api.create(f"{PODS}/{name}/binding", {"target": {"kind": "Node", "name": "n1"}})
    ready = {"type": "Ready", "status": "True"}
    await api.patch(f"{PODS}/{name}/status", {"status": {"phase": "Running", "conditions": [ready]}})


async def a_budget(api: Api, *, allowed: int) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await api.create(BUDGETS, {"metadata": {"name": "budget"}, "spec": spec})
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 1}
    await api.patch(f"{BUDGETS}/budget/status", {"status": {**status, "expectedPods": 2}})


def test_scale_changes_the_replicas_and_nothing_else() -> None:
    async def scenario(api: Api) -> None:
        await api.create(DEPLOYMENTS, a_deployment())
        scale = await api.get(f"{DEPLOYMENTS}/web/scale")
        assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=web")
        await api.update(f"{DEPLOYMENTS}/web/scale", {**scale, "spec": {"replicas": 5}})
        patched = await api.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 6}})
        assert patched.obj["spec"] == {"replicas": 6}
        deployment = await api.get(f"{DEPLOYMENTS}/web")
        assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (6, 3)
        stale = await api.call("PUT", f"{DEPLOYMENTS}/web/scale", scale)
        assert stale.status()[:2] == (409, "Conflict")
        negative = await api.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}})
        assert negative.obj["details"]["causes"][0]["field"] == "spec.replicas"

    with_api(scenario)


def test_a_pod_is_bound_once() -> None:
    """Two schedulers may race for a pod; the second must hear that it lost."""

    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod())
        binding = {"target": {"kind": "Node", "name": "n1"}, "metadata": {"annotations": {"by": "scheduler"}}}
        await api.create(f"{PODS}/web-0/binding", binding)
        pod = await api.get(f"{PODS}/web-0")
        assert pod["spec"]["nodeName"] == "n1"
        assert pod["metadata"]["annotations"] == {"by": "scheduler"}
        [scheduled] = pod["status"]["conditions"]
        assert (scheduled["type"], scheduled["status"]) == ("PodScheduled", "True")
        again = await api.call("POST", f"{PODS}/web-0/binding", {"target": {"kind": "Node", "name": "n2"}})
        assert again.status() == (
            409,
            "Conflict",
            'Operation cannot be fulfilled on pods/binding "web-0": pod web-0 is already assigned to node "n1"',
        )

    with_api(scenario)


def test_an_eviction_is_charged_to_the_budget() -> None:
    async def scenario(api: Api) -> None:
        await a_running_pod(api)
        await a_budget(api, allowed=1)
        await api.create(f"{PODS}/web-0/eviction", {"metadata": {"name": "web-0"}})
        assert "deletionTimestamp" in (await api.get(f"{PODS}/web-0"))["metadata"]
        status = (await api.get(f"{BUDGETS}/budget"))["status"]
        assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["web-0"])

    with_api(scenario)


def test_an_eviction_the_budget_cannot_spare_is_refused() -> None:
    async def scenario(api: Api) -> None:
        await a_running_pod(api)
        await a_budget(api, allowed=0)
        reply = await api.call("POST", f"{PODS}/web-0/eviction", {"metadata": {"name": "web-0"}})
        assert reply.status() == (
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        )
        assert reply.obj["details"]["causes"] == [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget budget needs 1 healthy pods and has 2 currently",
            }
        ]
        assert "deletionTimestamp" not in (await api.get(f"{PODS}/web-0"))["metadata"]

    with_api(scenario)


def test_evictions_that_race_never_overdraw_the_budget() -> None:
    async def scenario(api: Api) -> None:
        for number in range(6):
            await a_running_pod(api, f"web-{number}")
        await a_budget(api, allowed=2)
        calls = (api.call("POST", f"{PODS}/web-{n}/eviction", {"metadata": {"name": f"web-{n}"}}) for n in range(6))
        codes = sorted(reply.code for reply in await asyncio.gather(*calls))
        assert codes == [201, 201, 429, 429, 429, 429]

    with_api(scenario)


def test_a_dry_eviction_charges_nothing() -> None:
    async def scenario(api: Api) -> None:
        await a_running_pod(api)
        await a_budget(api, allowed=1)
        await api.create(f"{PODS}/web-0/eviction", {"metadata": {"name": "web-0"}}, dryRun="All")
        assert (await api.get(f"{BUDGETS}/budget"))["status"]["disruptionsAllowed"] == 1
        assert "deletionTimestamp" not in (await api.get(f"{PODS}/web-0"))["metadata"]

    with_api(scenario)


def test_logs_are_handed_in_by_nodes_and_followed_until_the_pod_ends() -> None:
    async def scenario(api: Api) -> None:
        await a_running_pod(api)
        path = f"{PODS}/web-0/log"
        early = await api.call("GET", path)
        assert early.status()[0] == 400
        assert "is waiting to start: ContainerCreating" in early.obj["message"]
        denied = await api.call("POST", path, b"forged\n", content_type="text/plain", token=NOBODY)
        assert denied.code == 403
        written = await api.call("POST", path, b"one\ntwo\n", content_type="text/plain")
        assert written.code == 201
        assert (await api.call("GET", path)).body == b"one\ntwo\n"
        assert (await api.call("GET", path, tailLines=1)).body == b"two\n"
        following = asyncio.ensure_future(api.call("GET", path, follow="true", timestamps="true", tailLines=0))
        await settle()
        await api.call("POST", path, b"three\n", content_type="text/plain")
        await settle()
        await api.patch(f"{PODS}/web-0/status", {"status": {"phase": "Succeeded"}})
        assert (await following).body.endswith(b"Z three\n")
        wrong = await api.call("GET", path, container="nope")
        assert wrong.obj["message"] == "container nope is not valid for pod web-0"

    with_api(scenario)


def test_may_i_is_answered_without_storing_the_question() -> None:
    async def scenario(api: Api) -> None:
        reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        question = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
        assert (await api.create(reviews, question))["status"]["allowed"] is True
        assert (await api.create(reviews, question, token=NOBODY))["status"]["allowed"] is False
        assert (await api.call("GET", reviews)).code == 405

    with_api(scenario)


def test_a_custom_kind_is_served_as_soon_as_its_definition_is_acknowledged() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create(DEFINITIONS, a_definition())
        conditions = {one["type"]: one["status"] for one in created["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
        assert created["status"]["storedVersions"] == ["v1"]
        await api.create(WIDGETS, {"metadata": {"name": "w"}, "spec": {}})
        other_version = await api.get("/apis/example.com/v2/namespaces/default/widgets/w")
        assert (other_version["apiVersion"], other_version["spec"]) == ("example.com/v2", {"size": 1})
        groups = [group["name"] for group in (await api.get("/apis"))["groups"]]
        assert "example.com" in groups

    with_api(scenario)


def test_a_definition_takes_its_objects_along() -> None:
    """And waits for those that somebody still holds."""

    async def scenario(api: Api) -> None:
        await api.create(DEFINITIONS, a_definition())
        await api.create(WIDGETS, {"metadata": {"name": "free"}})
        await api.create(WIDGETS, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
        await api.delete(f"{DEFINITIONS}/widgets.example.com")
        await settle()
        assert [item["metadata"]["name"] for item in (await api.get(WIDGETS))["items"]] == ["held"]
        await api.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
        await settle()
        assert (await api.call("GET", f"{DEFINITIONS}/widgets.example.com")).code == 404
        assert (await api.call("GET", WIDGETS)).code == 404

    with_api(scenario)


def test_two_kinds_of_a_group_may_not_share_a_name() -> None:
    async def scenario(api: Api) -> None:
        await api.create(DEFINITIONS, a_definition())
        rival = a_definition()
        rival["metadata"]["name"] = "gadgets.example.com"
        rival["spec"]["names"] = {"kind": "Widget", "plural": "gadgets"}
        created = await api.create(DEFINITIONS, rival)
        conditions = {one["type"]: one["status"] for one in created["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "False", "Established": "False"}
        assert (await api.call("GET", "/apis/example.com/v1/namespaces/default/gadgets")).code == 404

    with_api(scenario)


def test_a_server_started_again_serves_what_it_served_before(tmp_path: Path) -> None:
    """Objects, custom kinds, rights and resource versions outlive the process."""

    async def before() -> dict[str, Any]:
        async with an_api(open_sqlite(tmp_path / "state.db", in_thread=False)) as api:
            await api.create(DEFINITIONS, a_definition())
            return dict(await api.create(WIDGETS, {"metadata": {"name": "kept"}}))

    async def after(widget: dict[str, Any]) -> None:
        async with an_api(open_sqlite(tmp_path / "state.db", in_thread=False)) as api:
            assert await api.get(f"{WIDGETS}/kept") == widget
            patched = await api.patch(f"{WIDGETS}/kept", {"spec": {"size": 2}})
            assert int(patched.obj["metadata"]["resourceVersion"]) > int(widget["metadata"]["resourceVersion"])

    virtual_time.run(after(virtual_time.run(before())))


def test_a_deletion_interrupted_by_a_restart_is_finished(tmp_path: Path) -> None:
    async def before() -> None:
        async with an_api(open_sqlite(tmp_path / "state.db", in_thread=False)) as api:
            await api.create(DEFINITIONS, a_definition())
            await api.create(WIDGETS, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
            await api.delete(f"{DEFINITIONS}/widgets.example.com")

    async def after() -> None:
        async with an_api(open_sqlite(tmp_path / "state.db", in_thread=False)) as api:
            await api.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
            await settle()
            assert (await api.call("GET", f"{DEFINITIONS}/widgets.example.com")).code == 404

    virtual_time.run(before())
    virtual_time.run(after())
