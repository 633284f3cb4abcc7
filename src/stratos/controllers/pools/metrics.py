"""What pools add to the metrics: how many machines they have, and how looking after them went."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stratos.apis.nodeclaim import NodeState
from stratos.apis.nodepool import NodePool, NodePoolStatus

_PREFIX = "stratos_nodepool_"


class PoolMetrics:
    """One for all pools of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(_PREFIX + name, text, ("pool", *labels), registry=registry)

        self.nodes = gauge("nodes_total", "Machines of the pool by state.", "state")
        self.starting = gauge("starting_nodes", "Machines that are coming into service.")
        self.desired_standby = gauge("desired_standby", "spec.minStandby.")
        self.size = gauge("pool_size", "spec.poolSize.")
        self.spot_savings = gauge(
            "spot_savings_usd_per_hour", "What spot machines in service cost less than machines on demand."
        )
        self.spot_replacements = Counter(
            _PREFIX + "spot_replacements_total",
            "On-demand machines whose place a spot machine has taken.",
            ("pool",),
            registry=registry,
        )
        self.spot_replacement_seconds = Histogram(
            _PREFIX + "spot_replacement_duration_seconds",
            "From the request for a spot machine until the on-demand one stood by.",
            ("pool",),
            buckets=(30, 60, 120, 180, 300, 600, 900),
            registry=registry,
        )
        self.seconds = Histogram(
            _PREFIX + "reconciliation_duration_seconds",
            "How long looking after a pool once took.",
            ("pool",),
            buckets=(0.1, 0.5, 1, 2, 5, 10, 30),
            registry=registry,
        )
        self.errors = Counter(
            _PREFIX + "reconciliation_errors_total",
            "Attempts to look after a pool that failed, by error.",
            ("pool", "type"),
            registry=registry,
        )

    def show(self, pool: NodePool, status: NodePoolStatus, starting: int) -> None:
        name = pool.metadata.name
        warmup, standby, running = status.warmup or 0, status.standby or 0, status.running or 0
        counts = {
            NodeState.WARMUP: warmup,
            NodeState.STANDBY: standby,
            NodeState.RUNNING: running,
            NodeState.TERMINATING: (status.total or 0) - warmup - standby - running,
        }
        for state, count in counts.items():
            self.nodes.labels(name, state).set(count)
        self.starting.labels(name).set(starting)
        self.desired_standby.labels(name).set(pool.spec.min_standby)
        self.size.labels(name).set(pool.spec.pool_size)
        self.spot_savings.labels(name).set(status.spot_savings_usd_per_hour or 0.0)

    def replaced_by_spot(self, pool: NodePool, lasted_seconds: Iterable[float]) -> None:
        for seconds in lasted_seconds:
            self.spot_replacements.labels(pool.metadata.name).inc()
            self.spot_replacement_seconds.labels(pool.metadata.name).observe(seconds)

    def forget(self, pool: str) -> None:
        """A pool that is gone has no numbers."""
        for state in NodeState:
            self.nodes.remove(pool, state)
        for gauge in (self.starting, self.desired_standby, self.size, self.spot_savings):
            gauge.remove(pool)
