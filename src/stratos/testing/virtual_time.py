"""An event loop whose clock jumps: where a real loop would sleep until its next timer, this one moves time there.

Everything that waits through asyncio (``sleep``, ``timeout``, ``call_later``) runs unchanged and takes no wall-clock
time, and the order of events depends on nothing but the program. It serves processes whose parts all live in one loop:
no threads, no sockets. If nothing is ready and no timer is set, nothing can ever happen again, and the loop says so.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where virtual time starts, unless told otherwise."""


class StalledError(RuntimeError):
    """Every task waits for another: a deadlock, found at once because virtual time has nothing to wait for."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls real files without waiting, and spends the time a real selector would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Polling costs a system call, and virtual processes have no files: skip it when somebody will move time anyway.
        if timeout is not None and timeout > 0:
            self.elapsed += timeout
            return []
        ready = super().select(0)
        if timeout is None and not ready:
            raise StalledError("nothing is ready and no timer is set: every task waits for another")
        return ready


class _NumberedTask(asyncio.Task[Any]):
    """A task that hashes by its number.

    Task groups keep their tasks in a set and cancel them in its order. Tasks hash by their address in memory, so that
    order would depend on whatever the process did before.
    """

    def __init__(self, number: int, *arguments: Any, **settings: Any) -> None:
        self._number = number  # before the task registers itself in the sets of its loop
        super().__init__(*arguments, **settings)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop and its clock. ``time()`` starts at zero and moves only while nothing is ready to run."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._jumping = _JumpingSelector()
        self._start = start
        super().__init__(self._jumping)
        numbers = itertools.count(1)
        self.set_task_factory(
            lambda loop, coroutine, **settings: _NumberedTask(next(numbers), coroutine, loop=loop, **settings)
        )

    def time(self) -> float:
        return self._jumping.elapsed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._jumping.elapsed)


class VirtualClock:
    """The `stratos.base.clock.Clock` of a virtual loop. Outside of one it shows the start of time."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0


@contextmanager
def virtual_loop(start: datetime = EPOCH) -> Generator[VirtualTimeLoop]:
    """A virtual loop that is closed, with whatever still runs in it cancelled, at the end of the block."""
    loop = VirtualTimeLoop(start)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        leftovers = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in leftovers:
            task.cancel()
        if leftovers:
            loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def run(main: Coroutine[Any, Any, T], *, start: datetime = EPOCH) -> T:
    """Run ``main`` in virtual time and return its result."""
    with virtual_loop(start) as loop:
        return loop.run_until_complete(main)
