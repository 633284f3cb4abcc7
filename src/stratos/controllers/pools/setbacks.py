"""How long a pool rests from launching after machines that could not be launched or prepared.

Kept in memory only: a controller that restarts may try once more than it should, and learns again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, Wanted
from stratos.kube.backoff import Backoff
from stratos.kube.cache import CacheEvent

_REST = Backoff(first_seconds=30.0, max_seconds=1800.0)


@dataclass(frozen=True, slots=True)
class _Record:
    failures: int
    last_at: datetime


class Setbacks:
    """Subscribe `saw` to the claims; it counts each failure once, and forgets all with the first success."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def rests_until(self, pool: str) -> datetime | None:
        record = self._records.get(pool)
        return record.last_at + timedelta(seconds=_REST.seconds(record.failures)) if record else None

    def saw(self, event: CacheEvent[NodeClaim]) -> None:
        claim, pool = event.object, event.object.spec.pool
        if claim.is_spot:
            return  # its place is left alone for a while; machines on demand are another matter
        failed_at = _failed_at(claim) if pool else None
        if failed_at is not None and failed_at != (_failed_at(event.old) if event.old else None):
            record = self._records.get(pool)
            self._records[pool] = _Record(record.failures + 1 if record else 1, failed_at)
        elif event.old is not None and _was_prepared(claim) and not _was_prepared(event.old):
            self._records.pop(pool, None)

    def forget(self, pool: str) -> None:
        self._records.pop(pool, None)


def _was_prepared(claim: NodeClaim) -> bool:
    return claim.status.warmup_completed_at is not None


def _failed_at(claim: NodeClaim) -> datetime | None:
    """When its warm-up failed, or the launch of a machine that pods wait for."""
    warmed_up = find_condition(claim.status.conditions, ClaimCondition.WARMED_UP)
    if warmed_up is not None and warmed_up.status == "False":
        return warmed_up.last_transition_time
    launched = find_condition(claim.status.conditions, ClaimCondition.LAUNCHED)
    if launched is not None and launched.status == "False" and claim.spec.wanted is Wanted.RUNNING:
        return launched.last_transition_time
    return None
