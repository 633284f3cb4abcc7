"""What a cache shows must be the server's state, however badly the road between them is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.scripted_server import ScriptedServer
from stratos.apis.pod import POD, Pod
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.testing.virtual_time import run


def a_cache(server: ScriptedServer) -> Cache[Pod]:
    client = Client(InProcessTransport(server.app))
    by_team = {"team": lambda pod: [pod.metadata.labels["team"]] if "team" in pod.metadata.labels else []}
    return Cache(client, POD, rng=random.Random(1), indexes=by_team)


@asynccontextmanager
async def running(cache: Cache[Pod]) -> AsyncIterator[Cache[Pod]]:
    task = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()


def names(cache: Cache[Pod]) -> list[str]:
    return sorted(pod.metadata.name for pod in cache)


@pytest.mark.parametrize("streaming_lists", ["served", "refused", "ignored"])
def test_it_begins_with_all_that_exists_and_follows_what_happens(streaming_lists: str) -> None:
    """Older servers refuse streaming lists, or ignore the wish and never end them: both get pages instead."""

    async def main() -> None:
        server = ScriptedServer(streaming_lists=streaming_lists)
        for number in range(3):
            server.put(f"pod-{number}")
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            assert names(cache) == ["pod-0", "pod-1", "pod-2"]
            await asyncio.sleep(1)
            server.put("pod-3")
            server.remove("pod-0")
            await cache.wait_for_version(str(server.revision))
            assert names(cache) == ["pod-1", "pod-2", "pod-3"]

    run(main())


def test_a_broken_stream_is_resumed_where_it_stopped() -> None:
    """Listing anew after every hiccup would load the server with what everybody knows."""

    async def main() -> None:
        server = ScriptedServer()
        server.put("pod-0")
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            await asyncio.sleep(1)
            server.break_streams()
            server.put("pod-1")
            seen = server.revision
            await cache.wait_for_version(str(seen))
            assert names(cache) == ["pod-0", "pod-1"]
        assert [f"resourceVersion={seen - 1}" in request for request in server.requests] == [False, True]

    run(main())


def test_a_bookmark_moves_the_point_of_resumption() -> None:
    """A quiet collection must not fall out of the server's memory while others are busy."""

    async def main() -> None:
        server = ScriptedServer()
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            await asyncio.sleep(1)
            server.revision = 500
            server.bookmark()
            await cache.wait_for_version("500")
            server.forget()
            server.break_streams()
            await asyncio.sleep(60)
        assert "resourceVersion=500" in server.requests[-1]
        assert len(server.requests) == 2

    run(main())


def test_what_was_missed_reaches_subscribers_as_the_difference() -> None:
    """After 410 the history is lost, but nobody downstream may notice more than the net effect."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[tuple[Change, str]]()
        for name in ("stays", "changes", "goes", "is-replaced"):
            server.put(name)
        cache = a_cache(server)
        async with running(cache):
            await cache.wait_synced()
            cache.subscribe(lambda event: seen.append((event.change, event.object.metadata.name)))
            seen.clear()
            await asyncio.sleep(1)
            server.expire_streams()
            server.put("changes", team="a")
            server.remove("goes")
            server.remove("is-replaced")
            server.put("is-replaced")
            server.put("comes")
            server.forget()
            await cache.wait_for_version(str(server.revision))
        assert sorted(seen) == [
            (Change.ADDED, "comes"),
            (Change.ADDED, "is-replaced"),
            (Change.DELETED, "goes"),
            (Change.DELETED, "is-replaced"),
            (Change.UPDATED, "changes"),
        ]
        assert seen.index((Change.DELETED, "is-replaced")) < seen.index((Change.ADDED, "is-replaced"))

    run(main())


def test_an_index_follows_its_objects() -> None:
    async def main() -> None:
        server = ScriptedServer()
        server.put("one", team="red")
        server.put("two", team="red")
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            assert [pod.metadata.name for pod in cache.by_index("team", "red")] == ["one", "two"]
            await asyncio.sleep(1)
            server.put("one", team="blue")
            server.remove("two")
            await cache.wait_for_version(str(server.revision))
            assert cache.by_index("team", "red") == ()
            assert [pod.metadata.name for pod in cache.by_index("team", "blue")] == ["one"]

    run(main())


def test_ones_own_write_is_seen_at_once_and_told_once() -> None:
    """A controller that looks again before the watch has caught up must not do the same thing twice."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[Change]()
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            cache.subscribe(lambda event: seen.append(event.change))
            await asyncio.sleep(1)
            written = msgspec.convert(server.put("mine"), Pod)
            cache.observe(written)
            assert cache.get("default/mine") == written
            await cache.wait_for_version(str(server.revision))
        assert seen == [Change.ADDED]

    run(main())


def test_an_old_answer_does_not_bring_back_the_dead() -> None:
    """The watch may be quicker than the answer to a write: then the object may be gone already."""

    async def main() -> None:
        server = ScriptedServer()
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            await asyncio.sleep(1)
            answer = msgspec.convert(server.put("short-lived"), Pod)
            server.remove("short-lived")
            await cache.wait_for_version(str(server.revision))
            cache.observe(answer)
            assert names(cache) == []

    run(main())


def test_the_end_of_an_earlier_object_does_not_end_its_successor() -> None:
    """Deleted, created again under the same name and observed, all before the watch told of the deletion."""

    async def main() -> None:
        server, seen = ScriptedServer(), list[Change]()
        server.put("again")
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            cache.subscribe(lambda event: seen.append(event.change))
            await asyncio.sleep(1)
            server.remove("again")
            cache.observe(msgspec.convert(server.put("again"), Pod))
            await cache.wait_for_version(str(server.revision))
        assert seen == [Change.ADDED, Change.DELETED, Change.ADDED]

    run(main())


def test_a_list_made_before_ones_own_write_does_not_undo_it() -> None:
    async def main() -> None:
        server, seen = ScriptedServer(), list[Change]()
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            cache.subscribe(lambda event: seen.append(event.change))
            await asyncio.sleep(1)
            server.stale_lists.append((server.revision, {}))
            server.expire_streams()
            cache.observe(msgspec.convert(server.put("mine"), Pod))
            await cache.wait_for_version(str(server.revision))
        assert seen == [Change.ADDED]

    run(main())


def test_a_stream_that_falls_silent_is_given_up() -> None:
    """A connection can die without a word; the server ends living streams itself, so silence beyond that is death."""

    async def main() -> None:
        server = ScriptedServer()
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            await asyncio.sleep(1)
            streams, server.streams = server.streams, []
            server.put("unheard")
            server.ends_streams = False
            await cache.wait_for_version(str(server.revision))
            assert names(cache) == ["unheard"]
            assert 300 < asyncio.get_running_loop().time() < 700
            assert streams[0].empty()

    run(main())


def test_a_lagging_replica_is_not_believed() -> None:
    """Going back in time would show deleted objects as living."""

    async def main() -> None:
        server = ScriptedServer()
        server.put("ghost")
        server.stale_lists.append((server.revision, dict(server.objects)))
        server.remove("ghost")
        server.put("real")
        fresh, server.stale_lists = server.stale_lists, []
        async with running(a_cache(server)) as cache:
            await cache.wait_synced()
            seen = list[str]()
            cache.subscribe(lambda event: seen.append(event.object.metadata.name))
            await asyncio.sleep(1)
            server.stale_lists = fresh
            server.expire_streams()
            await asyncio.sleep(60)
            assert names(cache) == ["real"]
            assert seen == ["real"]

    run(main())


def test_a_server_restored_from_a_backup_is_believed_in_the_end() -> None:
    """When every answer is older than what was seen, it is the past that is gone, not the answer that is stale."""

    async def main() -> None:
        server = ScriptedServer()
        for _ in range(10):
            server.put("lost")
        restored = ScriptedServer()
        restored.put("kept")
        cache = a_cache(server)
        async with running(cache):
            await cache.wait_synced()
            server.revision, server.objects, server.history = restored.revision, restored.objects, []
            server.expire_streams()
            await cache.wait_until(lambda cache: names(cache) == ["kept"])

    run(main())


def test_a_cluster_that_is_away_is_not_hammered() -> None:
    async def main() -> None:
        server = ScriptedServer()
        server.failing_requests = 1_000_000
        async with running(a_cache(server)) as cache:
            await asyncio.sleep(3600)
            assert not cache.synced
            assert len(server.requests) < 300
            server.failing_requests = 0
            await asyncio.sleep(31)
            assert cache.synced

    run(main())


pod_names = st.sampled_from(["a", "b", "c"])
actions = st.one_of(
    st.tuples(st.just("put"), pod_names),
    st.tuples(st.just("remove"), pod_names),
    st.tuples(st.just("put and observe"), pod_names),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, 0.01, 0.3, 7.0, 400.0])),
    st.tuples(st.sampled_from(["break", "expire", "forget", "bookmark", "fail", "lag"]), st.none()),
)


@settings(max_examples=150)
@given(
    schedule=st.lists(actions, max_size=40),
    streaming_lists=st.sampled_from(["served", "refused", "ignored"]),
    seed=st.integers(0, 5),
)
def test_it_ends_as_the_server_is_and_tells_a_consistent_story(
    schedule: list[tuple[str, str | float | None]], streaming_lists: str, seed: int
) -> None:
    """Under any schedule of breaks, forgetting, lag and writes: it converges, and each key lives and dies in order."""

    async def main() -> None:
        server = ScriptedServer(streaming_lists=streaming_lists)
        client = Client(InProcessTransport(server.app))
        cache = Cache(client, POD, rng=random.Random(seed))
        story = _Story()
        cache.subscribe(story.hear)
        async with running(cache):
            for action, argument in schedule:
                await _act(server, cache, action, argument)
            await asyncio.sleep(200)
            await cache.wait_for_version(max((_version(obj) for obj in server.objects.values()), default="0"))
            shown = {pod.metadata.name: pod.metadata.resource_version for pod in cache}
            assert shown == {name: _version(obj) for name, obj in server.objects.items()}
            assert story.alive == shown

    run(main())


async def _act(server: ScriptedServer, cache: Cache[Pod], action: str, argument: str | float | None) -> None:
    match action:
        case "put":
            server.put(str(argument))
        case "put and observe":
            obj = server.put(str(argument))
            await asyncio.sleep(0.01)
            cache.observe(msgspec.convert(obj, Pod))
        case "remove":
            server.remove(str(argument))
        case "sleep":
            assert isinstance(argument, float)
            await asyncio.sleep(argument)
        case "break":
            server.break_streams()
        case "expire":
            server.expire_streams()
        case "forget":
            server.forget()
        case "bookmark":
            server.bookmark()
        case "fail":
            server.failing_requests += 2
        case "lag" if not server.stale_lists and not server.has_lagged:
            server.has_lagged = True
            server.stale_lists.append((server.revision, dict(server.objects)))
        case _:
            pass


def _version(obj: dict[str, dict[str, str]]) -> str:
    return obj["metadata"]["resourceVersion"]


class _Story:
    """What a subscriber believes; it insists on add, update…, delete for each key, never backwards in version."""

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self._newest: dict[str, int] = {}

    def hear(self, event: CacheEvent[Pod]) -> None:
        name, version = event.object.metadata.name, event.object.metadata.resource_version
        assert (name in self.alive) == (event.change is not Change.ADDED)
        assert int(version) >= self._newest.get(name, 0)
        self._newest[name] = int(version)
        if event.change is Change.DELETED:
            del self.alive[name]
        else:
            assert event.old is None or int(event.old.metadata.resource_version) < int(version)
            self.alive[name] = version
