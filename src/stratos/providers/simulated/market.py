"""What can be had at the moment: stock, quotas, and the toll that each call pays.

Stock-outs are scripted (`sell_out`), drawn by chance, or both. One that was drawn lasts one to ten minutes. Quotas
count the vCPUs of machines that are not stopped, separately for each capacity type, as EC2 does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from stratos.base.errors import QuotaExceeded, Throttled
from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract import OfferingKey

_DRAWN_STOCK_OUT_SECONDS = (60.0, 600.0)


class Stock:
    def __init__(self, rng: random.Random, stock_out_probability: float = 0.0) -> None:
        self.stock_out_probability = stock_out_probability
        self._rng = rng
        self._sold_out: set[tuple[str, str | None, CapacityType | None]] = set()
        self._out_until: dict[OfferingKey, float] = {}

    def sell_out(self, instance_type: str, zone: str | None = None, capacity_type: CapacityType | None = None) -> None:
        """There is none left until `restock`; in all zones, or under all terms, where none is named."""
        self._sold_out.add((instance_type, zone, capacity_type))

    def restock(self) -> None:
        """Everything can be had again, but for what chance takes away."""
        self._sold_out.clear()
        self._out_until.clear()

    def has(self, key: OfferingKey, now: float) -> bool:
        """Whether one can be had now. Asking may draw a stock-out, so ask only in order to take."""
        scripted = any(
            (key.instance_type, zone, capacity_type) in self._sold_out
            for zone in (key.zone, None)
            for capacity_type in (key.capacity_type, None)
        )
        if scripted or self._out_until.get(key, 0.0) > now:
            return False
        if self.stock_out_probability and self._rng.random() < self.stock_out_probability:
            self._out_until[key] = now + self._rng.uniform(*_DRAWN_STOCK_OUT_SECONDS)
            return False
        return True


@dataclass(slots=True)
class Quota:
    max_vcpus: dict[CapacityType, int] = field(default_factory=dict)  # none named: no limit

    def is_limited(self, capacity_type: CapacityType) -> bool:
        return capacity_type in self.max_vcpus

    def check(self, capacity_type: CapacityType, used_vcpus: int, wanted_vcpus: int) -> None:
        limit = self.max_vcpus.get(capacity_type)
        if limit is not None and used_vcpus + wanted_vcpus > limit:
            raise QuotaExceeded(
                f"{wanted_vcpus} more {capacity_type} vCPUs would exceed the account's quota",
                looked_at=(f"quota {limit} vCPUs, {used_vcpus} in use",),
                hint="ask the cloud for a higher quota, or use smaller machines",
            )


class Toll:
    """A token bucket over all calls of the account."""

    def __init__(self, calls_per_second: float, burst: int) -> None:
        self._rate = calls_per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def pay(self, operation: str, now: float) -> None:
        filled_for = now - (now if self._filled_at is None else self._filled_at)
        self._tokens = min(float(self._burst), self._tokens + filled_for * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            wait = (1 - self._tokens) / self._rate
            raise Throttled(f"{operation}: request limit exceeded", retry_after_seconds=wait)
        self._tokens -= 1
