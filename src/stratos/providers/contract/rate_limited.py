"""A provider that is asked no faster than it likes, and asked again when it says it was too fast.

Clouds throttle by account: a controller that hammers on after the first refusal locks out everyone beside it. So calls
wait for their turn first, and after a `Throttled` for a pause that doubles, spread by chance. Starts go first, since
pods wait for them, and tags last. Whatever else goes wrong is the caller's to decide about.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from stratos.apis.meta import KubeObject
from stratos.base.clock import Clock
from stratos.base.errors import StratosError, Throttled
from stratos.catalog.catalog import Catalog
from stratos.providers.contract.machine import Interruption, LaunchRequest, Machine, MachineShape
from stratos.providers.contract.node_class import ResolvedNodeClass
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


class RateLimited:
    """A `Provider` in front of another: at most ``burst`` calls at once and ``qps`` a second in the long run."""

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
        self._provider = provider
        self._turns = Turns(per_second=qps, burst=burst, clock=clock)
        self._clock = clock
        self._rng = rng
        self._metrics = metrics

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def catalog(self) -> Catalog:
        return self._provider.catalog

    async def launch(self, request: LaunchRequest) -> Machine:
        return await self._call("launch", lambda: self._provider.launch(request))

    async def start(self, machine_id: str, token: str) -> None:
        await self._call("start", lambda: self._provider.start(machine_id, token))

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        await self._call("stop", lambda: self._provider.stop(machine_id, force=force))

    async def terminate(self, machine_id: str) -> None:
        await self._call("terminate", lambda: self._provider.terminate(machine_id))

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        return await self._call("describe", lambda: self._provider.describe(machine_ids))

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        return await self._call("list_by_tags", lambda: self._provider.list_by_tags(tags))

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        await self._call("tag", lambda: self._provider.tag(machine_id, tags))

    def interruptions(self) -> AsyncIterator[Interruption]:
        return self._provider.interruptions()

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        return await self._call("resolve", lambda: self._provider.resolve(node_class, arch=arch, gpu=gpu))

    async def release(self, node_class: KubeObject) -> None:
        await self._call("release", lambda: self._provider.release(node_class))

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        return self._provider.shape(instance_type, max_pods=max_pods, disk_gib=disk_gib)

    async def _call(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
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
