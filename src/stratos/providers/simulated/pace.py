"""How fast the simulated world turns: all its waiting goes through here, divided by one number.

At a speed of 20, a boot of a minute takes three seconds of the event loop's time. Durations are always told in
seconds of the simulated world.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pace:
    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, and is {speed}")
        self.speed = speed

    def elapsed_seconds(self) -> float:
        """Simulated seconds since some fixed moment, for measuring durations."""
        return asyncio.get_running_loop().time() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def call_later(self, seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds / self.speed, action)
