"""One pool in numbers, the same wherever it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import NodeClaim, NodeState
from stratos.apis.nodepool import NodePool


@dataclass(frozen=True, slots=True)
class PoolFacts:
    name: str
    pool_size: int
    min_standby: int
    warmup: int  # asked for, or being prepared
    standby: int
    running: int
    leaving: int
    usd_per_hour: float  # of the machines that are powered on; standby ones cost only their disks
    ready: str  # "yes", or why not
    spot: int = 0  # of those that run
    spot_saves_usd_per_hour: float = 0.0  # what those cost less than on-demand ones

    @property
    def total(self) -> int:
        return self.warmup + self.standby + self.running + self.leaving


def pool_facts(pool: NodePool, claims: Iterable[NodeClaim]) -> PoolFacts:
    """``claims`` may be those of other pools, too."""
    own = [claim for claim in claims if claim.spec.pool == pool.metadata.name]
    states = Counter(claim.status.state for claim in own)
    powered = [claim for claim in own if claim.status.state is not NodeState.STANDBY]
    return PoolFacts(
        name=pool.metadata.name,
        pool_size=pool.spec.pool_size,
        min_standby=pool.spec.min_standby,
        warmup=states[NodeState.WARMUP] + states[None],
        standby=states[NodeState.STANDBY],
        running=states[NodeState.RUNNING],
        leaving=states[NodeState.TERMINATING],
        usd_per_hour=round(sum(claim.status.price_usd_per_hour or 0.0 for claim in powered), 6),
        ready=_readiness(pool),
        spot=sum(claim.is_spot and claim.status.state is NodeState.RUNNING for claim in own),
        spot_saves_usd_per_hour=pool.status.spot_savings_usd_per_hour or 0.0,
    )


def _readiness(pool: NodePool) -> str:
    degraded = find_condition(pool.status.conditions, "Degraded")
    if degraded is not None and degraded.status == "True":
        return f"no: {degraded.message}"
    ready = find_condition(pool.status.conditions, "Ready")
    if ready is None:
        return "not looked at yet"
    return "yes" if ready.status == "True" else f"no: {ready.message}"
