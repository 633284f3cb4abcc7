"""A provider that is asked no faster than it likes, and asked again when it says it was too fast.

Clouds throttle by account: a controller that hammers on after the first refusal locks out everyone beside it. So calls
wait for their turn first, and after a `Throttled` for a pause that doubles, spread by chance. Starts go first, since
pods wait for them, and tags last. Whatever else goes wrong is the caller's to decide about.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from stratos.base.clock import Clock
from stratos.base.errors import StratosError, Throttled
from stratos.providers.contract.in_front import InFront
from stratos.providers.contract.provider import Provider
from stratos.providers.contract.turns import Turns, Urgency

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_ATTEMPTS = 10
_URGENCY = {"start": Urgency.PODS_WAIT, "tag": Urgency.FOR_THE_RECORD}


class ProviderMetrics:
    """What calls to clouds did and how long they took. One for all providers of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "stratos_cloud_provider_calls_total",
            "Calls to the cloud by outcome: ok, or the name of the error.",
            ("provider", "operation", "status"),
            registry=registry,
        )
        self.latency_seconds = Histogram(
            "stratos_cloud_provider_latency_seconds",
            "How long one call to the cloud took, without the wait for its turn.",
            ("provider", "operation"),
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )


class RateLimited(InFront):
    """At most ``burst`` calls at once and ``qps`` a second in the long run."""

    def __init__(
        self,
        provider: Provider,
        *,
        qps: float,
        burst: int,
        clock: Clock,
        rng: random.Random,
        metrics: ProviderMetrics,
    ) -> None:
        super().__init__(provider)
        self._turns = Turns(per_second=qps, burst=burst, clock=clock)
        self._clock = clock
        self._rng = rng
        self._metrics = metrics

    async def _through(self, operation: str, call: Callable[[], Awaitable[T]], *, what: str = "") -> T:
        for attempt in range(_ATTEMPTS - 1):
            try:
                return await self._attempt(operation, call)
            except Throttled as throttled:
                await asyncio.sleep(max(self._pause(attempt), throttled.retry_after_seconds or 0.0))
        return await self._attempt(operation, call)

    async def _attempt(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        await self._turns.wait_turn(_URGENCY.get(operation, Urgency.USUAL))
        began = self._clock.monotonic()
        status = "ok"
        try:
            return await call()
        except StratosError as error:
            status = type(error).__name__
            raise
        finally:
            self._metrics.calls.labels(self.name, operation, status).inc()
            self._metrics.latency_seconds.labels(self.name, operation).observe(self._clock.monotonic() - began)

    def _pause(self, attempt: int) -> float:
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0**attempt)
        return pause * (0.5 + self._rng.random() / 2)
