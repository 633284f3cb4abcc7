"""Repeats are counted rather than told again: an API flooded with Events serves nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stratos.telemetry.events import CreateEvent, EventLedger, Occurrence, RepeatEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)

FULL = Occurrence(
    api_version="stratos.sh/v1alpha1",
    kind="NodePool",
    namespace="",
    name="gpu",
    uid="uid-1",
    resource_version="7",
    type="Warning",
    reason="PoolAtCapacity",
    message="all 10 machines run",
)


def test_the_first_time_makes_an_event_about_the_object() -> None:
    told = EventLedger("stratos").record(FULL, now=NOW, suffix="abc")
    assert isinstance(told, CreateEvent)
    assert told.namespace == "default", "Events about cluster-scoped objects live in default"
    assert told.body["metadata"] == {"namespace": "default", "name": "gpu.abc"}
    assert told.body["involvedObject"] == {
        "apiVersion": "stratos.sh/v1alpha1",
        "kind": "NodePool",
        "name": "gpu",
        "uid": "uid-1",
        "resourceVersion": "7",
    }
    assert told.body["firstTimestamp"] == told.body["lastTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_repeat_raises_the_count_and_keeps_the_first_time() -> None:
    ledger = EventLedger("stratos")
    ledger.record(FULL, now=NOW, suffix="abc", times=2)
    told = ledger.record(replace(FULL, resource_version="9"), now=NOW + timedelta(minutes=5), suffix="def")
    assert isinstance(told, RepeatEvent)
    assert told.key == "default/gpu.abc"
    assert told.patch == {"count": 3, "lastTimestamp": "2026-01-01T00:05:00Z"}
    assert told.otherwise.body["firstTimestamp"] == "2026-01-01T00:00:00Z"


def test_another_message_is_another_event() -> None:
    ledger = EventLedger("stratos")
    ledger.record(FULL, now=NOW, suffix="abc")
    assert isinstance(ledger.record(replace(FULL, message="other"), now=NOW, suffix="def"), CreateEvent)


def test_a_repeat_after_the_server_has_forgotten_is_told_as_new() -> None:
    ledger = EventLedger("stratos")
    ledger.record(FULL, now=NOW, suffix="abc")
    told = ledger.record(FULL, now=NOW + timedelta(hours=1), suffix="def")
    assert isinstance(told, CreateEvent)
    assert told.body["count"] == 1


def test_the_memory_of_what_was_told_is_bounded() -> None:
    ledger = EventLedger("stratos")
    ledger.record(FULL, now=NOW, suffix="abc")
    for number in range(5000):
        ledger.record(replace(FULL, message=str(number)), now=NOW, suffix="x")
    assert isinstance(ledger.record(FULL, now=NOW, suffix="def"), CreateEvent)


def test_what_the_api_would_refuse_as_too_long_is_cut() -> None:
    told = EventLedger("stratos").record(replace(FULL, name="n" * 253, message="m" * 5000), now=NOW, suffix="abc")
    assert isinstance(told, CreateEvent)
    assert len(told.body["message"]) == 1024
    assert len(told.body["metadata"]["name"]) <= 253


def test_who_speaks_depends_on_what_it_is_about() -> None:
    """Controllers share a recorder, and readers know each by its own name."""
    ledger = EventLedger("controller-manager", {"Deployment": "deployment-controller"})

    about_pod = ledger.record(FULL, now=NOW, suffix="a")
    about_deployment = ledger.record(replace(FULL, kind="Deployment"), now=NOW, suffix="b")

    assert isinstance(about_pod, CreateEvent) and isinstance(about_deployment, CreateEvent)
    assert about_pod.body["source"] == {"component": "controller-manager"}
    assert about_deployment.body["source"] == {"component": "deployment-controller"}
