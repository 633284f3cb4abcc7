"""What the life of machines adds to the metrics, read off the change of a claim's status."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from stratos.apis.meta import Condition, find_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeClaimStatus, NodeState

Owner = Literal["pool", "template"]


class MachineMetrics:
    """One for all machines of one kind of owner in a registry."""

    def __init__(self, registry: CollectorRegistry, owner: Owner = "pool") -> None:
        prefix = f"stratos_node{owner}_"

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(prefix + name, text, (owner, *labels), registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(prefix + name, text, (owner, *labels), buckets=buckets, registry=registry)

        self.scale_ups = counter("scaleup_total", "Machines brought into service.")
        self.scale_downs = counter("scaledown_total", "Machines returned to standby.")
        self.warm_up_failures = counter("warmup_failures_total", "Machines that could not be prepared.", "reason")
        self.scale_up_seconds = histogram(
            "scaleup_duration_seconds", "From the start of a machine until its node took pods.",
            (1, 5, 10, 30, 60, 120, 300),
        )  # fmt: skip
        self.warm_up_seconds = histogram(
            "warmup_duration_seconds", "From the launch of a machine until it was prepared.",
            (30, 60, 120, 180, 300, 600, 900), "mode",
        )  # fmt: skip
        self.drain_seconds = histogram(
            "drain_duration_seconds", "From the closing of a node until its pods had left.",
            (5, 10, 30, 60, 120, 300, 600),
        )  # fmt: skip
        self.taint_removals = counter("startup_taint_removal_total", "Nodes opened after a start.", "trigger", "result")
        self.taint_seconds = histogram(
            "startup_taint_duration_seconds", "How long nodes were kept closed after a start.",
            (1, 5, 10, 15, 30, 60, 120),
        )  # fmt: skip

    def observe(self, name: str, before: NodeClaimStatus, after: NodeClaimStatus, now: datetime) -> None:
        """Count what changed from ``before`` to ``after``."""
        changed = {condition.type: condition for condition in after.conditions if condition not in before.conditions}
        warmed_up = _turned(before, changed.get(ClaimCondition.WARMED_UP))
        if warmed_up is not None and (warmed_up.status == "False" or warmed_up.reason == "timeout"):
            self.warm_up_failures.labels(name, warmed_up.reason).inc()
        if warmed_up is not None and warmed_up.status == "True" and after.launched_at is not None:
            # After a timeout the machine is used as it is: a failure, and yet the end of its preparation.
            self.warm_up_seconds.labels(name, warmed_up.reason).observe(_seconds(after.launched_at, now))
        if after.state is NodeState.RUNNING and before.state is not NodeState.RUNNING:
            self.scale_ups.labels(name).inc()
        if after.state is NodeState.STANDBY and before.state in (NodeState.RUNNING, NodeState.TERMINATING):
            self.scale_downs.labels(name).inc()
        if after.ready_at != before.ready_at and after.last_started_at is not None:
            self.scale_up_seconds.labels(name).observe(_seconds(after.last_started_at, now))
        drained = _turned(before, changed.get(ClaimCondition.DRAINED))
        started = find_condition(before.conditions, ClaimCondition.DRAINED)
        if drained is not None and drained.status == "True" and started and started.last_transition_time:
            self.drain_seconds.labels(name).observe(_seconds(started.last_transition_time, now))

    def opened(self, name: str, trigger: str, started: datetime | None, now: datetime) -> None:
        """A node's start-up taints were removed."""
        self.taint_removals.labels(name, trigger, "success").inc()
        if started is not None:
            self.taint_seconds.labels(name).observe(_seconds(started, now))


class LedgerMetrics:
    """The metrics of all machines, kept apart for pools and for templates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of_pools = MachineMetrics(registry)
        self._of_templates = MachineMetrics(registry, "template")

    def observe(self, claim: NodeClaim, before: NodeClaimStatus, after: NodeClaimStatus, now: datetime) -> None:
        self._of(claim).observe(claim.spec.owner, before, after, now)

    def opened(self, claim: NodeClaim, trigger: str, now: datetime) -> None:
        self._of(claim).opened(claim.spec.owner, trigger, claim.status.last_started_at, now)

    def _of(self, claim: NodeClaim) -> MachineMetrics:
        return self._of_pools if claim.spec.pool else self._of_templates


def _turned(before: NodeClaimStatus, condition: Condition | None) -> Condition | None:
    """``condition``, if its status is another than before."""
    if condition is None:
        return None
    known = find_condition(before.conditions, condition.type)
    return condition if known is None or known.status != condition.status else None


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
