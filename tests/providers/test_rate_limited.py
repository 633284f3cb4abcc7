"""Clouds throttle whole accounts: being asked too fast by one controller hurts everybody."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stratos.base.errors import Throttled
from stratos.catalog.catalog import load_catalog
from stratos.providers.contract import MachineNotFound, ProviderMetrics, RateLimited
from stratos.providers.simulated.cloud import CallMoment, CloudOptions, FaultHook, SimulatedCloud
from stratos.providers.simulated.timings import Duration
from stratos.telemetry.metrics import render
from stratos.testing.virtual_time import VirtualClock, run

PROMPT = CloudOptions(api_latency=Duration.exactly(0.0), calls_per_second=1e9, call_burst=10**9)


def a_limited_cloud(
    *, qps: float, burst: int, options: CloudOptions = PROMPT, fault_hook: FaultHook | None = None
) -> tuple[SimulatedCloud, RateLimited, CollectorRegistry]:
    clock, registry = VirtualClock(), CollectorRegistry()
    cloud = SimulatedCloud(
        load_catalog("aws", "us-east-1"), clock=clock, rng=random.Random(1), options=options, fault_hook=fault_hook
    )
    limited = RateLimited(
        cloud, qps=qps, burst=burst, clock=clock, rng=random.Random(2), metrics=ProviderMetrics(registry)
    )
    return cloud, limited, registry


@given(qps=st.floats(0.5, 50), burst=st.integers(1, 20), calls=st.integers(1, 60))
def test_a44_no_window_of_time_sees_more_calls_than_rate_and_burst_allow(qps: float, burst: int, calls: int) -> None:
    async def main() -> list[float]:
        cloud, limited, _ = a_limited_cloud(qps=qps, burst=burst)
        await asyncio.gather(*(limited.describe([]) for _ in range(calls)))
        return [call.at_seconds for call in cloud.calls]

    moments = run(main())

    assert len(moments) == calls
    for first in range(calls):
        for last in range(first, calls):
            assert last - first + 1 <= burst + (moments[last] - moments[first]) * qps + 1e-6


def test_starts_go_before_refills_and_tags_come_last() -> None:
    """Pods wait for machines that start. A refill of hundreds may be queued up in front of them, as far as it goes."""

    async def main() -> list[str]:
        cloud, limited, _ = a_limited_cloud(qps=10, burst=1)
        waiting = [limited.tag("i-none", {}), limited.describe([]), limited.describe([]), limited.start("i-none", "t")]
        await asyncio.gather(*waiting, return_exceptions=True)
        return [call.operation for call in cloud.calls]

    assert run(main()) == ["tag", "start", "describe", "describe"]  # the first found nobody in front of it


def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    async def main() -> list[float]:
        cloud, limited, _ = a_limited_cloud(qps=0.1, burst=1)
        await limited.describe([])
        leaving, staying = (asyncio.create_task(limited.describe([])) for _ in range(2))
        await asyncio.sleep(5)
        leaving.cancel()
        await staying
        return [call.at_seconds for call in cloud.calls]

    first, second = run(main())
    assert second - first == pytest.approx(10)


def test_a44_a_throttled_call_is_asked_again_ever_more_slowly_until_it_succeeds() -> None:
    refusals = iter([True] * 5)

    def throttle(moment: CallMoment, operation: str, target: str) -> None:
        if moment is CallMoment.BEFORE and next(refusals, False):
            raise Throttled("slow down")

    async def main() -> list[float]:
        cloud, limited, _ = a_limited_cloud(qps=1000, burst=1000, fault_hook=throttle)
        assert await limited.list_by_tags({}) == ()
        return [call.at_seconds for call in cloud.calls]

    moments = run(main())

    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(pauses) == 5
    assert all(0.25 * 2**index <= pause <= 0.5 * 2**index + 0.01 for index, pause in enumerate(pauses))


def test_the_clouds_own_wish_for_a_pause_is_kept() -> None:
    """The simulated cloud lets one call a minute through: guessing shorter pauses would only annoy it."""
    options = CloudOptions(api_latency=Duration.exactly(0.0), calls_per_second=1 / 60, call_burst=1)

    async def main() -> list[str]:
        cloud, limited, _ = a_limited_cloud(qps=10, burst=10, options=options)
        await limited.describe([])
        await limited.describe([])
        return [call.outcome for call in cloud.calls]

    assert run(main()) == ["ok", "Throttled", "ok"]


def test_a_cloud_that_throttles_for_ever_is_not_asked_for_ever() -> None:
    def throttle(moment: CallMoment, operation: str, target: str) -> None:
        raise Throttled("slow down")

    async def main() -> int:
        cloud, limited, _ = a_limited_cloud(qps=10, burst=10, fault_hook=throttle)
        with pytest.raises(Throttled):
            await limited.describe([])
        return len(cloud.calls)

    assert run(main()) == 10


def test_calls_are_counted_by_outcome() -> None:
    async def main() -> str:
        _, limited, registry = a_limited_cloud(qps=10, burst=10)
        await limited.describe([])
        with pytest.raises(MachineNotFound):
            await limited.terminate("i-none")
        return render(registry)

    metrics = run(main())

    ok = 'stratos_cloud_provider_calls_total{operation="describe",provider="simulated",status="ok"} 1.0'
    failed = (
        'stratos_cloud_provider_calls_total{operation="terminate",provider="simulated",status="MachineNotFound"} 1.0'
    )
    assert ok in metrics
    assert failed in metrics
    assert 'stratos_cloud_provider_latency_seconds_count{operation="describe",provider="simulated"} 1.0' in metrics
