"""How a pool learns to rest."""

from __future__ import annotations

from datetime import timedelta

from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeState
from stratos.controllers.pools.setbacks import Setbacks
from stratos.kube.cache import CacheEvent, Change
from stratos.testing.pool_builders import NOW, a_claim

FAILED_AT = NOW - timedelta(minutes=1)  # when `a_claim` dates its conditions


def failed(name: str) -> CacheEvent[NodeClaim]:
    before = a_claim(name, state=NodeState.WARMUP)
    after = a_claim(name, state=NodeState.TERMINATING, conditions={ClaimCondition.WARMED_UP: "timeout"})
    return CacheEvent(Change.UPDATED, after, before)


def test_each_failure_doubles_the_rest_and_a_success_ends_it() -> None:
    """A broken image must not cost a machine every minute; a mended one must not be waited for."""
    setbacks = Setbacks()
    rests = []
    for name in ("a", "b", "c"):
        setbacks.saw(failed(name))
        until = setbacks.rests_until("ci")
        assert until is not None
        rests.append((until - FAILED_AT).total_seconds())
    prepared = a_claim("d", state=NodeState.WARMUP, warmup_completed_at=NOW)
    setbacks.saw(CacheEvent(Change.UPDATED, prepared, a_claim("d", state=NodeState.WARMUP)))

    assert rests == [30, 60, 120]
    assert setbacks.rests_until("ci") is None


def test_a_failure_seen_again_counts_once() -> None:
    """Its claim changes several times more before it is gone."""
    setbacks = Setbacks()
    event = failed("a")
    setbacks.saw(event)
    setbacks.saw(CacheEvent(Change.UPDATED, event.object, event.object))

    until = setbacks.rests_until("ci")
    assert until is not None
    assert until - FAILED_AT == timedelta(seconds=30)
