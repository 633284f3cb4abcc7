"""`--speed` must hurry everything alike: waits get shorter, and the clock that stamps objects keeps step with them."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from stratos.wiring.clock import HurriedClock, HurriedLoop


def test_a_hurried_second_is_shorter_and_the_clock_keeps_step() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    loop = HurriedLoop(speed=200)

    async def wait_ten_seconds() -> tuple[float, float]:
        clock = HurriedClock(200, start)
        before = loop.time()
        await asyncio.sleep(10)
        return loop.time() - before, (clock.now() - start).total_seconds()

    wall = time.perf_counter()
    try:
        by_loop, by_clock = loop.run_until_complete(wait_ten_seconds())
    finally:
        loop.close()

    assert by_loop >= 10
    assert by_clock == pytest.approx(by_loop, rel=0.2)
    assert time.perf_counter() - wall < 5
