"""Create, update, patch and apply, as clients see them."""

from __future__ import annotations

from apiserver.core.api_calls import (
    ADMIN,
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    Api,
    a_config_map,
    a_deployment,
    a_pod,
    with_api,
)


def test_a_created_object_gets_its_identity_from_the_server() -> None:
    """Whatever the client claims about uid, generation or status: the server decides."""

    async def scenario(api: Api) -> None:
        claims = a_deployment()
        claims["metadata"] |= {"uid": "mine", "generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z"}
        claims["status"] = {"replicas": 7}
        created = await api.create(DEPLOYMENTS, claims)
        assert created["metadata"]["uid"] != "mine"
        assert created["metadata"]["generation"] == 1
        assert created["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
        assert created.get("status", {}).get("replicas") in (None, 0)
        assert await api.get(f"{DEPLOYMENTS}/web") == created

    with_api(scenario)


def test_generated_names_differ() -> None:
    async def scenario(api: Api) -> None:
        template = a_config_map("")
        template["metadata"] = {"generateName": "job-"}
        names = {(await api.create(CONFIG_MAPS, template))["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20
        assert all(name.startswith("job-") and len(name) == 9 for name in names)

    with_api(scenario)


def test_an_update_on_stale_knowledge_is_a_conflict() -> None:
    """Two writers who both read version 1 must not overwrite each other."""

    async def scenario(api: Api) -> None:
        first = await api.create(CONFIG_MAPS, a_config_map())
        await api.update(f"{CONFIG_MAPS}/cm", {**first, "data": {"by": "me"}})
        reply = await api.call("PUT", f"{CONFIG_MAPS}/cm", {**first, "data": {"by": "you"}})
        assert reply.status() == (
            409,
            "Conflict",
            'Operation cannot be fulfilled on configmaps "cm": the object has been modified; please apply your '
            "changes to the latest version and try again",
        )
        assert (await api.get(f"{CONFIG_MAPS}/cm"))["data"] == {"by": "me"}

    with_api(scenario)


def test_an_update_without_a_version_overwrites() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CONFIG_MAPS, a_config_map())
        updated = await api.update(f"{CONFIG_MAPS}/cm", a_config_map(data={"a": "b"}))
        assert updated["data"] == {"a": "b"}

    with_api(scenario)


def test_an_update_that_changes_nothing_makes_no_new_version() -> None:
    """Controllers that write what is already there must not wake every watcher."""

    async def scenario(api: Api) -> None:
        created = await api.create(DEPLOYMENTS, a_deployment())
        again = await api.update(f"{DEPLOYMENTS}/web", a_deployment())
        assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]

    with_api(scenario)


def test_the_generation_counts_changes_of_the_spec_alone() -> None:
    async def scenario(api: Api) -> None:
        await api.create(DEPLOYMENTS, a_deployment())
        await api.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}})
        status = await api.patch(f"{DEPLOYMENTS}/web/status", {"status": {"replicas": 2}})
        assert status.obj["metadata"]["generation"] == 1
        spec = await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}})
        assert spec.obj["metadata"]["generation"] == 2

    with_api(scenario)


def test_each_half_of_an_object_has_its_own_endpoint() -> None:
    """A controller that reports status cannot change what the user asked for, nor the other way round."""

    async def scenario(api: Api) -> None:
        created = await api.create(DEPLOYMENTS, a_deployment(replicas=2))
        both = {**created, "spec": {**created["spec"], "replicas": 9}, "status": {"replicas": 5}}
        status = await api.update(f"{DEPLOYMENTS}/web/status", both)
        assert (status["spec"]["replicas"], status["status"]["replicas"]) == (2, 5)
        both["metadata"] = status["metadata"]
        both["status"] = {"replicas": 1}
        spec = await api.update(f"{DEPLOYMENTS}/web", both)
        assert (spec["spec"]["replicas"], spec["status"]["replicas"]) == (9, 5)

    with_api(scenario)


def test_a_dry_run_answers_and_changes_nothing() -> None:
    async def scenario(api: Api) -> None:
        before = api.storage.revision
        created = await api.create(CONFIG_MAPS, a_config_map(), dryRun="All")
        assert created["metadata"]["uid"]
        assert (await api.call("GET", f"{CONFIG_MAPS}/cm")).code == 404
        await api.create(CONFIG_MAPS, a_config_map())
        await api.update(f"{CONFIG_MAPS}/cm", a_config_map(data={"a": "b"}), dryRun="All")
        await api.patch(f"{CONFIG_MAPS}/cm", {"data": {"a": "b"}}, dryRun="All")
        assert (await api.delete(f"{CONFIG_MAPS}/cm", dryRun="All")).code == 200
        assert (await api.get(f"{CONFIG_MAPS}/cm"))["data"] == {}
        assert api.storage.revision == before + 1

    with_api(scenario)


def test_what_a_dry_run_makes_has_no_version() -> None:
    """A version is a promise that something is stored."""

    async def scenario(api: Api) -> None:
        reply = await api.call("POST", CONFIG_MAPS, a_config_map("cm"), dryRun="All")
        assert reply.code == 201
        assert "resourceVersion" not in reply.obj["metadata"]

    with_api(scenario)


def test_the_four_patches_mean_what_their_content_types_say() -> None:
    async def scenario(api: Api) -> None:
        path = f"{DEPLOYMENTS}/web"
        await api.create(DEPLOYMENTS, a_deployment())
        operations = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
        assert (await api.patch(path, operations, type="json-patch+json")).obj["spec"]["replicas"] == 4
        assert (await api.patch(path, {"spec": {"replicas": 5}})).obj["spec"]["replicas"] == 5
        sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "envoy"}]}}}}
        merged = await api.patch(path, sidecar, type="strategic-merge-patch+json")
        names = [container["name"] for container in merged.obj["spec"]["template"]["spec"]["containers"]]
        assert sorted(names) == ["main", "sidecar"]
        applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"by": "me"}}}
        reply = await api.patch(path, applied, type="apply-patch+yaml", fieldManager="me")
        assert reply.obj["metadata"]["labels"] == {"by": "me"}

    with_api(scenario)


def test_server_side_apply_creates_owns_and_refuses_to_take_over() -> None:
    """What one manager declared, another changes only on purpose."""

    async def scenario(api: Api) -> None:
        path = f"{DEPLOYMENTS}/web"
        created = await api.patch(path, a_deployment(), type="apply-patch+yaml", fieldManager="gitops")
        assert created.code == 201
        other = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 9},
        }
        refused = await api.patch(path, other, type="apply-patch+yaml", fieldManager="autoscaler")
        assert refused.status()[:2] == (409, "Conflict")
        assert refused.obj["details"]["causes"][0]["field"] == ".spec.replicas"
        forced = await api.patch(path, other, type="apply-patch+yaml", fieldManager="autoscaler", force="true")
        assert forced.obj["spec"]["replicas"] == 9

    with_api(scenario)


def test_unknown_fields_are_reported_as_loudly_as_asked() -> None:
    async def scenario(api: Api) -> None:
        pod = a_pod()
        pod["spec"]["containers"][0]["imag"] = "nginx"
        strict = await api.call("POST", PODS, pod, fieldValidation="Strict")
        assert strict.status()[:2] == (400, "BadRequest")
        assert 'unknown field "spec.containers[0].imag"' in strict.obj["message"]
        warned = await api.call("POST", PODS, pod, dryRun="All")
        assert warned.warnings == ['299 - "unknown field \\"spec.containers[0].imag\\""']
        silent = await api.call("POST", PODS, pod, fieldValidation="Ignore")
        assert (silent.code, silent.warnings) == (201, [])
        assert "imag" not in silent.obj["spec"]["containers"][0]

    with_api(scenario)


def test_a_key_given_twice_is_reported() -> None:
    async def scenario(api: Api) -> None:
        body = b'{"metadata": {"name": "twice"}, "data": {"a": "1", "a": "2"}}'
        strict = await api.call("POST", CONFIG_MAPS, body, fieldValidation="Strict")
        assert strict.code == 400
        assert 'duplicate field "data.a"' in strict.obj["message"]
        assert (await api.call("POST", CONFIG_MAPS, body)).warnings == ['299 - "duplicate field \\"data.a\\""']

    with_api(scenario)


def test_yaml_is_as_good_as_json() -> None:
    async def scenario(api: Api) -> None:
        body = b"metadata: {name: y}\ndata: {a: b}\n"
        reply = await api.call("POST", CONFIG_MAPS, body, content_type="application/yaml")
        assert (reply.code, reply.obj["data"]) == (201, {"a": "b"})

    with_api(scenario)


def test_nothing_is_created_where_there_is_no_namespace() -> None:
    async def scenario(api: Api) -> None:
        reply = await api.call("POST", "/api/v1/namespaces/nowhere/configmaps", a_config_map())
        assert reply.status() == (404, "NotFound", 'namespaces "nowhere" not found')

    with_api(scenario)


def test_a_namespace_that_is_going_takes_nothing_new_and_goes_when_finalized() -> None:
    async def scenario(api: Api) -> None:
        await api.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        going = await api.delete("/api/v1/namespaces/shop")
        assert going.obj["status"]["phase"] == "Terminating"
        refused = await api.call("POST", "/api/v1/namespaces/shop/configmaps", a_config_map())
        assert refused.status()[:2] == (403, "Forbidden")
        assert refused.obj["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        await api.patch("/api/v1/namespaces/shop", {"spec": {"finalizers": []}})
        assert (await api.get("/api/v1/namespaces/shop"))["spec"]["finalizers"] == ["kubernetes"]
        final = {**going.obj, "spec": {"finalizers": []}}
        await api.update("/api/v1/namespaces/shop/finalize", final)
        assert (await api.call("GET", "/api/v1/namespaces/shop")).code == 404

    with_api(scenario)


def test_managers_are_recorded_and_named_by_the_client() -> None:
    async def scenario(api: Api) -> None:
        created = await api.call("POST", CONFIG_MAPS, a_config_map(), headers={"user-agent": "robot/1.2 (linux)"})
        assert created.obj["metadata"]["managedFields"][0]["manager"] == "robot"
        patched = await api.patch(f"{CONFIG_MAPS}/cm", {"data": {"a": "b"}}, fieldManager="me", token=ADMIN)
        managers = {entry["manager"]: entry["fieldsV1"] for entry in patched.obj["metadata"]["managedFields"]}
        assert managers["me"] == {"f:data": {"f:a": {}}}

    with_api(scenario)
