"""One trace a pod: where the seconds went between "no node fits" and ready."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from controllers.pool_stories import Story, tell
from stratos.controllers.tracing import PodTracer
from stratos.kube.controller import Manager

STAGES = (
    "waiting for a decision",
    "asking the cloud",
    "starting the machine",
    "opening the node",
    "scheduling",
    "starting containers",
)


def traced(plot: Callable[[Story], Awaitable[None]]) -> Sequence[ReadableSpan]:
    """The spans that were there when the plot was over."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def with_tracer(story: Story) -> None:
        manager = Manager(story.client, rng=random.Random(1))
        PodTracer(manager, provider)
        running = asyncio.create_task(manager.run())
        await manager.wait_synced()
        await plot(story)
        await asyncio.sleep(1)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    tell(with_tracer)
    return exporter.get_finished_spans()


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def by_name(spans: Sequence[ReadableSpan]) -> dict[str, ReadableSpan]:
    named = {span.name: span for span in spans}
    assert len(named) == len(spans), "a stage was told twice"
    return named


def test_every_stage_from_unschedulable_to_ready_is_a_timed_span() -> None:
    """Who asks why a pod waited eighteen seconds gets the stage that took them."""
    uids = []

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=1)
        await story.add_pod()
        await story.wait_pod("Running")
        uids.append((await story.pod()).metadata.uid)

    spans = by_name(traced(plot))

    whole = spans.pop("pod default/job waits for a machine")
    assert tuple(sorted(spans, key=lambda name: spans[name].start_time or 0)) == STAGES
    assert {span.context.trace_id for span in (*spans.values(), whole)} == {uuid.UUID(uids[0]).int}
    assert all(span.parent is not None and span.parent.span_id == whole.context.span_id for span in spans.values())
    assert 15 <= seconds(spans["starting the machine"]) <= 20  # the cloud's own fifteen seconds, and the kubelet's
    assert seconds(spans["waiting for a decision"]) < 1
    assert abs(sum(map(seconds, spans.values())) - seconds(whole)) < 1e-6
    assert whole.attributes is not None
    assert whole.attributes["stratos.path"] == "warm"
    assert whole.attributes["stratos.pool"] == "ci"
    assert whole.attributes["host.id"]


def test_a_pod_that_found_room_leaves_no_trace() -> None:
    """A trace for each of thousands of pods that never waited would bury those that did."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=1)
        await story.add_pod("first", cpu="100m")
        await story.wait_pod("Running", "first")
        await story.add_pod("second", cpu="100m")
        await story.wait_pod("Running", "second")

    names = [span.name for span in traced(plot) if "waits for a machine" in span.name]

    assert names == ["pod default/first waits for a machine"]


def test_a_machine_that_was_launched_says_so() -> None:
    """Cold starts are what warm pools are there to avoid: one should see at a glance which pods had one."""

    async def plot(story: Story) -> None:
        await story.add_pool(standby=0, size=1)
        await story.add_pod()
        await story.wait_pod("Running")

    spans = by_name(traced(plot))

    assert seconds(spans["launching the machine"]) >= 60
    attributes = spans["pod default/job waits for a machine"].attributes
    assert attributes is not None
    assert attributes["stratos.path"] == "cold"
