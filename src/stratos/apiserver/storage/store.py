"""The store itself: all current values in memory, recent history for watchers and pages, and a journal for durability.

Reads never touch the disk. A write is checked against the newest accepted state at once, and published (readable,
watchable, acknowledged) only after the journal has it, in revision order; whatever is accepted while the journal is
busy shares its next commit. Without a journal the store is a plain in-memory one, for simulations and tests.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Protocol

from stratos.apiserver.storage.contract import Event, Listing, Stored
from stratos.base.errors import AlreadyExists, Conflict, Expired, NotFound, StratosError, Unavailable

DEFAULT_HISTORY = 10_000


class Journal(Protocol):
    """Where a store's writes survive a crash."""

    def load(self) -> tuple[Iterable[Stored], int]:
        """Everything there is, and the newest revision."""
        ...

    def append(self, events: Sequence[Event]) -> None:
        """Make the writes durable, all or none. Called by one thread at a time."""
        ...

    def close(self) -> None: ...


class _Batch:
    """Writes that share a commit."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.settled = asyncio.Event()
        self.failure: Exception | None = None


class Store:
    """Implements ``Storage``. ``in_thread`` keeps the journal's blocking commits off the event loop."""

    def __init__(
        self, journal: Journal | None = None, *, in_thread: bool = False, history_limit: int = DEFAULT_HISTORY
    ) -> None:
        self._journal = journal
        self._in_thread = in_thread
        self._history_limit = history_limit
        loaded, revision = journal.load() if journal else ((), 0)
        self._state = {stored.key: stored for stored in loaded}
        self._keys = sorted(self._state)
        self._revision = self._head = self._compacted = revision
        self._history: deque[Event] = deque()
        self._ahead: dict[str, Event] = {}  # accepted, not yet published: the newest write of each key
        self._gathering: _Batch | None = None
        self._committer: asyncio.Task[None] | None = None
        self._watchers: dict[str, dict[StoreWatch, None]] = {}
        self._observers: dict[str, list[Callable[[Event], None]]] = {}
        self._closed = False

    @property
    def revision(self) -> int:
        return self._revision

    async def get(self, key: str, *, for_update: bool = False) -> Stored | None:
        return self._newest(key) if for_update else self._state.get(key)

    async def list(self, prefix: str, *, limit: int = 0, after: str = "", revision: int | None = None) -> Listing:
        first = bisect_left(self._keys, prefix)
        if after > prefix:
            first = max(first, bisect_right(self._keys, after))
        last = bisect_left(self._keys, prefix + "\U0010ffff", lo=first)
        if revision is None or revision == self._revision:
            stop = min(last, first + limit) if limit else last
            items = [self._state[key] for key in self._keys[first:stop]]
            return Listing(items, self._revision, last - stop)
        then = self._keys_at(revision, prefix, after, self._keys[first:last])
        taken = then[:limit] if limit else then
        return Listing(taken, revision, len(then) - len(taken))

    def _keys_at(self, revision: int, prefix: str, after: str, keys: Iterable[str]) -> Sequence[Stored]:
        """The state at ``revision``, found by undoing what happened since."""
        self._check_remembered(revision)
        state = {key: self._state[key] for key in keys}
        for event in takewhile(lambda event: event.revision > revision, reversed(self._history)):
            if not event.key.startswith(prefix) or event.key <= after:
                continue
            if event.previous is None:
                state.pop(event.key, None)
            else:
                state[event.key] = event.previous
        return [state[key] for key in sorted(state)]

    async def create(self, key: str, value: bytes) -> Stored:
        if self._newest(key) is not None:
            raise AlreadyExists(f"{key} already exists")
        event = await self._write(key, value, None)
        return Stored(key, value, event.revision)

    async def update(self, key: str, value: bytes, *, expected: int) -> Stored:
        event = await self._write(key, value, self._expect(key, expected))
        return Stored(key, value, event.revision)

    async def delete(self, key: str, *, expected: int) -> int:
        return (await self._write(key, None, self._expect(key, expected))).revision

    def watch(self, prefix: str, *, after: int, wanted: Callable[[Event], bool] | None = None) -> StoreWatch:
        self._check_remembered(after)
        recent = takewhile(lambda event: event.revision > after, reversed(self._history))
        backlog = [event for event in recent if event.key.startswith(prefix) and (wanted is None or wanted(event))]
        watch = StoreWatch(self._forget, prefix, wanted, after, self._history_limit, reversed(backlog))
        self._watchers.setdefault(prefix, {})[watch] = None
        return watch

    def observe(self, prefix: str, observer: Callable[[Event], None]) -> None:
        self._observers.setdefault(prefix, []).append(observer)

    async def compact(self, revision: int) -> None:
        while self._history and self._history[0].revision <= revision:
            self._compacted = self._history.popleft().revision

    async def close(self) -> None:
        self._closed = True
        if self._committer is not None:
            await self._committer
        for watch in [watch for watchers in self._watchers.values() for watch in watchers]:
            watch.expire()
        if self._journal is not None:
            self._journal.close()

    def _newest(self, key: str) -> Stored | None:
        event = self._ahead.get(key)
        if event is None:
            return self._state.get(key)
        return None if event.value is None else Stored(key, event.value, event.revision)

    def _expect(self, key: str, expected: int) -> Stored:
        newest = self._newest(key)
        if newest is None:
            raise NotFound(f"{key} does not exist")
        if newest.revision != expected:
            raise Conflict(f"{key} is at revision {newest.revision}, not {expected}")
        return newest

    async def _write(self, key: str, value: bytes | None, previous: Stored | None) -> Event:
        if self._closed:
            raise Unavailable("the store is closed")
        self._head += 1
        event = Event(key, self._head, value, previous)
        if self._journal is None:
            self._publish(event)
            return event
        self._ahead[key] = event
        batch = self._gathering = self._gathering or _Batch()
        batch.events.append(event)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit(self._journal), name="storage commit")
        await batch.settled.wait()
        if batch.failure is not None:
            raise Unavailable(f"{key} could not be stored: {batch.failure}") from batch.failure
        return event

    async def _commit(self, journal: Journal) -> None:
        """Commit batch after batch, until nothing is waiting."""
        while (batch := self._gathering) is not None:
            self._gathering = None
            try:
                if self._in_thread:
                    await asyncio.to_thread(journal.append, batch.events)
                else:
                    journal.append(batch.events)
            except Exception as error:
                self._abandon(batch, error)
                continue
            for event in batch.events:
                self._publish(event)
            batch.settled.set()
        self._committer = None

    def _abandon(self, failed: _Batch, error: Exception) -> None:
        """Forget a failed commit, and with it the writes that were accepted on top of it."""
        self._head = self._revision
        self._ahead.clear()
        for batch in (failed, self._gathering):
            if batch is not None:
                batch.failure = error
                batch.settled.set()
        self._gathering = None

    def _publish(self, event: Event) -> None:
        if event.value is None:
            del self._state[event.key]
            del self._keys[bisect_left(self._keys, event.key)]
        else:
            if event.previous is None:
                insort(self._keys, event.key)
            self._state[event.key] = Stored(event.key, event.value, event.revision)
        if self._ahead.get(event.key) is event:
            del self._ahead[event.key]
        self._revision = event.revision
        self._history.append(event)
        if len(self._history) > self._history_limit:
            self._compacted = self._history.popleft().revision
        for prefix in _prefixes(event.key):
            for observer in self._observers.get(prefix, ()):
                observer(event)
            for watch in list(self._watchers.get(prefix, ())):
                watch.offer(event)

    def _check_remembered(self, revision: int) -> None:
        if revision < self._compacted:
            raise Expired(f"revision {revision} is forgotten", looked_at=(f"the oldest is {self._compacted}",))

    def _forget(self, watch: StoreWatch) -> None:
        watchers = self._watchers.get(watch.prefix, {})
        watchers.pop(watch, None)
        if not watchers:
            self._watchers.pop(watch.prefix, None)


def _prefixes(key: str) -> Iterable[str]:
    """Every prefix of the key that a watch may be registered under."""
    end = key.find("/")
    while end >= 0:
        yield key[: end + 1]
        end = key.find("/", end + 1)
    yield key


class StoreWatch:
    """Holds what its reader has not fetched yet: references only, and never more of them than the store's history."""

    def __init__(
        self,
        forget: Callable[[StoreWatch], None],
        prefix: str,
        wanted: Callable[[Event], bool] | None,
        after: int,
        limit: int,
        backlog: Iterable[Event],
    ) -> None:
        self.prefix = prefix
        self._forget = forget
        self._wanted = wanted
        self._after = after
        self._limit = limit
        self._pending = list(backlog)
        self._ready = asyncio.Event()
        self._failure: StratosError | None = None
        if self._pending:
            self._ready.set()

    @property
    def idle(self) -> bool:
        return not self._pending

    async def next(self) -> Sequence[Event]:
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        events, self._pending = self._pending, []
        self._ready.clear()
        return events

    def close(self) -> None:
        self._forget(self)

    def offer(self, event: Event) -> None:
        if event.revision <= self._after or (self._wanted is not None and not self._wanted(event)):
            return
        if len(self._pending) >= self._limit:
            self.expire()
            return
        self._pending.append(event)
        self._ready.set()

    def expire(self) -> None:
        self._pending = []
        self._failure = Expired("the watch fell too far behind, or the store was closed")
        self._forget(self)
        self._ready.set()
