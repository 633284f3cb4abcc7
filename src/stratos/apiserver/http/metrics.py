"""What the server tells about itself: how many requests, of what kind, and how long they took."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class RequestMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "apiserver_request_total",
            "Requests by verb, resource and the code of the answer.",
            ("verb", "resource", "code"),
            registry=registry,
        )
        self._duration_seconds = Histogram(
            "apiserver_request_duration_seconds",
            "From the request to the whole answer; watches are not counted.",
            ("verb",),
            buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5),
            registry=registry,
        )

    def answered(self, verb: str, resource: str, code: int, seconds: float) -> None:
        self._requests.labels(verb, resource, str(code)).inc()
        if verb != "watch":
            self._duration_seconds.labels(verb).observe(seconds)
