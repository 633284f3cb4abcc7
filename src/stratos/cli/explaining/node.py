"""The story of a node: whose it is, what its machine has been through, and what would make it leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.meta import find_condition
from stratos.apis.node import Node
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeState, Wanted
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod
from stratos.base.duration import human_duration, parse_duration_seconds
from stratos.cli.explaining.scene import (
    Scene,
    condition_time,
    decision_words,
    machine_words,
    owner_words,
    state_of,
    tenants,
    was_woken,
)
from stratos.cli.explaining.story import Step, Story, Value, count, in_order
from stratos.planning.interruptions.plan import message_of
from stratos.planning.pools.drain import protecting_budget, workload_pods
from stratos.snapshot.pool import PoolMachine

_PODS_NAMED = 10


def tell_unmanaged_node(node: Node, pods: Sequence[Pod]) -> Story:
    """A node that is in the cluster and in no ledger."""
    name = node.metadata.name
    return Story(
        kind="node",
        name=name,
        headline=f"node {name} belongs to no NodePool or NodeTemplate: Stratos neither starts nor stops it",
        facts={"running": _running(pods)},
    )


def tell_node(scene: Scene, machine: PoolMachine, pool: NodePool) -> Story:
    claim = machine.claim
    node = claim.status.node_name
    subject = f"node {node}" if node else f"machine {claim.metadata.name}, which has no node yet,"
    return Story(
        kind="node",
        name=node or claim.metadata.name,
        headline=f"{subject} of pool {claim.spec.pool} {_state_words(scene, claim)}",
        facts=_facts(machine),
        steps=in_order(_steps(claim)),
        reasons=(
            *_why(claim),
            *_interruption(claim),
            *_departure(claim),
            *_what_next(scene, machine, pool),
            *_held_up(scene, claim, machine.pods),
        ),
    )


def tell_template_node(scene: Scene, claim: NodeClaim, pods: Sequence[Pod]) -> Story:
    node = claim.status.node_name
    subject = f"node {node}" if node else f"machine {claim.metadata.name}, which has no node yet,"
    return Story(
        kind="node",
        name=node or claim.metadata.name,
        headline=f"{subject} of template {claim.spec.template} {_state_words(scene, claim)}",
        facts={
            "template": claim.spec.template,
            "claim": claim.metadata.name,
            "machine": machine_words(claim),
            "terms": claim.spec.capacity_type,
            "state": state_of(claim),
            "wanted": claim.spec.wanted,
            "usd_per_hour": claim.status.price_usd_per_hour or claim.spec.price_usd_per_hour,
            "running": _running(pods),
        },
        steps=in_order(_steps(claim)),
        reasons=(*_why(claim), *_interruption(claim), *_departure(claim), *_held_up(scene, claim, pods)),
    )


def _state_words(scene: Scene, claim: NodeClaim) -> str:
    since = claim.status.state_since or claim.metadata.creation_timestamp
    age = scene.age(since) if since else "some time"
    match claim.status.state:
        case None:
            return f"was asked for {age} ago"
        case NodeState.WARMUP:
            return f"has been in preparation for {age}"
        case NodeState.STANDBY:
            return f"has been standing by, stopped, for {age}"
        case NodeState.RUNNING:
            return f"has been in service for {age}"
        case NodeState.TERMINATING:
            return f"has been leaving service for {age}"


def _facts(machine: PoolMachine) -> dict[str, Value]:
    claim = machine.claim
    return {
        "pool": claim.spec.pool,
        "claim": claim.metadata.name,
        "machine": machine_words(claim),
        "terms": claim.spec.capacity_type,
        "state": state_of(claim),
        "wanted": claim.spec.wanted,
        "wakes": claim.spec.wakes,
        "usd_per_hour": _price_now(claim),
        "running": _running(machine.pods),
    }


def _price_now(claim: NodeClaim) -> float | None:
    """A stopped machine costs only its disks, whose price the ledger does not hold."""
    return None if claim.status.state is NodeState.STANDBY else claim.status.price_usd_per_hour


def _running(pods: Sequence[Pod]) -> str:
    guests = [pod.metadata.key for pod in tenants(pods) if not pod.finished]
    equipment = sum(not pod.finished for pod in pods) - len(guests)
    more = f", and {len(guests) - _PODS_NAMED} more" if len(guests) > _PODS_NAMED else ""
    named = ", ".join(guests[:_PODS_NAMED]) or "no pods"
    return f"{named}{more}" + (f"; {count(equipment, 'pod')} of DaemonSets" if equipment else "")


# Its life


def _steps(claim: NodeClaim) -> Iterator[Step]:
    status, conditions = claim.status, claim.status.conditions
    if claim.metadata.creation_timestamp is not None:
        yield Step(claim.metadata.creation_timestamp, "asked-for", f"{owner_words(claim)} asked for it")
    if status.launched_at is not None:
        yield Step(status.launched_at, "launched", f"the cloud launched {machine_words(claim)}")
    if joined := condition_time(conditions, ClaimCondition.REGISTERED):
        yield Step(joined, "joined", "its node joined")
    if status.warmup_completed_at is not None:
        yield Step(status.warmup_completed_at, "prepared", f"it was prepared{_image_words(claim)}")
    if status.stopped_at is not None:
        yield Step(status.stopped_at, "stopped", "it was last found stopped")
    if was_woken(claim) and status.last_started_at is not None:
        yield Step(status.last_started_at, "started", f"it was last started (wake {claim.spec.wakes})")
    if status.ready_at is not None:
        yield Step(status.ready_at, "ready", "its node was last ready for pods")
    if claim.spec.decision is not None:
        yield Step(claim.spec.decision.at, "decided", f"{claim.spec.wanted} is wanted ({claim.spec.decision.reason})")
    if since := _empty_since(claim):
        yield Step(since, "empty", "its last pod left, or it came into service without one")


def _image_words(claim: NodeClaim) -> str:
    return f" from image {claim.status.image}" if claim.status.image else ""


def _empty_since(claim: NodeClaim) -> datetime | None:
    written = claim.metadata.annotations.get(labels.SCALE_DOWN_CANDIDATE_SINCE)
    return datetime.fromisoformat(written) if written else None


# Why, and what comes next


def _why(claim: NodeClaim) -> tuple[str, ...]:
    decision = claim.spec.decision
    if decision is None:
        return ()
    whom = (f"it was for {', '.join(decision.pods)}",) if len(decision.pods) > 1 else ()
    return (f"{claim.spec.wanted} is wanted. {decision_words(decision)}", *whom, *decision.rejected)


def _what_next(scene: Scene, machine: PoolMachine, pool: NodePool) -> tuple[str, ...]:
    claim, rules = machine.claim, pool.spec.scale_down
    if claim.spec.wanted is not Wanted.RUNNING or claim.status.state is not NodeState.RUNNING:
        return ()
    ttl = timedelta(seconds=parse_duration_seconds(rules.empty_node_ttl))
    since = _empty_since(claim)
    if claim.is_spot:
        parking = f"is terminated once it has been empty for {rules.empty_node_ttl}: spot machines cannot stand by"
    elif not rules.enabled:
        parking = "it never returns to standby by itself: the pool's scaleDown.enabled is false"
    elif since is not None:
        parking = (
            f"empty since {since:%H:%M:%S}: returns to standby at {since + ttl:%H:%M:%S} unless a pod comes "
            f"(emptyNodeTTL {rules.empty_node_ttl})"
        )
    else:
        parking = f"returns to standby once it has been empty for {rules.empty_node_ttl} (emptyNodeTTL)"
    return (parking, *_recycling(scene, claim, pool))


def _recycling(scene: Scene, claim: NodeClaim, pool: NodePool) -> Iterator[str]:
    limit, started = pool.spec.max_node_runtime_seconds, claim.status.last_started_at
    if limit is not None and started is not None:
        ends = started + timedelta(seconds=limit)
        left = human_duration(max(0.0, (ends - scene.taken_at).total_seconds()))
        yield f"is drained and replaced in {left}, at {ends:%H:%M:%S} (maxNodeRuntime {pool.spec.max_node_runtime})"


def _interruption(claim: NodeClaim) -> Iterator[str]:
    """What the cloud has said of the machine, and what its pods wait for."""
    notice = claim.spec.interruption
    if notice is None:
        return
    asked = "have been asked for" if notice.answered_at else "are yet to be asked for"
    yield f"{message_of(notice)}, as it said at {notice.noticed_at:%H:%M:%S}; machines for its pods {asked}"


def _departure(claim: NodeClaim) -> Iterator[str]:
    """Why a machine is to leave service, and what has to be there before."""
    departure = claim.spec.departure
    if departure is None:
        return
    first = f", once {', '.join(departure.replacements)} can serve instead" if departure.replacements else ""
    goal = "go" if departure.then is Wanted.GONE else "stand by"
    yield f"it is to {goal}{first}. {departure.reason}: {departure.message}"


def _held_up(scene: Scene, claim: NodeClaim, pods: Sequence[Pod]) -> Iterator[str]:
    """What went wrong, and whom a drain waits for."""
    for type_ in ClaimCondition:
        condition = find_condition(claim.status.conditions, type_)
        if condition is None or condition.status != "False" or condition.reason == "Stopped":
            continue
        yield f"{condition.type} is false since {_clock(condition.last_transition_time)}: {condition.message}"
    if claim.status.state is not NodeState.TERMINATING:
        return
    for pod in workload_pods(pods):
        budget = protecting_budget(pod, scene.budgets)
        if budget is not None and budget.status.disruptions_allowed == 0:
            yield f"{pod.metadata.key} stays: PodDisruptionBudget {budget.metadata.key} allows no disruption now"


def _clock(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S}" if moment else "some time"
