"""How long to wait after failing again: doubling, capped, and spread by chance so that clients do not march in step."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    first_seconds: float
    max_seconds: float

    def seconds(self, failures: int, rng: random.Random | None = None) -> float:
        """The pause after the ``failures``-th failure in a row, counted from one; up to half is taken off by chance."""
        pause = min(self.max_seconds, self.first_seconds * 2.0 ** min(failures - 1, 62))
        return pause if rng is None else pause * (1.0 - rng.random() / 2)
