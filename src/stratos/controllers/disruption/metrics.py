"""What disruption adds to the metrics: what was begun and given up, what it saves, what bars the way."""

from __future__ import annotations

from collections import Counter as Counted

from prometheus_client import CollectorRegistry, Counter, Gauge

from stratos.planning.disruption.plan import Disruption, DisruptionPlan

_PREFIX = "stratos_disruption_"


class DisruptionMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(_PREFIX + name, text, ("reason",), registry=registry)

        self.begun = counter("begun_total", "Machines whose departure was decided.")
        self.given_up = counter("given_up_total", "Machines whose departure was taken back.")
        self.pods_moved = counter("pods_moved_total", "Pods that a decision moves.")
        self.saved = counter("saved_usd_per_hour_total", "What decisions save, in US dollars per hour.")
        self.blocked = Gauge(
            _PREFIX + "blocked_machines",
            "Machines that would go, by what keeps them.",
            ("by",),
            registry=registry,
        )
        self._shown: set[str] = set()

    def begin(self, disruption: Disruption) -> None:
        reason = disruption.reason
        self.begun.labels(reason).inc(len(disruption.claims))
        self.pods_moved.labels(reason).inc(len(disruption.pods))
        self.saved.labels(reason).inc(max(0.0, disruption.saving_usd_per_hour))

    def planned(self, plan: DisruptionPlan) -> None:
        counted = Counted(each.by for each in plan.blocked)
        self._shown |= counted.keys()
        for by in self._shown:
            self.blocked.labels(by).set(counted[by])
