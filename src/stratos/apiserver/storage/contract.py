"""What the API server asks of a store: versioned keys, compare-and-swap writes and a feed of changes.

A store knows nothing of kinds. Keys are paths (``/registry/core/pods/default/web-0``), values are bytes, and one
counter, the revision, orders every write there ever was. Whoever implements this passes
``stratos.testing.storage_contract``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """A value and the revision of the write that put it there."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One write. All watchers share it, and it compares by identity, so what is derived from it can be cached."""

    key: str
    revision: int
    value: bytes | None  # None: the key was deleted
    previous: Stored | None  # None: the key was created


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the keys under a prefix, as they were at ``revision``, in order of their keys."""

    items: Sequence[Stored]
    revision: int
    remaining: int  # how many more match after the last item


class Watch(Protocol):
    """A subscription. Whoever opened it closes it."""

    async def next(self) -> Sequence[Event]:
        """Wait for events and return all that have come, oldest first.

        Raises `Expired` once the watcher has fallen so far behind that events were lost to it.
        """
        ...

    @property
    def idle(self) -> bool:
        """Whether every published event has been handed out."""
        ...

    def close(self) -> None: ...


class Storage(Protocol):
    """The store behind the registry.

    Writes return only when they are durable, and reads and watches never show one before that. ``expected`` is the
    revision the caller believes the key has; a write that finds another raises `Conflict`.
    """

    @property
    def revision(self) -> int:
        """The newest revision that reads can see."""
        ...

    async def get(self, key: str, *, for_update: bool = False) -> Stored | None:
        """The present value.

        With ``for_update``, possibly one that is accepted but not durable yet: a base for a write, never for an answer.
        """
        ...

    async def list(self, prefix: str, *, limit: int = 0, after: str = "", revision: int | None = None) -> Listing:
        """Keys under ``prefix`` that sort behind ``after``, at most ``limit`` if that is not 0.

        ``revision`` asks for the state at that revision; raises `Expired` when it is no longer remembered.
        """
        ...

    async def create(self, key: str, value: bytes) -> Stored:
        """Raises `AlreadyExists`."""
        ...

    async def update(self, key: str, value: bytes, *, expected: int) -> Stored:
        """Raises `NotFound` or `Conflict`."""
        ...

    async def delete(self, key: str, *, expected: int) -> int:
        """Returns the revision of the deletion. Raises `NotFound` or `Conflict`."""
        ...

    def watch(self, prefix: str, *, after: int, wanted: Callable[[Event], bool] | None = None) -> Watch:
        """Every event under ``prefix`` with a revision above ``after``, for which ``wanted`` holds.

        ``prefix`` ends in a slash, or is one whole key. Raises `Expired` when events since ``after`` are forgotten.
        """
        ...

    def observe(self, prefix: str, observer: Callable[[Event], None]) -> None:
        """Call ``observer`` with every event under ``prefix`` from now on, before the event's writer is answered."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget how things were before ``revision``."""
        ...

    async def close(self) -> None:
        """Finish the writes under way and let go of the files. Open watches end with `Expired`."""
        ...
