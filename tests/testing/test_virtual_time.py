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
