"""Questions that are asked at nearly the same time, put to AWS as one.

Many parts of Stratos look at machines, each at its own. EC2 counts calls, not machines, so those who ask within a few
milliseconds share a call, of as many as one call takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_WINDOW_SECONDS = 0.005  # nobody notices
LARGEST = 200  # values that one filter of EC2 takes


class Batched(Generic[T]):
    def __init__(self, ask: Callable[[tuple[str, ...]], Awaitable[Mapping[str, T]]]) -> None:
        """``ask`` gets up to `LARGEST` different keys and answers those it knows."""
        self._ask = ask
        self._keys: dict[str, None] = {}  # of the batch that is still open
        self._open: asyncio.Task[dict[str, T]] | None = None

    async def get(self, keys: Iterable[str]) -> dict[str, T]:
        """The answers by key; unknown keys are missing. An error is one for all who asked together."""
        wanted = dict.fromkeys(keys)
        if not wanted:
            return {}
        if self._open is None:
            self._open = asyncio.create_task(self._answer_soon())
        self._keys.update(wanted)
        answers = await asyncio.shield(self._open)  # others wait for it as well
        return {key: answers[key] for key in wanted if key in answers}

    async def _answer_soon(self) -> dict[str, T]:
        await asyncio.sleep(_WINDOW_SECONDS)
        keys, self._keys, self._open = list(self._keys), {}, None
        chunks = (tuple(keys[start : start + LARGEST]) for start in range(0, len(keys), LARGEST))
        answers = await asyncio.gather(*(self._ask(chunk) for chunk in chunks))
        return {key: value for answer in answers for key, value in answer.items()}
