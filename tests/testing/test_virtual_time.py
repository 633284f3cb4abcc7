"""Every test of a long story stands on this loop: hours must pass at once, in order, and a deadlock must be loud."""

import asyncio

import pytest

from stratos.testing.virtual_time import EPOCH, StalledError, VirtualClock, run


def test_an_hour_passes_at_once_and_in_order() -> None:
    clock, seen = VirtualClock(), list[tuple[float, str]]()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((clock.monotonic(), name))

    async def main() -> None:
        await asyncio.gather(sleeper("late", 3600), sleeper("early", 1.5))

    run(main())

    assert [name for _, name in seen] == ["early", "late"]
    assert [moment for moment, _ in seen] == pytest.approx([1.5, 3600])
    assert clock.now() == EPOCH


def test_a_timeout_fires_at_its_virtual_moment() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return loop.time()

    assert run(main()) == pytest.approx(30, abs=0.01)


def test_a_deadlock_is_reported_instead_of_hanging() -> None:
    with pytest.raises(StalledError):
        run(asyncio.Event().wait())


def test_tasks_of_a_group_are_cancelled_in_the_order_they_were_made() -> None:
    """By address, the order would depend on what the process did before, and no replay would hold."""
    cancelled: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.append(number)

    async def fail_beside_others() -> None:
        clutter = [bytearray(48 + number) for number in range(100)]  # so that addresses are no steps of a stair
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(wait(number))
                    clutter.pop(number % len(clutter))
                await asyncio.sleep(1)
                raise ValueError("away with them")

    run(fail_beside_others())

    assert cancelled == list(range(20))
