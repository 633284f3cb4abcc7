"""The queue decides who is tried next, and makes sure that trying in vain stays cheap."""

import asyncio

from planning.scheduling.scheduling_builders import a_pod
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.testing.virtual_time import run
from stratos.workloads.scheduler.queue import SchedulingQueue


def asking(cpu: str = "1", priority: int = 0) -> PodRequirements:
    return requirements_of(a_pod(requests={"cpu": cpu}, priority=priority))


def test_the_most_important_is_first_then_the_one_that_came_first() -> None:
    async def story() -> list[str]:
        queue = SchedulingQueue()
        for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
            queue.put(name, asking(priority=priority))
        return [(await queue.pop()).key for _ in range(4)]

    assert run(story()) == ["b", "d", "a", "c"]


def test_a_pod_that_fails_again_and_again_waits_longer_each_time_up_to_ten_seconds() -> None:
    """Even a stream of helpful-looking changes must not turn one pod into a busy loop."""

    async def story() -> list[float]:
        queue = SchedulingQueue()
        loop = asyncio.get_running_loop()
        queue.put("pod", asking())
        pod = await queue.pop()
        pauses = []
        for _ in range(6):
            failed_at = loop.time()
            queue.park(pod)
            queue.activate(lambda _: True)
            pod = await queue.pop()
            pauses.append(loop.time() - failed_at)
        queue.close()
        return pauses

    assert run(story()) == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_change_that_comes_after_the_backoff_is_acted_on_at_once() -> None:
    async def story() -> float:
        queue = SchedulingQueue()
        loop = asyncio.get_running_loop()
        queue.put("pod", asking())
        queue.park(await queue.pop())
        await asyncio.sleep(20)
        changed_at = loop.time()
        queue.activate(lambda _: True)
        await queue.pop()
        queue.close()
        return loop.time() - changed_at

    assert run(story()) == 0.0


def test_only_the_kinds_that_a_change_could_help_are_tried_and_each_is_asked_about_once() -> None:
    async def story() -> tuple[list[str], int]:
        queue = SchedulingQueue()
        for index in range(3):
            queue.put(f"small-{index}", asking("1"))
            queue.put(f"big-{index}", asking("8"))
        for _ in range(6):
            queue.park(await queue.pop())
        await asyncio.sleep(20)
        asked: list[PodRequirements] = []

        def is_small(requirements: PodRequirements) -> bool:
            asked.append(requirements)
            return requirements == asking("1")

        queue.activate(is_small)
        woken = [(await queue.pop()).key for _ in range(3)]
        queue.close()
        return woken, len(asked)

    assert run(story()) == (["small-0", "small-1", "small-2"], 2)


def test_should_a_reason_have_been_missed_everything_is_tried_in_the_end() -> None:
    async def story() -> str:
        queue = SchedulingQueue()
        queue.put("pod", asking())
        queue.park(await queue.pop())
        async with asyncio.timeout(301):
            return (await queue.pop()).key

    assert run(story()) == "pod"


def test_a_pod_that_is_removed_is_never_handed_out() -> None:
    async def story() -> tuple[str, int]:
        queue = SchedulingQueue()
        for name, cpu in (("ready", "1"), ("parked", "2"), ("backing-off", "3"), ("last", "4")):
            queue.put(name, asking(cpu))
        ready, parked, backing_off, _ = [await queue.pop() for _ in range(4)]
        queue.park(parked)
        queue.park(backing_off)
        queue.activate(lambda kind: kind == backing_off.requirements)
        for pod in (ready, parked, backing_off):
            queue.remove(pod.key)
        queue.put("last", asking())
        await asyncio.sleep(400)
        return (await queue.pop()).key, len(queue)

    assert run(story()) == ("last", 1)
