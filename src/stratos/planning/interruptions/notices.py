"""How notices are weighed: which of two counts, and from when on time presses.

The same news comes more than once: a queue delivers again, and the host hears on its own what the cloud also tells the
controller. What has been heard is in the claim, and only worse news replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.nodeclaim import ClaimInterruption, InterruptionKind, NodeClaim

PRESSING = timedelta(minutes=10)
"""So long before a machine goes down care for its pods gives way to haste. Spot machines are noticed later than that;
for repairs that were announced days ahead it is what a node that could not be emptied with care is left."""

_SAME_MOMENT = timedelta(minutes=1)  # what two sources of the same news may differ by

_GRAVITY = {
    InterruptionKind.STATE_CHANGE: 0,
    InterruptionKind.REBALANCE_RECOMMENDATION: 1,
    InterruptionKind.SCHEDULED_CHANGE: 2,
    InterruptionKind.SPOT_INTERRUPTION: 3,
}


@dataclass(frozen=True, slots=True)
class HostNotice:
    """What a host has heard of its own machine."""

    kind: InterruptionKind
    deadline: datetime | None = None


def write_notice(notice: HostNotice) -> str:
    """As the annotation of its node says it: ``SpotInterruption@2026-01-01T12:02:00+00:00``."""
    return notice.kind if notice.deadline is None else f"{notice.kind}@{notice.deadline.isoformat()}"


def read_notice(text: str) -> HostNotice | None:
    """None for what is not understood, and for what takes a machine back without saying when."""
    word, _, moment = text.partition("@")
    try:
        notice = HostNotice(InterruptionKind(word), datetime.fromisoformat(moment) if moment else None)
    except ValueError:
        return None
    if notice.deadline is not None and notice.deadline.tzinfo is None:
        return None
    takes = notice.kind in (InterruptionKind.SPOT_INTERRUPTION, InterruptionKind.SCHEDULED_CHANGE)
    return None if takes and notice.deadline is None else notice


def is_news(known: ClaimInterruption | None, kind: InterruptionKind, deadline: datetime | None) -> bool:
    """Whether a notice says something graver, or sooner, than the claim knows."""
    if known is None or known.kind is not kind:
        return known is None or _GRAVITY[kind] > _GRAVITY[known.kind]
    if deadline is None:
        return False
    return known.deadline is None or deadline < known.deadline - _SAME_MOMENT


def presses(claim: NodeClaim, now: datetime) -> bool:
    """Whether its machine goes down so soon that its pods have to leave whatever else they wait for."""
    notice = claim.spec.interruption
    return notice is not None and notice.deadline is not None and now >= notice.deadline - PRESSING
