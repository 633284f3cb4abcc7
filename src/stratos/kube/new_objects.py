"""Objects under generated names, each created once, whatever becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from stratos.apis.meta import Kind, KubeObject
from stratos.base.errors import AlreadyExists, Unavailable
from stratos.base.ids import IdSource
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.client import Client

T = TypeVar("T", bound=KubeObject)


class NewObjects(Generic[T]):
    """A name whose creation may or may not have succeeded is used again, not another one."""

    def __init__(self, client: Client, kind: Kind[T], cache: Cache[T], ids: IdSource) -> None:
        self._client = client
        self._kind = kind
        self._cache = cache
        self._ids = ids
        self._unsure: dict[str, list[str]] = {}  # by prefix, names without an answer
        cache.subscribe(self._no_longer_unsure)

    async def create(self, prefix: str, manifest: Callable[[str], dict[str, Any]]) -> None:
        """Create what ``manifest`` makes of a name that begins with ``prefix``. The answer goes into the cache."""
        unsure = self._unsure.setdefault(prefix, [])
        name = unsure.pop() if unsure else f"{prefix}-{self._ids.suffix()}"
        try:
            self._cache.observe(await self._client.create(self._kind, manifest(name)))
        except AlreadyExists:
            # It is there after all, as an earlier plan wanted it: the next one counts it.
            self._cache.observe(await self._client.get(self._kind, name))
        except Unavailable:
            unsure.append(name)
            raise

    def forget(self, prefix: str) -> None:
        self._unsure.pop(prefix, None)

    def _no_longer_unsure(self, event: CacheEvent[T]) -> None:
        """It was created after all. Its name must not come up again once it is gone: others may remember it."""
        for unsure in self._unsure.values():
            if event.key in unsure:
                unsure.remove(event.key)
