"""What every store behind the API server must do; run it against each adapter.

    @pytest.mark.parametrize("open_storage", [...])
    def test_it_keeps_the_contract(open_storage): check_storage(open_storage)

``check_storage`` runs examples, ``check_against_model`` attacks with random histories that an obvious model judges.
Both open as many stores as they like: ``open_storage`` gives an empty one each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from stratos.apiserver.storage.contract import Event, Storage, Stored
from stratos.base.errors import AlreadyExists, Conflict, Expired, NotFound, StratosError

OpenStorage = Callable[[], Storage]


async def check_storage(open_storage: OpenStorage) -> None:
    """Every rule of the contract, each on a store of its own."""
    for rule in _RULES:
        storage = open_storage()
        try:
            await rule(storage)
        finally:
            await storage.close()


async def _writes_are_compared_and_swapped(storage: Storage) -> None:
    created = await storage.create("/a/x", b"1")
    assert (await storage.get("/a/x")) == created
    await _refuses(AlreadyExists, storage.create("/a/x", b"2"))
    updated = await storage.update("/a/x", b"2", expected=created.revision)
    assert updated.revision > created.revision
    await _refuses(Conflict, storage.update("/a/x", b"3", expected=created.revision))
    await _refuses(Conflict, storage.delete("/a/x", expected=created.revision))
    deleted = await storage.delete("/a/x", expected=updated.revision)
    assert deleted > updated.revision
    assert await storage.get("/a/x") is None
    await _refuses(NotFound, storage.update("/a/x", b"4", expected=updated.revision))
    await _refuses(NotFound, storage.delete("/a/x", expected=updated.revision))
    assert storage.revision == deleted


async def _of_racing_writers_one_wins(storage: Storage) -> None:
    created = await storage.create("/a/x", b"0")
    races = [storage.update("/a/x", b"%d" % racer, expected=created.revision) for racer in range(8)]
    outcomes = await asyncio.gather(*races, return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    assert len(winners) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome not in winners)
    assert await storage.get("/a/x") == winners[0]


async def _lists_are_sorted_and_paged(storage: Storage) -> None:
    for name in ("c", "a", "b"):
        await storage.create(f"/a/{name}", name.encode())
    await storage.create("/ab/z", b"not under the prefix")
    first = await storage.list("/a/", limit=2)
    assert [item.key for item in first.items] == ["/a/a", "/a/b"]
    assert first.remaining == 1
    rest = await storage.list("/a/", limit=2, after="/a/b", revision=first.revision)
    assert [item.key for item in rest.items] == ["/a/c"]
    assert rest.remaining == 0


async def _a_page_shows_the_past_it_was_asked_for(storage: Storage) -> None:
    kept = await storage.create("/a/kept", b"old")
    gone = await storage.create("/a/gone", b"there")
    then = storage.revision
    await storage.update("/a/kept", b"new", expected=kept.revision)
    await storage.delete("/a/gone", expected=gone.revision)
    await storage.create("/a/new", b"later")
    listing = await storage.list("/a/", revision=then)
    assert listing.revision == then
    assert list(listing.items) == [gone, kept]


async def _watches_carry_both_states(storage: Storage) -> None:
    watch = storage.watch("/a/", after=0)
    created = await storage.create("/a/x", b"1")
    updated = await storage.update("/a/x", b"2", expected=created.revision)
    await storage.create("/b/x", b"elsewhere")
    await storage.delete("/a/x", expected=updated.revision)
    events = await _take(storage, watch.next, 3)
    assert [(event.value, event.previous) for event in events] == [(b"1", None), (b"2", created), (None, updated)]
    assert [event.key for event in events] == ["/a/x"] * 3
    assert watch.idle
    watch.close()


async def _watches_resume(storage: Storage) -> None:
    first = await storage.create("/a/x", b"1")
    second = await storage.create("/a/y", b"2")
    watch = storage.watch("/a/", after=first.revision)
    assert [event.revision for event in await watch.next()] == [second.revision]
    watch.close()


async def _watches_filter_before_they_wake(storage: Storage) -> None:
    watch = storage.watch("/a/", after=0, wanted=lambda event: event.value == b"2")
    await storage.create("/a/x", b"1")
    assert watch.idle
    await storage.create("/a/y", b"2")
    assert [event.key for event in await watch.next()] == ["/a/y"]
    watch.close()


async def _what_is_compacted_is_expired(storage: Storage) -> None:
    first = await storage.create("/a/x", b"1")
    second = await storage.update("/a/x", b"2", expected=first.revision)
    await storage.update("/a/x", b"3", expected=second.revision)
    await storage.compact(second.revision)
    await _refuses(Expired, storage.list("/a/", revision=first.revision))
    with suppress(Expired):
        storage.watch("/a/", after=first.revision)
        raise AssertionError("a watch from a forgotten revision was opened")
    watch = storage.watch("/a/", after=second.revision)
    assert [event.value for event in await watch.next()] == [b"3"]
    watch.close()


async def _observers_are_told_before_the_writer(storage: Storage) -> None:
    told: list[bytes | None] = []
    storage.observe("/a/", lambda event: told.append(event.value))
    await storage.create("/a/x", b"1")
    assert told == [b"1"]


async def _closing_ends_watches(storage: Storage) -> None:
    watch = storage.watch("/a/", after=0)
    await storage.close()
    await _refuses(Expired, watch.next())


_RULES: tuple[Callable[[Storage], Awaitable[None]], ...] = (
    _writes_are_compared_and_swapped,
    _of_racing_writers_one_wins,
    _lists_are_sorted_and_paged,
    _a_page_shows_the_past_it_was_asked_for,
    _watches_carry_both_states,
    _watches_resume,
    _watches_filter_before_they_wake,
    _what_is_compacted_is_expired,
    _observers_are_told_before_the_writer,
    _closing_ends_watches,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One write of a random history: a value to put, or None to delete. A stale one expects the wrong revision."""

    name: str
    value: bytes | None
    stale: bool = False


@dataclass(slots=True)
class Model:
    """The obvious store: everything that ever was, copied at each revision."""

    now: dict[str, Stored] = field(default_factory=dict)
    past: dict[int, dict[str, Stored]] = field(default_factory=lambda: {0: {}})
    events: list[tuple[str, bytes | None]] = field(default_factory=list)

    def record(self, key: str, value: bytes | None, revision: int) -> None:
        if value is None:
            del self.now[key]
        else:
            self.now[key] = Stored(key, value, revision)
        self.past[revision] = dict(self.now)
        self.events.append((key, value))


async def check_against_model(open_storage: OpenStorage, history: list[Step]) -> None:
    """After any history, every past state, every page and every watch is what the model says."""
    storage, model = open_storage(), Model()
    try:
        watch = storage.watch("/m/", after=0)
        for step in history:
            await _take_step(storage, model, step)
        for revision, state in model.past.items():
            expected = [state[key] for key in sorted(state)]
            assert list((await storage.list("/m/", revision=revision)).items) == expected
            assert await _in_pages(storage, revision) == expected
        if model.events:
            events = await _take(storage, watch.next, len(model.events))
            assert [(event.key, event.value) for event in events] == model.events
            assert [event.revision for event in events] == sorted(event.revision for event in events)
        watch.close()
    finally:
        await storage.close()


async def _take_step(storage: Storage, model: Model, step: Step) -> None:
    key = f"/m/{step.name}"
    present = model.now.get(key)
    expected = present.revision + (1 if step.stale else 0) if present else 1
    try:
        if step.value is None:
            model.record(key, None, await storage.delete(key, expected=expected))
        elif present is None:
            model.record(key, step.value, (await storage.create(key, step.value)).revision)
        else:
            model.record(key, step.value, (await storage.update(key, step.value, expected=expected)).revision)
    except Conflict:
        assert step.stale and present is not None
    except NotFound:
        assert present is None
    assert await storage.get(key) == model.now.get(key)


async def _in_pages(storage: Storage, revision: int) -> list[Stored]:
    found: list[Stored] = []
    while True:
        page = await storage.list("/m/", limit=2, after=found[-1].key if found else "", revision=revision)
        found.extend(page.items)
        if not page.remaining:
            return found


async def _take(storage: Storage, following: Callable[[], Awaitable[object]], count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        batch = await following()
        assert isinstance(batch, list)
        events.extend(batch)
    assert len(events) == count
    return events


async def _refuses(error: type[StratosError], attempt: Awaitable[object]) -> None:
    try:
        await attempt
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")
