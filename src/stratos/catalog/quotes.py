"""The nouns of reading prices anew: what a list states, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stratos.catalog.instance_type import CapacityType

HOURLY = "USD per hour"
OF_ON_DEMAND = "share of on-demand"


class PriceKey(NamedTuple):
    region: str
    name: str  # an instance type, or a part that formulas add up
    capacity_type: CapacityType

    def __str__(self) -> str:
        return f"{self.name} {self.capacity_type} in {self.region}"


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as a list states it. ``sold_as`` names what it is for, when that is not Linux on shared hardware by the
    hour: such prices are no news, but tell a mix-up when one of ours equals them."""

    key: PriceKey
    amount: float
    source: str
    as_of: str
    unit: str = HOURLY
    sold_as: str | None = None
    interruption_bucket: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    key: PriceKey
    before_usd_per_hour: float | None  # None: we had no price
    after_usd_per_hour: float

    @property
    def factor(self) -> float:
        return self.after_usd_per_hour / self.before_usd_per_hour if self.before_usd_per_hour else 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    key: PriceKey
    amount: float
    reason: str
    kept_usd_per_hour: float | None  # None: there was no price, and there is none now
