"""The story of a warm pool: what it has, what it waits for, and why it does not act for pods that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from stratos.apis.event import Event
from stratos.apis.nodeclaim import Decision, Wanted
from stratos.cli.explaining.hints import hint_for_left_waiting, hint_for_unserved
from stratos.cli.explaining.scene import Scene, event_time
from stratos.cli.explaining.story import Step, Story, Value, count, in_order
from stratos.cli.pool_facts import PoolFacts, pool_facts
from stratos.planning.pools.pool import plan_pool
from stratos.planning.pools.scale_up import plan_scale_up
from stratos.planning.scheduling.requirements import requirements_of
from stratos.snapshot.pool import PoolSnapshot

_DECISIONS_SHOWN = 10
_PODS_NAMED = 3
_WARNING = "Warning"


def tell_pool(scene: Scene, look: PoolSnapshot, events: Sequence[Event] = ()) -> Story:
    """``look`` shows the pool with the pods that are its to serve, ``events`` are those about it."""
    pool = look.pool
    facts = pool_facts(pool, [machine.claim for machine in look.machines])
    mine, others = _waiting(scene, pool.metadata.name)
    return Story(
        kind="nodepool",
        name=pool.metadata.name,
        headline=f"nodepool {pool.metadata.name} {_readiness_words(look, facts)}",
        facts=_facts(facts),
        steps=in_order((*_decisions(look), *_warnings(events)))[-_DECISIONS_SHOWN:],
        reasons=(*_conditions(scene, look), *_left_undone(look), *mine),
        rejected=others,
        hint=_hint(scene, look),
    )


def _readiness_words(look: PoolSnapshot, facts: PoolFacts) -> str:
    if look.pool.metadata.deletion_timestamp is not None:
        return f"is being deleted: {count(facts.total, 'machine')} left"
    ready = "is ready" if facts.ready == "yes" else "is not ready"
    standing = f"{facts.standby} of {facts.min_standby} wanted stand by, {facts.running} in service"
    return f"{ready}: {standing}, {facts.total} of {facts.pool_size} allowed in all"


def _facts(facts: PoolFacts) -> dict[str, Value]:
    return {
        "warmup": facts.warmup,
        "standby": facts.standby,
        "running": facts.running,
        "leaving": facts.leaving,
        "usd_per_hour": facts.usd_per_hour,
        "not_counted": "disks of standby machines" if facts.standby else None,
    }


def _decisions(look: PoolSnapshot) -> Iterator[Step]:
    """The last decision on each machine; those that were made together, for the same reason, are told as one."""
    together: dict[tuple[datetime, Wanted, str], list[tuple[str, Decision]]] = {}
    for machine in look.machines:
        claim, decision = machine.claim, machine.claim.spec.decision
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


def _warnings(events: Sequence[Event]) -> Iterator[Step]:
    for event in events:
        at = event.last_timestamp or event_time(event)
        if event.type == _WARNING and at is not None:
            yield Step(at, "warning", f"{event.reason}: {event.message}")


def _conditions(scene: Scene, look: PoolSnapshot) -> Iterator[str]:
    for condition in look.pool.status.conditions:
        good = condition.status == ("True" if condition.type == "Ready" else "False")
        if good and condition.type != "Ready":
            continue
        since = condition.last_transition_time
        age = f" for {scene.age(since)}" if since else ""
        said = "" if condition.status == "True" else "not "
        yield f"{said}{condition.type}{age}: {condition.message or condition.reason}"


def _left_undone(look: PoolSnapshot) -> tuple[str, ...]:
    """What the pool would leave undone if it planned now, unless its conditions say so already."""
    if look.pool.metadata.deletion_timestamp is not None:
        return ()
    told = {condition.message for condition in look.pool.status.conditions}
    return tuple(line for line in plan_pool(look).report if line not in told)


def _waiting(scene: Scene, pool: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of all pods that wait: those it acts for, and why it does not act for the others."""
    mine: list[str] = []
    others: dict[str, list[str]] = {}
    prefix = f"pool {pool}: "
    for pod in scene.waiting:
        key = pod.metadata.key
        verdict = scene.choice.choose(key, scene.asks[key])
        if verdict.pool == pool:
            mine.append(key)
        else:
            why = next((line.removeprefix(prefix) for line in verdict.report if line.startswith(prefix)), "")
            others.setdefault(why, []).append(key)
    acts = (f"acts for {_named(mine)}",) if mine else ()
    return acts, tuple(f"{_named(keys)}: {why}" for why, keys in others.items())


def _named(keys: Sequence[str]) -> str:
    """The first few by name."""
    more = len(keys) - _PODS_NAMED
    return ", ".join(keys[:_PODS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _hint(scene: Scene, look: PoolSnapshot) -> str:
    if look.problem is not None or plan_scale_up(look, requirements_of).left_over:
        return hint_for_left_waiting(look)
    for key, asks in sorted(scene.asks.items()):
        if scene.choice.choose(key, asks).pool is None:
            return f"for {key}: {hint_for_unserved(asks, scene.offers)}"
    return ""
