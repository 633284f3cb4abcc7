"""Metrics are scraped as text, and equal runs must print equal text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stratos.telemetry.metrics import ControllerMetrics, render


def test_the_text_shows_what_was_counted_and_nothing_of_the_machine() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    metrics.reconciles.labels("pools", "done").inc()
    metrics.duration_seconds.labels("pools").observe(0.02)
    text = render(registry)
    assert 'stratos_controller_reconcile_total{controller="pools",result="done"} 1.0' in text
    assert 'stratos_controller_reconcile_duration_seconds_bucket{controller="pools",le="0.05"} 1.0' in text
    assert "_created" not in text
    assert "process_" not in text


def test_two_registries_do_not_meet() -> None:
    """Two control planes in one process, as simulations run them, keep their own counts."""
    first, second = CollectorRegistry(), CollectorRegistry()
    ControllerMetrics(first).reconciles.labels("pools", "done").inc()
    ControllerMetrics(second)
    assert "pools" not in render(second)
