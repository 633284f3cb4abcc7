"""What dashboards and alerts hang on: the names, the labels, and that they count what they say."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec
from prometheus_client import CollectorRegistry

from stratos.apis.meta import with_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaimStatus, NodeState
from stratos.apis.nodepool import NodePoolStatus
from stratos.controllers.machines import MachineMetrics
from stratos.controllers.pools import PoolMetrics
from stratos.telemetry.metrics import render
from stratos.testing.pool_builders import NOW, a_claim, a_pool

W, S, R, T = NodeState.WARMUP, NodeState.STANDBY, NodeState.RUNNING, NodeState.TERMINATING


def concluded(
    status: NodeClaimStatus, type_: ClaimCondition, holds: bool, reason: str, after: float = 0
) -> NodeClaimStatus:
    now = NOW + timedelta(seconds=after)
    conditions = with_condition(status.conditions, type_, holds, reason=reason, message="", now=now)
    return msgspec.structs.replace(status, conditions=conditions)


def test_a42_a_warm_up_is_timed_by_how_it_ended_and_failures_are_counted_by_reason() -> None:
    """Slow and failing warm-ups have different causes."""
    registry = CollectorRegistry()
    metrics = MachineMetrics(registry)
    before = a_claim(state=W, launched_at=NOW - timedelta(seconds=80)).status

    metrics.observe("ci", before, concluded(before, ClaimCondition.WARMED_UP, True, "self_stop"), NOW)
    metrics.observe("ci", before, concluded(before, ClaimCondition.WARMED_UP, False, "timeout_no_node"), NOW)

    text = render(registry)
    assert 'stratos_nodepool_warmup_duration_seconds_sum{mode="self_stop",pool="ci"} 80.0' in text
    assert 'stratos_nodepool_warmup_failures_total{pool="ci",reason="timeout_no_node"} 1.0' in text


def test_a42_a_machine_used_as_it_is_after_a_timeout_counts_as_a_failed_warm_up_too() -> None:
    """The alert on failing warm-ups must not sleep through pools that make do."""
    registry = CollectorRegistry()
    before = a_claim(state=W, launched_at=NOW - timedelta(seconds=600)).status

    MachineMetrics(registry).observe("ci", before, concluded(before, ClaimCondition.WARMED_UP, True, "timeout"), NOW)

    text = render(registry)
    assert 'stratos_nodepool_warmup_failures_total{pool="ci",reason="timeout"} 1.0' in text
    assert 'stratos_nodepool_warmup_duration_seconds_sum{mode="timeout",pool="ci"} 600.0' in text


def test_a42_scale_ups_scale_downs_and_drains_are_read_off_the_ledger() -> None:
    """Each change of state is counted once, however often the status is written."""
    registry = CollectorRegistry()
    metrics = MachineMetrics(registry)
    standby = a_claim().status
    running = msgspec.structs.replace(standby, state=R, last_started_at=NOW - timedelta(seconds=18))
    ready = msgspec.structs.replace(running, ready_at=NOW)
    draining = concluded(msgspec.structs.replace(ready, state=T), ClaimCondition.DRAINED, False, "Draining")
    drained = concluded(draining, ClaimCondition.DRAINED, True, "Empty", after=12)
    parked = msgspec.structs.replace(drained, state=S)

    life = [standby, running, running, ready, draining, drained, parked, parked]
    for before, after in pairwise(life):
        metrics.observe("ci", before, after, NOW + timedelta(seconds=12 if after is drained else 0))

    text = render(registry)
    assert 'stratos_nodepool_scaleup_total{pool="ci"} 1.0' in text
    assert 'stratos_nodepool_scaledown_total{pool="ci"} 1.0' in text
    assert 'stratos_nodepool_scaleup_duration_seconds_sum{pool="ci"} 18.0' in text
    assert 'stratos_nodepool_drain_duration_seconds_sum{pool="ci"} 12.0' in text


def test_a42_the_opening_of_nodes_is_timed_by_what_triggered_it() -> None:
    """Timeouts here mean a network that does not report."""
    registry = CollectorRegistry()

    MachineMetrics(registry).opened("ci", "network_ready", NOW - timedelta(seconds=3), NOW)

    text = render(registry)
    name = "stratos_nodepool_startup_taint_removal_total"
    assert f'{name}{{pool="ci",result="success",trigger="network_ready"}} 1.0' in text
    assert 'stratos_nodepool_startup_taint_duration_seconds_sum{pool="ci"} 3.0' in text


def test_a42_a_pool_shows_its_machines_by_state_until_it_is_gone() -> None:
    """A gauge that outlives its pool is a false alarm."""
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)

    metrics.show(a_pool(size=9, standby=4), NodePoolStatus(warmup=1, standby=3, running=2, total=7), starting=1)
    shown = render(registry)
    metrics.forget("ci")

    for state, count in (("warmup", 1), ("standby", 3), ("running", 2), ("terminating", 1)):
        assert f'stratos_nodepool_nodes_total{{pool="ci",state="{state}"}} {count}.0' in shown
    assert 'stratos_nodepool_desired_standby{pool="ci"} 4.0' in shown
    assert 'stratos_nodepool_pool_size{pool="ci"} 9.0' in shown
    assert 'stratos_nodepool_starting_nodes{pool="ci"} 1.0' in shown
    assert 'pool="ci"' not in render(registry)
