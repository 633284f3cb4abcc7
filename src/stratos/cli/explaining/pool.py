"""The story of a warm pool: what it has, what it waits for, and why it does not act for pods that wait."""

from __future__ import annotations

from collections.abc import Sequence

from stratos.apis.event import Event
from stratos.cli.explaining.hints import hint_for_left_waiting, hint_for_unserved
from stratos.cli.explaining.past import named, past_of, standing
from stratos.cli.explaining.scene import Scene
from stratos.cli.explaining.story import Story, Value, count
from stratos.cli.pool_facts import PoolFacts, pool_facts
from stratos.planning.pools.pool import plan_pool
from stratos.planning.pools.scale_up import plan_scale_up
from stratos.snapshot.pool import PoolSnapshot


def tell_pool(scene: Scene, look: PoolSnapshot, events: Sequence[Event] = ()) -> Story:
    """``look`` shows the pool with the pods that are its to serve, ``events`` are those about it."""
    pool = look.pool
    facts = pool_facts(pool, [machine.claim for machine in look.machines])
    going = pool.metadata.deletion_timestamp is not None  # then it serves nobody any more
    mine, others = ((), ()) if going else _waiting(scene, pool.metadata.name)
    return Story(
        kind="nodepool",
        name=pool.metadata.name,
        headline=f"nodepool {pool.metadata.name} {_readiness_words(look, facts)}",
        facts=_facts(facts),
        steps=past_of((machine.claim for machine in look.machines), events),
        reasons=(*standing(scene, pool.status.conditions), *_left_undone(scene, look), *mine),
        rejected=others,
        hint="" if going else _hint(scene, look),
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
        "spot": facts.spot or None,
        "spot_saves_usd_per_hour": facts.spot_saves_usd_per_hour if facts.spot else None,
        "not_counted": "disks of standby machines" if facts.standby else None,
    }


def _left_undone(scene: Scene, look: PoolSnapshot) -> tuple[str, ...]:
    """What the pool would leave undone if it planned now, unless its conditions say so already."""
    if look.pool.metadata.deletion_timestamp is not None:
        return ()
    told = {condition.message for condition in look.pool.status.conditions}
    return tuple(line for line in plan_pool(look, scene.compile_pod).report if line not in told)


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
    acts = (f"acts for {named(mine)}",) if mine else ()
    return acts, tuple(f"{named(keys)}: {why}" for why, keys in others.items())


def _hint(scene: Scene, look: PoolSnapshot) -> str:
    if look.problem is not None or plan_scale_up(look, scene.compile_pod).left_over:
        return hint_for_left_waiting(look)
    for key, asks in sorted(scene.asks.items()):
        if scene.choice.choose(key, asks).pool is None:
            return f"for {key}: {hint_for_unserved(asks, scene.offers)}"
    return ""
