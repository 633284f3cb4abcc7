"""What happened to a pool or a template, told the same way for both: decisions on machines, warnings, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from stratos.apis.event import Event
from stratos.apis.meta import Condition
from stratos.apis.nodeclaim import Decision, NodeClaim, Wanted
from stratos.cli.explaining.scene import Scene, event_time
from stratos.cli.explaining.story import Step, count, in_order

_STEPS_SHOWN = 10
_PODS_NAMED = 3
_WARNING = "Warning"


def past_of(claims: Iterable[NodeClaim], events: Iterable[Event]) -> tuple[Step, ...]:
    """The latest."""
    return in_order((*_decisions(claims), *_warnings(events)))[-_STEPS_SHOWN:]


def named(keys: Sequence[str]) -> str:
    """The first few by name."""
    more = len(keys) - _PODS_NAMED
    return ", ".join(keys[:_PODS_NAMED]) + (f" and {more} more" if more > 0 else "")


def standing(scene: Scene, conditions: Iterable[Condition]) -> Iterator[str]:
    """Whether it is ready, and what else is not as it should be; since when."""
    for condition in conditions:
        good = condition.status == ("True" if condition.type == "Ready" else "False")
        if good and condition.type != "Ready":
            continue
        since = condition.last_transition_time
        age = f" for {scene.age(since)}" if since else ""
        said = "" if condition.status == "True" else "not "
        yield f"{said}{condition.type}{age}: {condition.message or condition.reason}"


def _decisions(claims: Iterable[NodeClaim]) -> Iterator[Step]:
    """The last decision on each machine; those that were made together, for the same reason, are told as one."""
    together: dict[tuple[datetime, Wanted, str], list[tuple[str, Decision]]] = {}
    for claim in claims:
        decision = claim.spec.decision
        if decision is not None:
            key = decision.at, claim.spec.wanted, decision.reason
            together.setdefault(key, []).append((claim.metadata.name, decision))
    for (at, wanted, reason), made in together.items():
        whom = made[0][0] if len(made) == 1 else count(len(made), "machine")
        yield Step(at, "decided", f"{whom}: {wanted} wanted. {reason}: {_common_words([each for _, each in made])}")


def _common_words(decisions: Sequence[Decision]) -> str:
    """The message, if all have the same; else for how many pods they were made."""
    if len({decision.message for decision in decisions}) == 1:
        return decisions[0].message
    pods = sum(len(decision.pods) for decision in decisions)
    return f"for {count(pods, 'pod')}" if pods else "each for a reason of its own"


def _warnings(events: Iterable[Event]) -> Iterator[Step]:
    for event in events:
        at = event.last_timestamp or event_time(event)
        if event.type == _WARNING and at is not None:
            yield Step(at, "warning", f"{event.reason}: {event.message}")
