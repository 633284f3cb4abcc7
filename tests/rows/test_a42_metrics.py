"""One scripted story, scraped as Prometheus would: every documented metric is there, with its labels and its value."""

from __future__ import annotations

import asyncio
import random

import pytest

from controllers.pool_stories import Story, tell
from rows.scraping import Scrape, scrape
from stratos.sim.actions import ActionLog
from stratos.sim.doors import Doors
from stratos.testing.virtual_time import VirtualClock

POOL = "stratos_nodepool_"
CLOUD = "stratos_cloud_provider_"

# By family: the kind, the labels, and the bounds of the buckets where they are documented.
DOCUMENTED: dict[str, tuple[str, set[str], set[float]]] = {
    f"{POOL}nodes_total": ("gauge", {"pool", "state"}, set()),
    f"{POOL}starting_nodes": ("gauge", {"pool"}, set()),
    f"{POOL}desired_standby": ("gauge", {"pool"}, set()),
    f"{POOL}pool_size": ("gauge", {"pool"}, set()),
    f"{POOL}scaleup": ("counter", {"pool"}, set()),
    f"{POOL}scaledown": ("counter", {"pool"}, set()),
    f"{POOL}warmup_failures": ("counter", {"pool", "reason"}, set()),
    f"{POOL}scaleup_duration_seconds": ("histogram", {"pool"}, {1, 5, 10, 30, 60, 120, 300}),
    f"{POOL}warmup_duration_seconds": ("histogram", {"pool", "mode"}, {30, 60, 120, 180, 300, 600, 900}),
    f"{POOL}drain_duration_seconds": ("histogram", {"pool"}, {5, 10, 30, 60, 120, 300, 600}),
    f"{POOL}reconciliation_duration_seconds": ("histogram", {"pool"}, {0.1, 0.5, 1, 2, 5, 10, 30}),
    f"{POOL}reconciliation_errors": ("counter", {"pool", "type"}, set()),
    f"{POOL}startup_taint_removal": ("counter", {"pool", "trigger", "result"}, set()),
    f"{POOL}startup_taint_duration_seconds": ("histogram", {"pool"}, set()),
    f"{CLOUD}calls": ("counter", {"provider", "operation", "status"}, set()),
    f"{CLOUD}latency_seconds": ("histogram", {"provider", "operation"}, set()),
}


@pytest.fixture(scope="module")
def scraped() -> Scrape:
    """A boot hangs; two machines serve a job each and stand by again; a third is drained after its longest runtime."""
    doors = Doors(ActionLog(VirtualClock()), random.Random(1))
    kept: list[Scrape] = []

    async def plot(story: Story) -> None:
        story.cloud.hang_next_boots(1)
        await story.add_filled_pool(
            size=3, standby=2, preWarm={"timeout": "5m"}, scaleDown={"emptyNodeTTL": "1m"}, maxNodeRuntime="6m"
        )
        for name in ("one", "two"):
            await story.add_pod(name, seconds=20, cpu="1500m")
        for name in ("one", "two"):
            await story.wait_pod("Succeeded", name)
        await story.wait_pool(lambda pool: pool.status.standby == 3)
        await story.add_pod("stay")
        await story.wait_told("MaxRuntimeExceeded")
        await story.wait_pool(lambda pool: (pool.status.total, pool.status.standby) == (2, 2))
        doors.lost_answers["stratos"] = 1.0
        await asyncio.sleep(60)
        doors.lost_answers.clear()
        kept.append(await scrape(story))

    tell(plot, doors={"in_front_of_api": doors.in_front_of_api, "in_front_of_cloud": doors.in_front_of_cloud})
    return kept[0]


@pytest.mark.parametrize("family", DOCUMENTED)
def test_a42_each_documented_metric_is_scraped_with_its_labels_and_buckets(family: str, scraped: Scrape) -> None:
    """Dashboards and alerts are written against these names."""
    kind, labels, bounds = DOCUMENTED[family]

    assert scraped.families[family].type == kind
    assert scraped.labels(family) == labels
    if bounds:
        assert scraped.bounds(family) == bounds


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        ("desired_standby", 2),
        ("pool_size", 3),
        ("starting_nodes", 0),
        ("scaleup_total", 3),
        ("scaledown_total", 2),
        ("scaleup_duration_seconds_count", 3),
        ("drain_duration_seconds_count", 3),
        ("startup_taint_duration_seconds_count", 3),
    ],
)
def test_a42_a_pool_counts_what_happened_to_it(sample: str, value: float, scraped: Scrape) -> None:
    """Three starts and three drains: two machines were empty and returned to standby, one was replaced."""
    assert scraped.value(POOL + sample, pool="ci") == value


def test_a42_values_are_split_by_what_they_are_about(scraped: Scrape) -> None:
    """By state, by reason, by how a warm-up ended, by what opened the node."""
    states = {"warmup": 0, "standby": 2, "running": 0, "terminating": 0}
    for state, count in states.items():
        assert scraped.value(f"{POOL}nodes_total", pool="ci", state=state) == count
    assert scraped.value(f"{POOL}warmup_failures_total", pool="ci", reason="timeout_no_node") == 1
    assert scraped.value(f"{POOL}warmup_duration_seconds_count", pool="ci", mode="controller_stop") == 3
    opened = scraped.value(f"{POOL}startup_taint_removal_total", pool="ci", trigger="network_ready", result="success")
    assert opened == 3
    assert scraped.value(f"{POOL}reconciliation_errors_total", pool="ci", type="Unavailable") >= 1
    assert 3 * 15 < scraped.value(f"{POOL}scaleup_duration_seconds_sum", pool="ci") < 3 * 20


@pytest.mark.parametrize(("operation", "calls"), [("launch", 4), ("start", 3), ("terminate", 2)])
def test_a42_calls_to_the_cloud_are_counted_and_timed(operation: str, calls: int, scraped: Scrape) -> None:
    """A slow or failing cloud should be seen before its effects are."""
    own = {"provider": "simulated", "operation": operation}

    assert scraped.value(f"{CLOUD}calls_total", **own, status="ok") == calls
    assert scraped.value(f"{CLOUD}latency_seconds_count", **own) == calls
