"""Events are how people learn what happened; telling them must never cost the teller anything."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kube.embedded import a_pod, embedded_client
from kube.scripted_server import ScriptedServer
from stratos.apis.event import EVENT, Event
from stratos.apis.pod import POD
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.kube.recorder import EventRecorder
from stratos.telemetry.logs import EVENTS
from stratos.testing.virtual_time import VirtualClock, run


def a_recorder(client: Client) -> EventRecorder:
    return EventRecorder(client, "stratos", clock=VirtualClock(), ids=SeededIds(random.Random(1)))


@asynccontextmanager
async def running(recorder: EventRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def events_of(client: Client) -> list[Event]:
    return [event async for event in client.list_all(EVENT)]


def test_repeats_become_one_event_with_a_count() -> None:
    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
            recorder = a_recorder(client)
            async with running(recorder):
                for _ in range(3):
                    recorder.warning(POD, pod, "FailedScheduling", "no node fits")
                    await asyncio.sleep(60)
                recorder.normal(POD, pod, "Scheduled", "bound to node-1")
                await recorder.wait_posted()
            told = {event.reason: event for event in await events_of(client)}
            failed = told["FailedScheduling"]
            assert (failed.count, failed.type, failed.involved_object.uid) == (3, "Warning", pod.metadata.uid)
            assert failed.first_timestamp is not None
            assert failed.last_timestamp is not None
            assert (failed.last_timestamp - failed.first_timestamp).total_seconds() == 120
            assert told["Scheduled"].count == 1
            assert len(told) == 2

    run(main())


def test_events_are_listed_in_the_order_in_which_they_happened() -> None:
    """Lists are sorted by name, and nobody sorts them again before reading."""

    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
            recorder = a_recorder(client)
            async with running(recorder):
                for number in range(20):
                    recorder.normal(POD, pod, "Step", f"step {number:02}")
                    await asyncio.sleep(0.5 * (number % 2))
                await recorder.wait_posted()
            messages = [event.message for event in await events_of(client)]
            assert messages == [f"step {number:02}" for number in range(20)]

    run(main())


def test_what_is_told_is_logged_too_and_repeats_are_not(caplog: pytest.LogCaptureFixture) -> None:
    """Clusters forget Events after an hour; what happened last night is looked for in the log."""
    caplog.set_level(logging.INFO, logger=EVENTS)

    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
            recorder = a_recorder(client)
            async with running(recorder):
                for _ in range(3):
                    recorder.warning(POD, pod, "FailedScheduling", "no node fits")
                    await recorder.wait_posted()

    run(main())
    said = [record.__dict__["fields"] for record in caplog.records if record.name == EVENTS]
    assert said == [{"pod": "default/web", "type": "Warning", "reason": "FailedScheduling", "message": "no node fits"}]


def test_an_event_that_has_been_deleted_is_told_anew() -> None:
    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
            recorder = a_recorder(client)
            async with running(recorder):
                recorder.normal(POD, pod, "Woken", "up")
                await recorder.wait_posted()
                for event in await events_of(client):
                    await client.delete(EVENT, event.metadata.key)
                recorder.normal(POD, pod, "Woken", "up")
                await recorder.wait_posted()
            assert [event.count for event in await events_of(client)] == [2]

    run(main())


def test_what_is_still_unsaid_when_stopping_is_said() -> None:
    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
            recorder = a_recorder(client)
            async with running(recorder):
                await asyncio.sleep(1)
                recorder.normal(POD, pod, "Stopping", "good bye")
            assert [event.reason for event in await events_of(client)] == ["Stopping"]

    run(main())


def test_a_server_that_is_away_costs_the_caller_nothing_and_memory_stays_bounded() -> None:
    async def main() -> None:
        async with embedded_client() as client:
            pod = await client.create(POD, a_pod("web"))
        server = ScriptedServer()
        server.failing_requests = 1_000_000
        recorder = a_recorder(Client(InProcessTransport(server.app)))
        for number in range(6000):
            recorder.normal(POD, pod, "Noise", f"number {number}")
        async with running(recorder):
            await recorder.wait_posted()
        assert len(server.requests) == 5000

    run(main())
