"""A provider that does nothing for a process whose term as leader is over.

It stands right before the cloud, behind whatever makes calls wait: how long the term runs is asked when the call is
made, and a call that is still under way when it ends is given up. What has left by then cannot be called back; that is
what tokens are for, and why a term ends well before the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stratos.base.errors import NotLeading, Unavailable
from stratos.providers.contract.in_front import InFront
from stratos.providers.contract.provider import Provider

T = TypeVar("T")


class Fenced(InFront):
    """Open for as long as ``term_left`` is above zero.

    Questions are refused like the rest: what a node class lacks is made in the cloud when it is looked up.
    """

    def __init__(self, provider: Provider, term_left: Callable[[], float]) -> None:
        super().__init__(provider)
        self._term_left = term_left

    async def _through(self, operation: str, call: Callable[[], Awaitable[T]], *, what: str = "") -> T:
        left_seconds = self._term_left()
        if left_seconds <= 0:
            raise NotLeading(f"{self.name} was not asked to {operation}: this process does not lead any more")
        try:
            async with asyncio.timeout(left_seconds):
                return await call()
        except TimeoutError as error:
            raise Unavailable(f"{operation} was given up: {self.name} took longer than this process leads") from error
