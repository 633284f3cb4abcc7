"""Decide what becomes of a workload that sleeps when nobody asks for it: is it woken, kept awake, or put to sleep?

Several doormen may stand in front of the same workload, and each sees only its own requests. So sleep comes in two
steps: one doorman proposes it in an annotation, and any other that has seen a request within the idle time objects by
taking the proposal back. Only what a doorman woke is ever put to sleep. Every step is written on the condition that
nothing has changed since, so a plan made from an old look does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

OBJECTION_SECONDS = 3.0
"""How long the other doormen have to object: long enough for a watch to tell them."""

_REMEMBER_SECONDS = 60.0  # activity is written down this often at the most: for the others, and for who comes after us


@dataclass(frozen=True, slots=True)
class TargetSeen:
    """A workload as we last saw it, with what doormen have written on it.

    Clocks differ: when a proposal to sleep was made counts from when we first saw it, by our own clock.
    """

    replicas: int
    woken_at: datetime | None = None
    active_at: datetime | None = None
    closing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of this doorman, over all routes that lead to one workload."""

    waiting: int = 0
    inside: int = 0  # on their way through: requests, streams and WebSockets alike
    last_active: datetime | None = None

    @property
    def busy(self) -> bool:
        return self.waiting > 0 or self.inside > 0


@dataclass(frozen=True, slots=True)
class Wake:
    """Ask for the first replica."""


@dataclass(frozen=True, slots=True)
class Remember:
    """Write down that there was activity at this moment, and take back any proposal to sleep."""

    active_at: datetime


@dataclass(frozen=True, slots=True)
class ProposeSleep:
    """Nobody has come for the idle time: let the others object."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nobody objected: no replicas any more."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is due before ``seconds`` have passed; None: before something changes."""

    seconds: float | None = None


Step = Wake | Remember | ProposeSleep | Sleep | Leave


def plan_target(seen: TargetSeen, traffic: Traffic, *, idle_seconds: float, now: datetime) -> Step:
    """The one next step for a workload."""
    if seen.replicas == 0:
        return Wake() if traffic.waiting else Leave()
    if seen.woken_at is None:
        return Leave()  # somebody else runs it, and may have reasons to
    active = now if traffic.busy else max(filter(None, (seen.woken_at, seen.active_at, traffic.last_active)))
    idle = (now - active).total_seconds()
    if seen.closing_since is not None:
        if idle < idle_seconds:
            return Remember(active)
        objections_end = seen.closing_since + timedelta(seconds=OBJECTION_SECONDS)
        return Sleep() if now >= objections_end else Leave((objections_end - now).total_seconds())
    if idle >= idle_seconds:
        return ProposeSleep()
    remembered = seen.active_at or seen.woken_at
    every = min(_REMEMBER_SECONDS, idle_seconds / 4)
    if (active - remembered).total_seconds() >= every:
        return Remember(active)
    return Leave(every if traffic.busy else idle_seconds - idle)
