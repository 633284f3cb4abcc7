"""Get, list and watch, as clients see them."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from apiserver.core.api_calls import (
    CONFIG_MAPS,
    PODS,
    TABLE,
    Api,
    a_config_map,
    a_pod,
    an_api,
    settle,
    with_api,
)
from stratos.apiserver.storage.memory import open_memory
from stratos.testing import virtual_time


def test_a_list_in_pages_shows_one_moment() -> None:
    """Whatever changes between two pages, the whole list is as it was when the first was asked for."""

    async def scenario(api: Api) -> None:
        for name in ("a", "b", "c", "d", "e"):
            await api.create(CONFIG_MAPS, a_config_map(name))
        page = await api.get(CONFIG_MAPS, limit=2)
        assert page["metadata"]["remainingItemCount"] == 3
        await api.delete(f"{CONFIG_MAPS}/d")
        await api.create(CONFIG_MAPS, a_config_map("bb"))
        names = [item["metadata"]["name"] for item in page["items"]]
        while token := page["metadata"].get("continue"):
            page = await api.get(CONFIG_MAPS, limit=2, **{"continue": token})
            names += [item["metadata"]["name"] for item in page["items"]]
        assert names == ["a", "b", "c", "d", "e"]

    with_api(scenario)


def test_a_page_token_that_is_too_old_says_so() -> None:
    async def scenario(api: Api) -> None:
        for name in ("a", "b", "c"):
            await api.create(CONFIG_MAPS, a_config_map(name))
        page = await api.get(CONFIG_MAPS, limit=1)
        await api.delete(f"{CONFIG_MAPS}/c")
        await api.storage.compact(api.storage.revision)
        reply = await api.call("GET", CONFIG_MAPS, limit=1, **{"continue": page["metadata"]["continue"]})
        assert reply.status()[:2] == (410, "Expired")

    with_api(scenario)


def test_selectors_choose_by_labels_and_by_fields() -> None:
    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod("a", app="web", tier="front"))
        await api.create(PODS, a_pod("b", app="web"))
        await api.create(PODS, a_pod("c"))
        cases = {
            "app=web": ["a", "b"],
            "app=web,!tier": ["b"],
            "tier notin (front)": ["b", "c"],
            "app in (web, db),tier": ["a"],
        }
        for selector, expected in cases.items():
            listed = await api.get(PODS, labelSelector=selector)
            assert [item["metadata"]["name"] for item in listed["items"]] == expected, selector
        by_field = await api.get("/api/v1/pods", fieldSelector="metadata.name!=b,status.phase=Pending")
        assert [item["metadata"]["name"] for item in by_field["items"]] == ["a", "c"]

    with_api(scenario)


def test_the_past_is_listed_exactly_when_asked_for() -> None:
    async def scenario(api: Api) -> None:
        first = await api.create(CONFIG_MAPS, a_config_map("a"))
        await api.create(CONFIG_MAPS, a_config_map("b"))
        version = first["metadata"]["resourceVersion"]
        exact = await api.get(CONFIG_MAPS, resourceVersion=version, resourceVersionMatch="Exact")
        assert len(exact["items"]) == 1
        assert exact["metadata"]["resourceVersion"] == version
        newer = await api.get(CONFIG_MAPS, resourceVersion=version, resourceVersionMatch="NotOlderThan")
        assert len(newer["items"]) == 2

    with_api(scenario)


def test_a_watch_tells_of_every_change_once_and_in_order() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CONFIG_MAPS, a_config_map("there"))
        events = api.watch(CONFIG_MAPS)
        await settle()
        await api.create(CONFIG_MAPS, a_config_map("new"))
        await api.patch(f"{CONFIG_MAPS}/new", {"data": {"a": "b"}})
        deleted = await api.delete(f"{CONFIG_MAPS}/new")
        await settle()
        assert deleted.code == 200
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
            ("ADDED", "there"),
            ("ADDED", "new"),
            ("MODIFIED", "new"),
            ("DELETED", "new"),
        ]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
        assert versions == sorted(versions)
        assert versions[-1] == api.storage.revision

    with_api(scenario)


def test_an_object_that_leaves_the_selection_is_deleted_to_its_watcher() -> None:
    """Else a cache with a selector would keep what it no longer selects."""

    async def scenario(api: Api) -> None:
        created = await api.create(CONFIG_MAPS, a_config_map("a", app="web"))
        version = created["metadata"]["resourceVersion"]
        events = api.watch(CONFIG_MAPS, labelSelector="app=web", resourceVersion=version)
        await settle()
        await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "db"}}})
        await api.patch(f"{CONFIG_MAPS}/a", {"data": {"unseen": "yes"}})
        await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "web"}}})
        await settle()
        assert [event["type"] for event in events] == ["DELETED", "ADDED"]
        assert events[0]["object"]["metadata"]["labels"] == {"app": "web"}

    with_api(scenario)


def test_a_watch_from_a_forgotten_version_ends_with_410() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create(CONFIG_MAPS, a_config_map("a"))
        await api.create(CONFIG_MAPS, a_config_map("b"))
        await api.storage.compact(api.storage.revision)
        reply = await api.call("GET", CONFIG_MAPS, watch="true", resourceVersion=created["metadata"]["resourceVersion"])
        assert reply.code == 200
        assert reply.obj["type"] == "ERROR"
        assert (reply.obj["object"]["code"], reply.obj["object"]["reason"]) == (410, "Expired")

    with_api(scenario)


def test_a_quiet_watch_is_told_where_it_could_resume() -> None:
    """So that a selector that matches little does not strand its watcher in the forgotten past."""

    async def scenario(api: Api) -> None:
        events = api.watch(CONFIG_MAPS, resourceVersion=api.storage.revision, allowWatchBookmarks="true")
        await api.create(PODS, a_pod())
        await asyncio.sleep(61)
        [bookmark] = events
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["resourceVersion"] == str(api.storage.revision)
        await asyncio.sleep(600)
        assert len(events) == 1

    with_api(scenario)


def test_a_streamed_list_says_where_it_ends() -> None:
    async def scenario(api: Api) -> None:
        for name in ("a", "b"):
            await api.create(CONFIG_MAPS, a_config_map(name))
        events = api.watch(
            CONFIG_MAPS,
            sendInitialEvents="true",
            allowWatchBookmarks="true",
            resourceVersionMatch="NotOlderThan",
        )
        await settle()
        assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
        assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    with_api(scenario)


def test_a_watch_ends_when_its_time_is_up() -> None:
    async def scenario(api: Api) -> None:
        began = asyncio.get_running_loop().time()
        await api.call("GET", CONFIG_MAPS, watch="true", timeoutSeconds=30)
        assert asyncio.get_running_loop().time() - began == 30

    with_api(scenario)


def test_tables_come_as_lists_and_as_watches() -> None:
    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod())
        listed = (await api.call("GET", PODS, accept=TABLE)).obj
        columns = [column["name"] for column in listed["columnDefinitions"] if column["priority"] == 0]
        assert columns == ["Name", "Ready", "Status", "Restarts", "Age"]
        assert listed["rows"][0]["cells"][:3] == ["web-0", "0/1", "Pending"]
        assert listed["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        events = api.watch(PODS, accept=TABLE)
        await settle()
        assert events[0]["object"]["kind"] == "Table"
        assert events[0]["object"]["rows"][0]["cells"][0] == "web-0"

    with_api(scenario)


def test_metadata_alone_can_be_asked_for() -> None:
    async def scenario(api: Api) -> None:
        await api.create(PODS, a_pod())
        listed = await api.call("GET", PODS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
        assert listed.obj["kind"] == "PartialObjectMetadataList"
        assert "spec" not in listed.obj["items"][0]

    with_api(scenario)


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["web", "db", "gone"])),
    max_size=25,
)


@given(history=steps, joins_at=st.integers(0, 25))
def test_list_then_watch_always_arrives_at_the_present(history: list[tuple[str, str]], joins_at: int) -> None:
    """The law every cache lives by: a list, and the events after it, add up to what a list says now."""

    async def scenario() -> None:
        async with an_api(open_memory()) as api:
            cache: dict[str, object] = {}
            events = None
            for number, (name, app) in enumerate([*history, ("z", "web")]):
                if number == min(joins_at, len(history)):
                    listed = await api.get(CONFIG_MAPS, labelSelector="app=web")
                    cache = {item["metadata"]["name"]: item for item in listed["items"]}
                    version = listed["metadata"]["resourceVersion"]
                    events = api.watch(CONFIG_MAPS, labelSelector="app=web", resourceVersion=version)
                    await settle()
                await _put(api, name, app)
            await settle()
            for event in events or ():
                name = event["object"]["metadata"]["name"]
                if event["type"] == "DELETED":
                    del cache[name]
                else:
                    assert (event["type"] == "ADDED") == (name not in cache)
                    cache[name] = event["object"]
            now = await api.get(CONFIG_MAPS, labelSelector="app=web")
            for item in now["items"]:
                item |= {"apiVersion": "v1", "kind": "ConfigMap"}
            assert cache == {item["metadata"]["name"]: item for item in now["items"]}

    virtual_time.run(scenario())


async def _put(api: Api, name: str, app: str) -> None:
    """Make the object have that label, or not be there."""
    path = f"{CONFIG_MAPS}/{name}"
    if app == "gone":
        await api.delete(path)
    elif (await api.call("GET", path)).code == 404:
        await api.create(CONFIG_MAPS, a_config_map(name, app=app))
    else:
        await api.patch(path, {"metadata": {"labels": {"app": app}}})
