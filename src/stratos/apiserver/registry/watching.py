"""The verb watch: what happens to the selected objects, from some revision on.

An event is decoded and encoded once, however many watch it. A watcher that does not keep up is told so (410 Expired)
and has to list again; it never holds up a writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from stratos.apiserver.registry.codec import encode_json, served
from stratos.apiserver.registry.reading import check_reached, parse_revision
from stratos.apiserver.registry.registry import key_prefix
from stratos.apiserver.registry.requests import Target, WatchOptions
from stratos.apiserver.registry.resource import Obj, Resource
from stratos.apiserver.registry.selection import Selection, Snapshot
from stratos.apiserver.registry.status import ApiError, too_old
from stratos.apiserver.storage.contract import Event, Storage, Watch
from stratos.base.errors import Expired

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_INITIAL_EVENTS_AT_ONCE = 500
_BOOKMARK_SECONDS = 60.0  # how often a quiet watch is told the revision it may resume from


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


class Change:
    """A storage event as watchers see it, with everything derived from it shared among them."""

    def __init__(self, event: Event) -> None:
        self.after = None if event.value is None else Snapshot(event.key, event.value, event.revision)
        # What has left is shown as it last was, at the revision at which it left.
        self.before = None if event.previous is None else Snapshot(event.key, event.previous.value, event.revision)
        self._lines: dict[tuple[EventType, str], bytes] = {}

    def seen_by(self, selection: Selection) -> tuple[EventType, Snapshot] | None:
        """What this is to somebody who sees only the selected objects."""
        was = self.before if self.before is not None and selection.matches(self.before) else None
        now = self.after if self.after is not None and selection.matches(self.after) else None
        if now is None:
            return None if was is None else (EventType.DELETED, was)
        return (EventType.ADDED if was is None else EventType.MODIFIED), now

    def line(self, type_: EventType, snapshot: Snapshot, resource: Resource) -> bytes:
        key = (type_, resource.group_version)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = event_line(type_, served(resource, snapshot.value, snapshot.revision))
        return line


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event for one watcher. For bookmarks and errors, ``snapshot`` is None and ``extra`` is the object."""

    type: EventType
    line: bytes
    snapshot: Snapshot | None = None
    extra: Obj | None = None


def event_line(type_: EventType, obj: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), obj)


class Watcher:
    """Opens watches."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._change = lru_cache(maxsize=1024)(Change)

    def watch(self, target: Target, options: WatchOptions) -> AsyncGenerator[Sequence[WatchEvent], None]:
        """Events in batches, as they come; what makes no sense is refused at once.

        The iterator ends after the timeout, or after an ERROR event.
        """
        selection = Selection(target.resource, options.label_selector, options.field_selector)
        start = parse_revision(options.resource_version)
        check_reached(self._storage, start)
        return self._events(target, options, selection, start)

    async def _events(
        self, target: Target, options: WatchOptions, selection: Selection, start: int | None
    ) -> AsyncGenerator[Sequence[WatchEvent], None]:
        resource = target.resource
        prefix = key_prefix(resource, target.namespace)
        from_state = options.send_initial_events or not start
        listing = await self._storage.list(prefix) if from_state else None
        after = listing.revision if listing is not None else start or 0
        try:
            watch = self._storage.watch(
                prefix, after=after, wanted=lambda event: self._change(event).seen_by(selection) is not None
            )
        except Expired:
            yield [_error(too_old(f"too old resource version: {after} ({self._storage.revision})"))]
            return
        try:
            if listing is not None:
                snapshots = (Snapshot(stored.key, stored.value, stored.revision) for stored in listing.items)
                for batch in _in_batches(_added(resource, selection, snapshots)):
                    yield batch
                if options.send_initial_events:
                    yield [_bookmark(resource, after, initial_events_end=True)]
            async for events in self._follow(watch, resource, selection, options, after):
                yield events
        finally:
            watch.close()

    async def _follow(
        self, watch: Watch, resource: Resource, selection: Selection, options: WatchOptions, told: int
    ) -> AsyncGenerator[Sequence[WatchEvent], None]:
        """Live events; ``told`` is the newest revision the watcher knows of."""
        time = asyncio.get_running_loop().time
        end = None if options.timeout_seconds is None else time() + options.timeout_seconds
        next_bookmark = time() + _BOOKMARK_SECONDS if options.bookmarks else None
        while True:
            deadline = min((moment for moment in (end, next_bookmark) if moment is not None), default=None)
            try:
                async with asyncio.timeout_at(deadline):
                    events = await watch.next()
            except TimeoutError:
                if next_bookmark is not None and time() >= next_bookmark:
                    next_bookmark = time() + _BOOKMARK_SECONDS
                    if watch.idle and self._storage.revision > told:
                        told = self._storage.revision
                        yield [_bookmark(resource, told)]
                if end is not None and time() >= end:
                    return
            except Expired:
                yield [_error(too_old(f"too old resource version: {told} ({self._storage.revision})"))]
                return
            else:
                told = events[-1].revision
                yield list(self._seen(events, resource, selection))

    def _seen(self, events: Iterable[Event], resource: Resource, selection: Selection) -> Iterable[WatchEvent]:
        for event in events:
            change = self._change(event)
            seen = change.seen_by(selection)
            if seen is not None:
                type_, snapshot = seen
                yield WatchEvent(type_, change.line(type_, snapshot, resource), snapshot)


def _added(resource: Resource, selection: Selection, snapshots: Iterable[Snapshot]) -> Iterable[WatchEvent]:
    for snapshot in snapshots:
        if selection.matches(snapshot):
            line = event_line(EventType.ADDED, served(resource, snapshot.value, snapshot.revision))
            yield WatchEvent(EventType.ADDED, line, snapshot)


def _in_batches(events: Iterable[WatchEvent]) -> Iterable[list[WatchEvent]]:
    batch: list[WatchEvent] = []
    for event in events:
        batch.append(event)
        if len(batch) == _INITIAL_EVENTS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _bookmark(resource: Resource, revision: int, *, initial_events_end: bool = False) -> WatchEvent:
    metadata: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
    return WatchEvent(EventType.BOOKMARK, event_line(EventType.BOOKMARK, encode_json(obj)), extra=obj)


def _error(error: ApiError) -> WatchEvent:
    status = error.status()
    return WatchEvent(EventType.ERROR, event_line(EventType.ERROR, encode_json(status)), extra=status)
