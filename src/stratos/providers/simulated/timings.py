"""How long machines take. Every duration is drawn from a triangular distribution, by a seeded generator.

The defaults span what public clouds show: a cold boot of 40 to 300 seconds, most often 75; a start from stopped of 15
to 25, most often 17; a stop of 5 to 30, most often 12. A boot counts from the call until the host's own software runs.
The cloud shows the machine as running after the first fifth of it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

PENDING_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds between two bounds, most often near ``mode``."""

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.mode <= self.high:
            raise ValueError(f"a duration needs 0 <= low <= mode <= high, and got {self}")

    @classmethod
    def exactly(cls, seconds: float) -> Duration:
        return cls(seconds, seconds, seconds)

    def draw(self, rng: random.Random) -> float:
        return rng.triangular(self.low, self.high, self.mode)


@dataclass(frozen=True, slots=True)
class Timings:
    """The durations of one instance type."""

    cold_boot: Duration = Duration(40, 75, 300)
    start: Duration = Duration(15, 17, 25)
    stop: Duration = Duration(5, 12, 30)
    forced_stop: Duration = Duration(1, 2, 5)
    terminate: Duration = Duration(5, 15, 45)


@dataclass(frozen=True, slots=True)
class TimingTable:
    """The timings of all types: the usual ones, and exceptions by instance type."""

    usual: Timings = Timings()
    by_instance_type: Mapping[str, Timings] = field(default_factory=dict)

    def of(self, instance_type: str) -> Timings:
        return self.by_instance_type.get(instance_type, self.usual)
