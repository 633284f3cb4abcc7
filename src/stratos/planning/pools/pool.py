"""Decide for one pool what each of its claims shall want, and which new ones it needs.

Waiting pods come first, then what went wrong, then what is idle or old, and last the refill. A claim gets at most one
new wish from a plan, so the order of the parts is their rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from stratos.apis.meta import Condition, find_condition, with_condition
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeState, Wanted
from stratos.apis.nodepool import NodePoolStatus
from stratos.base.duration import parse_duration_seconds
from stratos.base.words import counted
from stratos.planning.pools import members
from stratos.planning.pools.members import PoolEvent, PoolPlan, Wish
from stratos.planning.pools.scale_up import Compile, ScaleUp, plan_scale_up
from stratos.planning.pools.spot import replace_by_spot, savings_usd_per_hour, spot_in_service
from stratos.planning.pools.upkeep import mend, park_empty, refill, refresh_images, replace_old
from stratos.planning.scheduling.requirements import requirements_of
from stratos.snapshot.pool import PoolSnapshot

_PRE_PULL = "ImagePrePull"
_NOT_PULLED = (
    "nothing pulls preWarm.images on machines of this class: with Bottlerocket, begin its data volume from a snapshot"
    " that has them (blockDeviceMappings, snapshotID); user data of your own has to pull them itself"
)


def plan_pool(look: PoolSnapshot, compile_pod: Compile = requirements_of) -> PoolPlan:
    """``compile_pod`` may remember what it has compiled: the same pods wait in plan after plan."""
    spec = look.pool.spec
    if look.pool.metadata.deletion_timestamp is not None:
        return _plan_deletion(look)
    if spec.min_standby > spec.pool_size:
        why = f"spec.minStandby is {spec.min_standby}, above spec.poolSize, which is {spec.pool_size}"
        return PoolPlan(_status(look, degraded=("ValidationFailed", why)), report=(why,))
    scale_up = plan_scale_up(look, compile_pod)
    idle, old = park_empty(look), replace_old(look)
    wishes = _first_of_each(
        (*scale_up.wishes, *mend(look), *old.wishes, *idle.wishes, *refresh_images(look)),
    )
    refills, short = refill(look, wishes, scale_up.launches)
    spot = replace_by_spot(look, compile_pod, len(scale_up.launches) + len(refills))
    due_at = (*idle.due_at, *old.due_at, *spot.due_at, *_settling(look), *(_end_of_rest(look) if short else ()))
    degraded = (look.problem.reason, look.problem.message) if look.problem else None
    seconds = [(moment - look.taken_at).total_seconds() for moment in due_at]
    seconds += [parse_duration_seconds(spec.reconciliation_interval)]
    seconds += [look.problem.retry_seconds] if look.problem else []
    return PoolPlan(
        status=_status(look, scale_up, wishes, degraded),
        launches=(*scale_up.launches, *refills, *spot.launches),
        wishes=wishes,
        marks=idle.marks,
        answers=_unanswered(look),
        departures=tuple(each for each in spot.departures if each.claim not in {wish.claim for wish in wishes}),
        notes=spot.notes,
        replacements_lasted_seconds=spot.lasted_seconds,
        events=(
            *_events_of(scale_up),
            *_refill_event(len(refills)),
            *idle.events,
            *old.events,
            *spot.events,
            *_problem_event(look),
        ),
        report=(
            *scale_up.report,
            *((short,) if short else ()),
            *spot.report,
            *((look.problem.message,) if look.problem else ()),
        ),
        look_again_seconds=max(0.05, min(seconds)),
    )


def _plan_deletion(look: PoolSnapshot) -> PoolPlan:
    """Every machine goes; the pool may go when none is left."""
    decision = Decision(reason="PoolDeleted", message="the pool is being deleted", at=look.taken_at)
    names = sorted(m.claim.metadata.name for m in look.machines if m.claim.spec.wanted is not Wanted.GONE)
    failures = sorted(
        (members.name(machine), ended.message)
        for machine in look.machines
        if (ended := members.condition(machine, ClaimCondition.ENDED)) is not None and ended.status == "False"
    )
    uid = look.pool.metadata.uid
    events = [
        PoolEvent("Deleting", f"to be terminated: {counted(len(look.machines), 'machine')}", once=f"{uid}/deleting")
    ]
    events += [
        PoolEvent("CleanupFailed", f"{name}: {message}", warning=True, once=f"{uid}/{name}/{message}")
        for name, message in failures
    ]
    if not look.machines:
        events.append(PoolEvent("Deleted", "all machines are terminated", once=f"{uid}/deleted"))
    return PoolPlan(
        status=_status(look),
        wishes=tuple(Wish(name, Wanted.GONE, decision) for name in names),
        events=tuple(events),
        report=tuple(f"{name} is still there: {message}" for name, message in failures),
        look_again_seconds=parse_duration_seconds(look.pool.spec.reconciliation_interval),
        release=not look.machines,
    )


def _first_of_each(wishes: Iterable[Wish]) -> tuple[Wish, ...]:
    found: dict[str, Wish] = {}
    for wish in wishes:
        found.setdefault(wish.claim, wish)
    return tuple(found.values())


def _unanswered(look: PoolSnapshot) -> tuple[str, ...]:
    """Interrupted claims whose pods are counted in this plan for the first time."""
    return tuple(
        machine.claim.metadata.name
        for machine in look.machines
        if (notice := machine.claim.spec.interruption) is not None and notice.answered_at is None
    )


def _end_of_rest(look: PoolSnapshot) -> list[datetime]:
    """When launches may go on. A rest that is over is no reason to look again: something else is in the way."""
    until = look.launch_not_before
    return [until] if until is not None and until > look.taken_at else []


def _settling(look: PoolSnapshot) -> list[datetime]:
    """When the pods that wait for a machine which has just become ready are counted again."""
    return [
        machine.claim.status.ready_at + members.SETTLING
        for machine in look.machines
        if machine.claim.status.ready_at is not None
        and members.state(machine) is NodeState.RUNNING
        and machine.claim.status.ready_at + members.SETTLING > look.taken_at
    ]


def _events_of(scale_up: ScaleUp) -> tuple[PoolEvent, ...]:
    woken, launched = len(scale_up.wishes), len(scale_up.launches)
    if not woken and not launched:
        return ()
    pods = {pod for wish in scale_up.wishes for pod in wish.decision.pods}
    pods |= {pod for new in scale_up.launches for pod in new.decision.pods}
    parts = [f"{woken} brought into service"] * bool(woken) + [f"{launched} launched cold"] * bool(launched)
    left = f"; left waiting: {counted(len(scale_up.left_over), 'pod')}" if scale_up.left_over else ""
    return (PoolEvent("ScaleUp", f"for {counted(len(pods), 'pod')}: {', '.join(parts)}{left}"),)


def _refill_event(number: int) -> tuple[PoolEvent, ...]:
    return (PoolEvent("Replenishing", f"launching {counted(number, 'machine')} to stand by"),) if number else ()


def _problem_event(look: PoolSnapshot) -> tuple[PoolEvent, ...]:
    if look.problem is None or look.problem.reason != "NodeClassNotFound":
        return ()
    once = f"{look.pool.metadata.uid}/{look.pool.metadata.generation}/{look.problem.message}"
    return (PoolEvent("NodeClassNotFound", look.problem.message, warning=True, once=once),)


def _status(
    look: PoolSnapshot,
    scale_up: ScaleUp | None = None,
    wishes: tuple[Wish, ...] = (),
    degraded: tuple[str, str] | None = None,
) -> NodePoolStatus:
    counts = Counter(members.state(machine) for machine in look.machines)
    standby, least = counts[NodeState.STANDBY], look.pool.spec.min_standby
    enough = standby >= least
    generation = look.pool.metadata.generation
    conditions: tuple[Condition, ...] = look.pool.status.conditions

    def state(type_: str, status: bool, reason: str, message: str = "") -> None:
        nonlocal conditions
        conditions = with_condition(
            conditions,
            type_,
            status,
            reason=reason,
            message=message,
            now=look.taken_at,
            observed_generation=generation,
        )

    message = f"{counted(standby, 'machine')} standing by, the minimum is {least}"
    if degraded is not None and not enough:
        state("Ready", False, "PoolNotReady", message)
    else:
        state("Ready", enough, "PoolReady" if enough else "InsufficientStandby", message)
    pulled = look.shape is None or look.shape.pulls_images
    if look.pool.spec.pre_warm.all_images and (not pulled or find_condition(conditions, _PRE_PULL)):
        state(_PRE_PULL, pulled, "Supported" if pulled else "NotSupported", "" if pulled else _NOT_PULLED)
    moving = sum(members.wanted(machine) is not _settled_wish(machine.claim.status.state) for machine in look.machines)
    state("Reconciling", bool(moving), "Reconciling", f"{counted(moving, 'machine')} on the way to another state")
    reason, problem = degraded or ("NotDegraded", "")
    state("Degraded", degraded is not None, reason, problem)
    rising = sum(members.is_under_way(machine, look.taken_at) for machine in look.machines)
    left = scale_up.report[0] if scale_up is not None and scale_up.report else ""
    state(
        "ScaleUpInProgress",
        rising > 0,
        "ScaleUpInProgress",
        left or f"{counted(rising, 'machine')} coming into service",
    )
    falling = sum(
        members.wanted(machine) is Wanted.STANDBY
        and members.state(machine) in (NodeState.RUNNING, NodeState.TERMINATING)
        for machine in look.machines
    ) + sum(wish.wanted is Wanted.STANDBY and wish.decision.reason == "ScaleDown" for wish in wishes)
    state(
        "ScaleDownInProgress", falling > 0, "ScaleDownInProgress", f"{counted(falling, 'machine')} returning to standby"
    )
    spot = spot_in_service(look)
    shows_spot = bool(spot) or look.pool.spec.spot_replacement is not None
    return NodePoolStatus(
        conditions=conditions,
        observed_generation=generation,
        warmup=counts[NodeState.WARMUP],
        standby=standby,
        running=counts[NodeState.RUNNING],
        total=sum(count for state_, count in counts.items() if state_ is not None),
        spot=len(spot) if shows_spot else None,
        spot_savings_usd_per_hour=round(savings_usd_per_hour(look), 6) if shows_spot else None,
        last_reconcile_time=look.taken_at,
        pod_assignments=scale_up.assignments if scale_up is not None else (),
    )


def _settled_wish(state: NodeState | None) -> Wanted | None:
    return {NodeState.STANDBY: Wanted.STANDBY, NodeState.RUNNING: Wanted.RUNNING}.get(state) if state else None
