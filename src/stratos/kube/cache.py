"""A watch cache: the objects of one kind, kept as the server has them.

It begins with a streaming list (or pages, where the server knows no better), follows the watch from there, resumes a
broken stream where it stopped, and lists anew when the server has forgotten that point. Whatever was missed in between
reaches subscribers as the difference: each key goes added, updated…, deleted, in this order and never backwards in
resourceVersion.

Reads are plain calls on what was last seen. A controller that writes puts the server's answer in with `Cache.observe`,
so that it cannot act twice on a state it has just changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from stratos.apis.meta import Kind, KubeObject
from stratos.base.errors import Expired, Invalid, StratosError, Unavailable
from stratos.kube.backoff import Backoff
from stratos.kube.client import DEFAULT_PAGE_SIZE, Bookmark, Client, EventType, WatchEvent
from stratos.kube.sharing import Sharing
from stratos.telemetry.logs import get_logger

T = TypeVar("T", bound=KubeObject)

_RECONNECT = Backoff(first_seconds=0.2, max_seconds=30.0)
_WATCH_SECONDS = 300  # the server ends a watch after this long, or up to twice that, and we resume
_SILENCE_SECONDS = 30.0  # past that end, or without a word while listing: nobody is there any more
_STEADY_SECONDS = 5.0  # a stream that ends sooner has failed
_STALE_LISTS = 3  # so often an older answer may come from a lagging replica; then the server has lost its past

log = get_logger(__name__)


class Change(StrEnum):
    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CacheEvent(Generic[T]):
    """A change of one object. ``old`` is None when added; when deleted, ``object`` is the last state known."""

    change: Change
    object: T
    old: T | None = None

    @property
    def key(self) -> str:
        return self.object.metadata.key


Handler = Callable[[CacheEvent[T]], None]


class _StaleList(Unavailable):
    """The server answered with an older state than it has shown before."""


class Cache(Generic[T]):
    """Run `run` in a task; everything else may be called from anywhere in the same loop.

    An index maps an object to values, and `by_index` a value to its objects. Handlers are called within the loop for
    every change, in order; they must be quick and must not raise.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        *,
        rng: random.Random,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
    ) -> None:
        self.kind = kind
        self._client = client
        self._rng = rng
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._objects: dict[str, T] = {}
        self._indexes: dict[str, _Index[T]] = {}
        self._handlers: list[Handler[T]] = []
        self._resource_version = ""
        self._must_list = True
        self._can_stream_lists = True
        self._watch_seconds = _WATCH_SECONDS
        self._heard = False  # whether the server has said anything since the last failure
        self._stale_lists = 0
        self._synced = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._sharing = Sharing()
        for name, values in (indexes or {}).items():
            self.add_index(name, values)

    # Reading

    @property
    def name(self) -> str:
        return f"cache of {self.kind.plural}"

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    @property
    def resource_version(self) -> str:
        """Everything up to here has been seen."""
        return self._resource_version

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> tuple[T, ...]:
        """All objects, or those of one namespace, oldest acquaintance first."""
        if namespace is None:
            return tuple(self._objects.values())
        return tuple(obj for obj in self._objects.values() if obj.metadata.namespace == namespace)

    def by_index(self, name: str, value: str) -> tuple[T, ...]:
        return tuple(self._objects[key] for key in self._indexes[name].keys(value))

    def add_index(self, name: str, values: Callable[[T], Iterable[str]]) -> None:
        """Index the objects, present and future, under ``name``. A name that is taken keeps its first function."""
        if name not in self._indexes:
            index = self._indexes[name] = _Index(values)
            for key, obj in self._objects.items():
                index.add(key, obj)

    def subscribe(self, handler: Handler[T]) -> None:
        """Call ``handler`` for all changes from now on, and at once for everything that is already here."""
        self._handlers.append(handler)
        for obj in tuple(self._objects.values()):
            handler(CacheEvent(Change.ADDED, obj))

    # Waiting

    async def wait_synced(self) -> None:
        await self._synced.wait()

    async def wait_until(self, predicate: Callable[[Cache[T]], bool]) -> None:
        """Return once ``predicate`` holds; it is asked again after every change."""
        while not predicate(self):
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed

    async def wait_for_version(self, resource_version: str) -> None:
        """Return once the watch has passed ``resource_version``, such as that of a write of one's own."""
        wanted = _number(resource_version)
        await self.wait_until(lambda cache: _number(cache.resource_version) >= wanted)

    # Writing one's own

    def observe(self, obj: T) -> None:
        """Take in the server's answer to a write, if the watch has not come that far yet."""
        if _number(obj.metadata.resource_version) <= _number(self._resource_version):
            return  # the watch has told us of it, and perhaps of its end
        self._put(obj)
        self._wake()

    # Following the server

    async def run(self) -> None:
        """Follow the server until cancelled. What the server does wrong is waited out; our own bugs are raised."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            try:
                await self._follow()
                if loop.time() - started >= _STEADY_SECONDS:
                    continue
                error: StratosError = Unavailable(f"the watch of {self.kind.plural} ended too soon")
            except Expired as expired:
                self._must_list = True
                error = expired
            except StratosError as failure:
                error = failure
            failures = 1 if self._heard else failures + 1
            self._heard = False
            pause = _RECONNECT.seconds(failures, self._rng)
            log.debug("watch interrupted", kind=self.kind.plural, error=error.message, retry_in_seconds=f"{pause:.2f}")
            if failures % 10 == 5:
                log.warning("watch keeps failing", kind=self.kind.plural, failures=failures, error=error.message)
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        """One stream: a list if one is due, then the watch until it ends."""
        if self._must_list and not self._can_stream_lists:
            await self._list_pages()
        try:
            async with asyncio.timeout(None) as silence, aclosing(self._watch()) as events:
                if self._must_list:
                    await self._take_streaming_list(events, silence)
                _extend(silence, self._watch_seconds + _SILENCE_SECONDS)
                async for event in events:
                    self._take(event)
        except TimeoutError as error:
            if self._must_list:  # a server that does not know streaming lists may never end one
                self._can_stream_lists = False
            raise Unavailable(f"the watch of {self.kind.plural} fell silent") from error

    def _watch(self) -> AsyncGenerator[WatchEvent[T] | Bookmark]:
        self._watch_seconds = _WATCH_SECONDS + self._rng.randrange(_WATCH_SECONDS)
        return self._client.watch(
            self.kind,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            resource_version="" if self._must_list else self._resource_version,
            send_initial_events=self._must_list,
            timeout_seconds=self._watch_seconds,
        )

    async def _take_streaming_list(
        self, events: AsyncIterator[WatchEvent[T] | Bookmark], silence: asyncio.Timeout
    ) -> None:
        found: dict[str, T] = {}
        _extend(silence, _SILENCE_SECONDS)
        try:
            async for event in events:
                _extend(silence, _SILENCE_SECONDS)
                if isinstance(event, Bookmark):
                    if event.initial_events_end:
                        self._replace(found, event.resource_version)
                        return
                elif event.type is EventType.DELETED:
                    found.pop(event.object.metadata.key, None)
                else:
                    self._gather(found, event.object)
        except Invalid:  # the server refuses streaming lists
            self._can_stream_lists = False
            raise
        raise Unavailable(f"the streaming list of {self.kind.plural} broke off")

    async def _list_pages(self) -> None:
        found: dict[str, T] = {}
        token = ""
        while True:
            page = await self._client.list(
                self.kind,
                namespace=self._namespace,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
                limit=DEFAULT_PAGE_SIZE,
                continue_token=token,
            )
            for obj in page.items:
                self._gather(found, obj)
            token = page.metadata.continue_token
            if not token:
                self._replace(found, page.metadata.resource_version)
                return

    def _gather(self, found: dict[str, T], obj: T) -> None:
        """Keep what we hold already rather than a second copy of the same."""
        key = obj.metadata.key
        known = self._objects.get(key)
        same = known is not None and known.metadata.resource_version == obj.metadata.resource_version
        found[key] = known if known is not None and same else self._sharing.share(obj)

    def _replace(self, found: Mapping[str, T], resource_version: str) -> None:
        """Become what a complete list says, telling subscribers the difference."""
        if _number(resource_version) < _number(self._resource_version):
            self._stale_lists += 1
            if self._stale_lists < _STALE_LISTS:
                raise _StaleList(f"the list of {self.kind.plural} is older than what was seen before")
            log.warning("the server has lost its past", kind=self.kind.plural, resource_version=resource_version)
            for key in tuple(self._objects):
                self._remove(key)
        self._stale_lists = 0
        self._heard = True
        for key, obj in tuple(self._objects.items()):
            # What we observed ourselves may be newer than the list.
            if key not in found and _number(obj.metadata.resource_version) <= _number(resource_version):
                self._remove(key)
        for obj in found.values():
            self._put(obj)
        self._resource_version = resource_version
        self._must_list = False
        self._synced.set()
        self._wake()

    def _take(self, event: WatchEvent[T] | Bookmark) -> None:
        self._heard = True
        if isinstance(event, Bookmark):
            version = event.resource_version
        else:
            version = event.object.metadata.resource_version
            if event.type is EventType.DELETED:
                self._remove(event.object.metadata.key, last=event.object)
            else:
                self._put(self._sharing.share(event.object))
        if _number(version) > _number(self._resource_version):
            self._resource_version = version
        self._wake()

    def _put(self, obj: T) -> None:
        key = obj.metadata.key
        old = self._objects.get(key)
        if old is not None:
            if _number(obj.metadata.resource_version) <= _number(old.metadata.resource_version):
                return
            if obj.metadata.uid != old.metadata.uid:  # deleted and created again while we looked away
                self._remove(key)
                old = None
        self._objects[key] = obj
        for index in self._indexes.values():
            if old is not None:
                index.remove(key, old)
            index.add(key, obj)
        self._tell(CacheEvent(Change.ADDED if old is None else Change.UPDATED, obj, old))

    def _remove(self, key: str, last: T | None = None) -> None:
        old = self._objects.get(key)
        if old is None:
            return
        if last is not None and _number(last.metadata.resource_version) < _number(old.metadata.resource_version):
            return  # the end of an earlier object of that name
        del self._objects[key]
        for index in self._indexes.values():
            index.remove(key, old)
        self._tell(CacheEvent(Change.DELETED, last or old, old))

    def _tell(self, event: CacheEvent[T]) -> None:
        for handler in self._handlers:
            handler(event)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)


class _Index(Generic[T]):
    """Keys by value. Each value's keys are kept in the order they came."""

    __slots__ = ("_keys", "_values")

    def __init__(self, values: Callable[[T], Iterable[str]]) -> None:
        self._values = values
        self._keys: dict[str, dict[str, None]] = {}

    def keys(self, value: str) -> Iterable[str]:
        return self._keys.get(value, ())

    def add(self, key: str, obj: T) -> None:
        for value in self._values(obj):
            self._keys.setdefault(value, {})[key] = None

    def remove(self, key: str, obj: T) -> None:
        for value in self._values(obj):
            keys = self._keys.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._keys[value]


def _extend(silence: asyncio.Timeout, seconds: float) -> None:
    silence.reschedule(asyncio.get_running_loop().time() + seconds)


def _number(resource_version: str) -> int:
    """Versions are compared as numbers, as the API promises for all its built-in and custom kinds."""
    return int(resource_version) if resource_version else 0
