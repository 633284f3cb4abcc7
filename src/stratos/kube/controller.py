"""The controller loop, and the manager that runs caches and controllers together.

A controller is a function from a key to nothing: it looks, decides and writes, and may be called again at any time for
any key. The loop sees to it that it is called when something changed, by one worker a key, and again after a failure.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from stratos.apis.meta import Kind, KubeObject
from stratos.base.clock import Clock
from stratos.base.errors import Conflict, NotReady, StratosError, Throttled
from stratos.kube.backoff import Backoff
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.client import Client
from stratos.kube.queue import DEFAULT_BACKOFF, Closed, Queue
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import ControllerMetrics

T = TypeVar("T", bound=KubeObject)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Requeue:
    """All is well; look at this key again later."""

    after_seconds: float


Reconcile = Callable[[str], Awaitable[Requeue | None]]


def own_key(obj: KubeObject) -> Iterable[str]:
    return (obj.metadata.key,)


class Runnable(Protocol):
    """Anything a manager can run: until cancelled, or until it is done."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


class Controller:
    """Calls ``reconcile`` for the keys it is given, by hand (`enqueue`) or by the changes of caches (`watch`).

    With ``resync_seconds`` all keys of the watched caches come up again in that interval, a little spread by chance.
    When cancelled it takes no new keys and lets the reconciles under way finish within ``grace_seconds``.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        clock: Clock,
        rng: random.Random,
        workers: int = 4,
        resync_seconds: float | None = None,
        grace_seconds: float = 4.0,  # less than what a leader that lost its lease has left
        backoff: Backoff = DEFAULT_BACKOFF,
        metrics: ControllerMetrics | None = None,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._clock = clock
        self._rng = rng
        self._workers = workers
        self._resync_seconds = resync_seconds
        self._grace_seconds = grace_seconds
        self._metrics = metrics
        self._queue = Queue(backoff)
        self._sources: list[Callable[[], Iterable[str]]] = []
        self._stopping = asyncio.Event()

    def watch(self, cache: Cache[T], keys: Callable[[T], Iterable[str]] = own_key) -> None:
        """Enqueue what ``keys`` makes of every object that changes, of its old state as well as of its new one."""

        def changed(event: CacheEvent[T]) -> None:
            for key in keys(event.object):
                self._queue.add(key)
            if event.old is not None:
                for key in keys(event.old):
                    self._queue.add(key)

        cache.subscribe(changed)
        self._sources.append(lambda: [key for obj in cache for key in keys(obj)])

    def enqueue(self, key: str, after_seconds: float = 0.0) -> None:
        self._queue.add(key, after_seconds)

    async def run(self) -> None:
        """Work until stopped or cancelled."""
        workers = [asyncio.create_task(self._work(), name=f"{self.name}-{n}") for n in range(self._workers)]
        try:
            await self._resync_until_stopped()
        finally:
            self._queue.close()
            try:
                await asyncio.wait(workers, timeout=self._grace_seconds)
            finally:
                for worker in workers:
                    worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def stop(self) -> None:
        """Let `run` finish the reconciles under way and return."""
        self._stopping.set()

    async def wait_idle(self) -> None:
        """Return when nothing is due or under way. Keys that wait for their back-off or a requeue do not count."""
        await self._queue.wait_idle()

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except Closed:
                return
            try:
                await self._reconcile_one(key)
            finally:
                self._queue.done(key)

    async def _reconcile_one(self, key: str) -> None:
        started = self._clock.monotonic()
        try:
            again = await self._reconcile(key)
        except Exception as error:
            result = self._failed(key, error)
        else:
            self._queue.forget(key)
            if again is not None:
                self._queue.add(key, again.after_seconds)
            result = "done" if again is None else "requeued"
        if self._metrics is not None:
            self._metrics.reconciles.labels(self.name, result).inc()
            self._metrics.duration_seconds.labels(self.name).observe(self._clock.monotonic() - started)
            self._metrics.queue_length.labels(self.name).set(len(self._queue))

    def _failed(self, key: str, error: Exception) -> str:
        """Come back to the key later. What the world does is expected; only the unexpected gets a traceback."""
        if isinstance(error, Throttled) and error.retry_after_seconds is not None:
            seconds = error.retry_after_seconds
            self._queue.add(key, seconds)
        else:
            seconds = self._queue.add_failed(key)
        fields: dict[str, Any] = {"controller": self.name, "key": key, "retry_in_seconds": round(seconds, 3)}
        if isinstance(error, Conflict | NotReady | Throttled):
            log.debug("reconcile must wait", reason=error.message, **fields)
            return "waiting"
        if isinstance(error, StratosError):
            log.warning("reconcile failed", reason=error.message, looked_at="; ".join(error.looked_at), **fields)
        else:
            log.error("reconcile crashed", error=error, **fields)
        return "failed"

    async def _resync_until_stopped(self) -> None:
        while True:
            pause = None if self._resync_seconds is None else self._resync_seconds * self._rng.uniform(0.9, 1.1)
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return
            except TimeoutError:
                for source in self._sources:
                    for key in source():
                        self._queue.add(key)


class Manager:
    """Shares caches among controllers and runs everything as one: caches first, the rest once they are synced.

    The first part that crashes ends all, and its error is raised from `run`.
    """

    def __init__(self, client: Client, *, rng: random.Random) -> None:
        self.client = client
        self._rng = rng
        self._caches: dict[tuple[str, str, str | None, str, str], Cache[Any]] = {}
        self._runnables: list[Runnable] = []

    def cache(
        self,
        kind: Kind[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
    ) -> Cache[T]:
        """The one cache of these objects, made on first demand. Indexes of later callers are added to it."""
        key = (kind.api_version, kind.plural, namespace, label_selector, field_selector)
        if key not in self._caches:
            self._caches[key] = Cache(
                self.client,
                kind,
                rng=self._rng,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
            )
        cache = cast(Cache[T], self._caches[key])
        for name, values in (indexes or {}).items():
            cache.add_index(name, values)
        return cache

    def add(self, *runnables: Runnable) -> None:
        self._runnables.extend(runnables)

    @property
    def synced(self) -> bool:
        return all(cache.synced for cache in self._caches.values())

    async def wait_synced(self) -> None:
        for cache in self._caches.values():
            await cache.wait_synced()

    async def run(self) -> None:
        """Run everything until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches.values():
                tasks.create_task(cache.run(), name=cache.name)
            await self.wait_synced()
            for runnable in self._runnables:
                tasks.create_task(runnable.run(), name=runnable.name)
