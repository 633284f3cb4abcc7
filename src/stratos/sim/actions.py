"""What happened in a run, in order: the digest proves that two runs were the same, the last lines explain a failure."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from stratos.base.clock import Clock


@dataclass(frozen=True, slots=True)
class Action:
    at_seconds: float  # since the beginning of the run
    actor: str
    what: str

    def __str__(self) -> str:
        hours, seconds = divmod(self.at_seconds, 3600)
        minutes, seconds = divmod(seconds, 60)
        return f"{hours:02.0f}:{minutes:02.0f}:{seconds:06.3f}  {self.actor:<18} {self.what}"


class ActionLog:
    """Keeps the last actions, and a digest of all of them. ``watch`` is told of each."""

    def __init__(self, clock: Clock, *, remembered: int = 400, watch: Callable[[Action], None] | None = None) -> None:
        self.count = 0
        self._clock = clock
        self._last: deque[Action] = deque(maxlen=remembered)
        self._digest = hashlib.sha256()
        self._watch = watch

    @property
    def now_seconds(self) -> float:
        return self._clock.monotonic()

    def note(self, actor: str, what: str) -> None:
        action = Action(self.now_seconds, actor, what)
        self.count += 1
        self._last.append(action)
        self._digest.update(f"{action}\n".encode())
        if self._watch:
            self._watch(action)

    def last(self, number: int) -> tuple[Action, ...]:
        return tuple(self._last)[-number:]

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
