"""When the pods of an interrupted machine leave it: not before their next machine was asked for, nor too late.

Where time presses, they stay until the machines that come for them are ready, if the notice is long enough for that:
a pod that serves on is worth more than one that waits. The latest moment to begin leaves each pod its grace. What then
happens is the drain of the machine, see `stratos.planning.pools.drain`.

Where it does not press, a pool's machine departs with all care, as machines of templates do (those are looked after by
`stratos.planning.disruption` from the start): pods are replaced first, and budgets may refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, ClaimInterruption, NodeClaim, Wanted
from stratos.apis.pod import Pod
from stratos.planning.interruptions.moving import pods_to_move
from stratos.planning.interruptions.notices import PRESSING, presses
from stratos.planning.pools.drain import SPARE, grace_of
from stratos.snapshot.interruption import InterruptionSnapshot

INTERRUPTION = "Interruption"
"""The reason of what is decided here."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Wish the machine gone: its pods are evicted in what is left of the notice."""

    message: str


@dataclass(frozen=True, slots=True)
class Depart:
    """Let it leave service with all care."""

    message: str
    pods: int
    then: Wanted


@dataclass(frozen=True, slots=True)
class InterruptionPlan:
    step: Leave | Depart | None = None
    waits_for: str = ""
    look_again_at: datetime | None = None


def plan_interruption(look: InterruptionSnapshot) -> InterruptionPlan:
    claim, notice, now = look.claim, look.claim.spec.interruption, look.taken_at
    if notice is None or claim.wish is not Wanted.RUNNING:
        return InterruptionPlan()
    pods = pods_to_move(claim, look.pods, now)
    if presses(claim, now) and notice.deadline is not None:
        return _in_haste(look, pods, notice, notice.deadline)
    presses_at = notice.deadline - PRESSING if notice.deadline is not None else None
    if claim.spec.template or claim.spec.departure is not None:
        return InterruptionPlan(waits_for="its pods to be moved with care", look_again_at=presses_at)
    rests_until = _rests_until(claim)
    if rests_until is not None and now < rests_until:
        due = [moment for moment in (presses_at, rests_until) if moment is not None]
        return InterruptionPlan(waits_for="another try to move its pods", look_again_at=min(due))
    missing = _missing(look, notice)
    if missing:
        return InterruptionPlan(waits_for=missing, look_again_at=presses_at)
    # Stopped and started again, a machine comes to another host. One that was bought at the spot price cannot stop.
    then = Wanted.GONE if claim.is_spot else Wanted.STANDBY
    return InterruptionPlan(Depart(message_of(notice), len(pods), then), look_again_at=presses_at)


def message_of(notice: ClaimInterruption) -> str:
    said = {
        "SpotInterruption": "the cloud takes its machine back",
        "RebalanceRecommendation": "the cloud is likely to take its machine back",
        "ScheduledChange": "the cloud is to repair the host of its machine",
    }[notice.kind]
    return said if notice.deadline is None else f"{said} at {notice.deadline:%Y-%m-%d %H:%M:%S} UTC"


def _in_haste(
    look: InterruptionSnapshot, pods: Sequence[Pod], notice: ClaimInterruption, deadline: datetime
) -> InterruptionPlan:
    grace = max((grace_of(pod) for pod in pods), default=timedelta())
    latest = deadline - SPARE - grace
    missing = _missing(look, notice) if pods else ""
    if missing and look.taken_at < latest:
        return InterruptionPlan(waits_for=missing, look_again_at=latest)
    return InterruptionPlan(Leave(message_of(notice)))


def _missing(look: InterruptionSnapshot, notice: ClaimInterruption) -> str:
    """What the pods would find missing if they left now."""
    if notice.answered_at is None:
        return "machines for its pods to be asked for"
    awaited = sorted(claim.metadata.name for claim in look.made_for_them if _is_coming(claim))
    return f"{', '.join(awaited)} to be ready" if awaited else ""


def _is_coming(claim: NodeClaim) -> bool:
    launched = find_condition(claim.status.conditions, ClaimCondition.LAUNCHED)
    refused = launched is not None and launched.status == "False"
    return (
        claim.wish is Wanted.RUNNING
        and not refused
        and not is_condition_true(claim.status.conditions, ClaimCondition.READY)
    )


def _rests_until(claim: NodeClaim) -> datetime | None:
    """After a departure that was taken back."""
    written = claim.metadata.annotations.get(labels.NOT_DISRUPTED_BEFORE)
    return datetime.fromisoformat(written) if written else None
