"""The queue decides how often and how soon a controller is called: too often costs the API, too late costs users."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.kube.backoff import Backoff
from stratos.kube.queue import Closed, Queue
from stratos.testing.virtual_time import run


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


def test_a_key_added_many_times_is_handed_out_once() -> None:
    async def main() -> None:
        queue = Queue()
        for key in ("a", "b", "a", "a"):
            queue.add(key)
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    run(main())


def test_a_key_changed_while_in_work_comes_again_afterwards() -> None:
    """Two workers on one key would undo each other; forgetting the change would leave it unseen."""

    async def main() -> None:
        queue = Queue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await queue.get()
        queue.done("a")
        assert await queue.get() == "a"

    run(main())


def test_of_several_delays_the_earliest_counts() -> None:
    async def main() -> None:
        queue = Queue()
        queue.add("a", 30)
        queue.add("a", 10)
        queue.add("a", 20)
        assert await queue.get() == "a"
        assert now() == 10
        queue.done("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await queue.get()

    run(main())


def test_a_key_wanted_now_is_not_handed_out_again_for_an_older_delay() -> None:
    """Whoever looks now decides anew when to look next."""

    async def main() -> None:
        queue = Queue()
        queue.add("a", 30)
        queue.add("a")
        queue.done(await queue.get())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await queue.get()

    run(main())


def test_a_key_that_keeps_failing_waits_longer_each_time_until_it_does_well() -> None:
    async def main() -> None:
        queue = Queue(Backoff(first_seconds=1, max_seconds=5))
        delays = [queue.add_failed("a") for _ in range(5)]
        queue.forget("a")
        assert [*delays, queue.add_failed("a")] == [1, 2, 4, 5, 5, 1]
        assert queue.add_failed("b") == 1

    run(main())


def test_a_cancelled_getter_leaves_its_key_to_the_next() -> None:
    """A worker that is stopped at the very moment a key arrives must not swallow it."""

    async def main() -> None:
        queue = Queue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        assert await second == "a"

    run(main())


def test_a_closed_queue_hands_out_nothing() -> None:
    async def main() -> None:
        queue = Queue()
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("later", 10)
        queue.close()
        queue.add("too late")
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await queue.get()

    run(main())


@given(
    adds=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.5, 1.0, 3.0])), max_size=30),
    workers=st.integers(1, 4),
)
def test_every_added_key_is_worked_on_afterwards_and_never_by_two(adds: list[tuple[str, float]], workers: int) -> None:
    """The promise to reconcilers: one at a time, and at least once after the last change."""

    async def main() -> None:
        queue, busy = Queue(), set[str]()
        last_start = dict[str, float]()

        async def work() -> None:
            while True:
                key = await queue.get()
                assert key not in busy
                busy.add(key)
                last_start[key] = asyncio.get_running_loop().time()
                await asyncio.sleep(0.7)
                busy.discard(key)
                queue.done(key)

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        due = dict[str, float]()
        for key, delay in adds:
            queue.add(key, delay)
            due[key] = max(due.get(key, 0.0), asyncio.get_running_loop().time())
            await asyncio.sleep(0.25)
        await asyncio.sleep(60)
        await queue.wait_idle()
        for key, at in due.items():
            assert last_start[key] >= at
        for task in tasks:
            task.cancel()
        assert not [result for result in await asyncio.gather(*tasks, return_exceptions=True) if result is None]

    run(main())
