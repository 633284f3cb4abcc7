"""The stores keep their contract, and what SQLite acknowledged survives being killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratos.apiserver.storage.contract import Event, Storage
from stratos.apiserver.storage.memory import open_memory
from stratos.apiserver.storage.sqlite import open_sqlite
from stratos.apiserver.storage.store import Store
from stratos.base.errors import Conflict, Expired, Unavailable
from stratos.testing import virtual_time
from stratos.testing.storage_contract import Step, check_against_model, check_storage


def _sqlite_stores(directory: Path, *, in_thread: bool) -> Callable[[], Storage]:
    opened = iter(range(1_000_000))
    return lambda: open_sqlite(directory / f"{next(opened)}.db", in_thread=in_thread)


def test_the_memory_store_keeps_the_contract() -> None:
    virtual_time.run(check_storage(open_memory))


def test_sqlite_committing_in_the_loop_keeps_the_contract(tmp_path: Path) -> None:
    """This is how simulations use it: no threads, so that virtual time can move."""
    virtual_time.run(check_storage(_sqlite_stores(tmp_path, in_thread=False)))


def test_sqlite_committing_in_a_thread_keeps_the_contract(tmp_path: Path) -> None:
    asyncio.run(check_storage(_sqlite_stores(tmp_path, in_thread=True)))


steps = st.builds(
    Step,
    name=st.sampled_from(["a", "b", "c", "d"]),
    value=st.one_of(st.none(), st.binary(min_size=1, max_size=3)),
    stale=st.booleans(),
)


@given(history=st.lists(steps, max_size=30))
def test_the_memory_store_agrees_with_an_obvious_model(history: list[Step]) -> None:
    virtual_time.run(check_against_model(open_memory, history))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(history=st.lists(steps, max_size=15))
def test_sqlite_agrees_with_an_obvious_model(tmp_path_factory: pytest.TempPathFactory, history: list[Step]) -> None:
    stores = _sqlite_stores(tmp_path_factory.mktemp("model"), in_thread=False)
    virtual_time.run(check_against_model(stores, history))


def test_a_store_opened_again_has_everything_and_forgets_the_way_there(tmp_path: Path) -> None:
    """After a restart, objects and revision are the same; watchers from before must list again."""

    async def write() -> int:
        store = open_sqlite(tmp_path / "state.db", in_thread=False)
        created = await store.create("/a/x", b"1")
        await store.update("/a/x", b"2", expected=created.revision)
        gone = await store.create("/a/y", b"3")
        await store.delete("/a/y", expected=gone.revision)
        await store.close()
        return created.revision

    async def read(first: int) -> None:
        store = open_sqlite(tmp_path / "state.db", in_thread=False)
        listing = await store.list("/a/")
        assert [(item.key, item.value) for item in listing.items] == [("/a/x", b"2")]
        assert listing.revision == first + 3
        with pytest.raises(Expired):
            store.watch("/a/", after=first)
        await store.close()

    virtual_time.run(read(virtual_time.run(write())))


def test_two_servers_cannot_share_a_file(tmp_path: Path) -> None:
    """Each would acknowledge writes that the other knows nothing of."""

    async def scenario() -> None:
        store = open_sqlite(tmp_path / "state.db", in_thread=False)
        with pytest.raises(Unavailable, match="database is locked"):
            open_sqlite(tmp_path / "state.db", in_thread=False)
        await store.close()
        await open_sqlite(tmp_path / "state.db", in_thread=False).close()

    virtual_time.run(scenario())


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    """Secrets are stored as they are."""

    async def modes_of_the_files() -> set[int]:
        store = open_sqlite(tmp_path / "state.db", in_thread=False)
        await store.create("/a/x", b"1")
        modes = _modes(tmp_path)
        await store.close()
        return modes

    assert virtual_time.run(modes_of_the_files()) == {0o600}


def _modes(directory: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"something else entirely, and long enough to look at" * 20)
    with pytest.raises(Unavailable, match=r"state\.db cannot be used"):
        open_sqlite(path)


def test_a_watcher_that_does_not_keep_up_is_dropped_and_holds_up_nobody() -> None:
    """What waits for a reader is bounded by the store's own history."""

    async def scenario() -> None:
        store = open_memory(history_limit=10)
        slow = store.watch("/a/", after=0)
        for number in range(20):
            await store.create(f"/a/{number:02}", b"x")
        with pytest.raises(Expired):
            await slow.next()
        assert len((await store.list("/a/")).items) == 20

    virtual_time.run(scenario())


class _BrokenJournal:
    """A journal whose disk is full from the second commit on."""

    def __init__(self) -> None:
        self.commits = 0

    def load(self) -> tuple[tuple[()], int]:
        return (), 0

    def append(self, events: object) -> None:
        self.commits += 1
        if self.commits > 1:
            raise OSError("no space left on device")

    def close(self) -> None:
        pass


def test_a_write_that_could_not_be_stored_never_happened() -> None:
    """Nobody may see, or build upon, a write that its writer was told has failed."""

    async def scenario() -> None:
        store = Store(_BrokenJournal())
        seen: list[Event] = []
        store.observe("/a/", seen.append)
        first = await store.create("/a/x", b"1")
        with pytest.raises(Unavailable, match="no space left"):
            await store.update("/a/x", b"2", expected=first.revision)
        assert await store.get("/a/x", for_update=True) == first
        assert store.revision == first.revision
        assert len(seen) == 1

    virtual_time.run(scenario())


def test_writers_that_meet_share_one_commit() -> None:
    """A disk that syncs a few hundred times a second still takes thousands of writes."""

    class CountingJournal(_BrokenJournal):
        def append(self, events: object) -> None:
            self.commits += 1

    async def scenario() -> int:
        journal = CountingJournal()
        store = Store(journal)
        await asyncio.gather(*(store.create(f"/a/{number}", b"x") for number in range(100)))
        return journal.commits

    assert virtual_time.run(scenario()) == 1


def test_a_chain_of_writes_to_one_key_may_be_under_way_at_once() -> None:
    """A writer builds on the newest accepted value, and does not wait for the disk to see it."""

    async def scenario() -> None:
        store = Store(_BrokenJournal())
        created = asyncio.ensure_future(store.create("/a/x", b"1"))
        await asyncio.sleep(0)
        base = await store.get("/a/x", for_update=True)
        assert base is not None
        assert await store.get("/a/x") is None
        updated = await store.update("/a/x", b"2", expected=base.revision)
        assert updated.revision == (await created).revision + 1
        with pytest.raises(Conflict):
            await store.update("/a/x", b"3", expected=base.revision)

    virtual_time.run(scenario())


_WRITER = """
import asyncio, sys
from pathlib import Path
from stratos.apiserver.storage.sqlite import open_sqlite

async def write(store, worker):
    number = 0
    while True:
        await store.create(f"/a/{worker}-{number}", b"x" * 500)
        print(f"{worker}-{number}", flush=True)
        number += 1

async def main():
    store = open_sqlite(Path(sys.argv[1]))
    await asyncio.gather(*(write(store, worker) for worker in range(4)))

asyncio.run(main())
"""


def test_everything_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    """The promise of the whole server: nothing acknowledged is lost."""
    path = tmp_path / "state.db"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]

    async def names() -> set[str]:
        store = open_sqlite(path, in_thread=False)
        listing = await store.list("/a/")
        await store.close()
        return {item.key.removeprefix("/a/") for item in listing.items}

    assert set(acknowledged) <= virtual_time.run(names())
