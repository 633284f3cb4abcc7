"""What the doorman counts, by route: ``namespace/name`` of the Service."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"  # by a backend, whatever it said
    TIMED_OUT = "timed-out"  # nothing was ready in time
    FULL = "full"  # too many waited
    NO_TARGET = "no-target"  # there is nothing to wake
    NO_ROUTE = "no-route"
    BACKEND_FAILED = "backend-failed"  # it took the request and broke off
    CLIENT_GONE = "client-gone"
    INVALID = "invalid"  # not a request that can be passed on


class DoormanMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        route = ("route",)
        self.requests = Counter(
            "stratos_doorman_requests_total",
            "Requests by how they ended.",
            ("route", "outcome"),
            registry=registry,
        )
        self.held = Gauge("stratos_doorman_held_requests", "Requests that wait now.", route, registry=registry)
        self.held_bytes = Gauge(
            "stratos_doorman_held_bytes", "The most that the bodies of waiting requests take.", route, registry=registry
        )
        self.hold_seconds = Histogram(
            "stratos_doorman_hold_seconds",
            "How long requests waited that had to.",
            route,
            buckets=(0.1, 0.5, 1, 2.5, 5, 10, 15, 20, 25, 30, 60, 120, 300),
            registry=registry,
        )
        self.inside = Gauge(
            "stratos_doorman_open_requests", "Requests, streams and WebSockets under way.", route, registry=registry
        )
        self.bytes = Counter(
            "stratos_doorman_bytes_total",
            "Bytes of bodies passed on: in from clients, out to them.",
            ("route", "direction"),
            registry=registry,
        )
        self.scalings = Counter(
            "stratos_doorman_scalings_total",
            "Workloads woken and put to sleep.",
            ("target", "to"),
            registry=registry,
        )

    def of_route(self, route: str) -> RouteMetrics:
        return RouteMetrics(self, route)

    def forget(self, route: str) -> None:
        """Its Service is no longer a route: what it counted would stay on show for ever."""
        for metric in (self.held, self.held_bytes, self.hold_seconds, self.inside):
            metric.remove_by_labels({"route": route})
        self.requests.remove_by_labels({"route": route})
        self.bytes.remove_by_labels({"route": route})


class RouteMetrics:
    """Those of one route, looked up once: every request counts on them."""

    __slots__ = (
        "_outcomes",
        "_requests",
        "_route",
        "bytes_in",
        "bytes_out",
        "held",
        "held_bytes",
        "hold_seconds",
        "inside",
    )

    def __init__(self, metrics: DoormanMetrics, route: str) -> None:
        self._requests = metrics.requests
        self._route = route
        self._outcomes: dict[Outcome, Counter] = {}
        self.held = metrics.held.labels(route)
        self.held_bytes = metrics.held_bytes.labels(route)
        self.hold_seconds = metrics.hold_seconds.labels(route)
        self.inside = metrics.inside.labels(route)
        self.bytes_in = metrics.bytes.labels(route, "in")
        self.bytes_out = metrics.bytes.labels(route, "out")

    def ended(self, outcome: Outcome) -> None:
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = self._requests.labels(self._route, outcome)
        counter.inc()
