"""Metrics: a registry of one's own instead of the global one, and the metrics every controller and client has.

A room that has more to tell defines its metrics beside its code, on the registry it is given.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

# The "_created" samples carry the machine's own time, which would make two equal simulated runs print different text.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(registry: CollectorRegistry) -> str:
    """All metrics in the text format that Prometheus scrapes."""
    return generate_latest(registry).decode()


class PresentLife(Collector):
    """Shows the metrics of the present life of something that is made anew from time to time: they start from zero."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

    def begin(self) -> CollectorRegistry:
        self._registry = CollectorRegistry()
        return self._registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class ControllerMetrics:
    """What the controller loop says about its controllers. One for all controllers of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = Counter(
            "stratos_controller_reconcile_total",
            "Reconciles by outcome: done, requeued, waiting (not ready, conflict or throttled) or failed.",
            ("controller", "result"),
            registry=registry,
        )
        self.duration_seconds = Histogram(
            "stratos_controller_reconcile_duration_seconds",
            "How long one reconcile took.",
            ("controller",),
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            registry=registry,
        )
        self.queue_length = Gauge(
            "stratos_controller_queue_length",
            "Keys that wait for a worker.",
            ("controller",),
            registry=registry,
        )
