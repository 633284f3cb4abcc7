"""Keep a pool's machines in order: park the empty, replace the old, mend what others have changed, refill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeState, Wanted
from stratos.apis.nodepool import NodePoolSpec
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.planning.interruptions.moving import pods_to_move
from stratos.planning.pools import members
from stratos.planning.pools.drain import workload_pods
from stratos.planning.pools.machine import STARTUP_TAINT_LIMIT
from stratos.planning.pools.members import Mark, NewClaim, PoolEvent, Wish
from stratos.planning.pools.nodes import has_become_ready
from stratos.planning.pools.scale_up import launches_allowed, zones_by_use
from stratos.snapshot.pool import PoolMachine, PoolSnapshot

WARNING_AHEAD = timedelta(minutes=5)
"""How long before a machine's time is over the pool warns of it."""

FAILURE_LIMIT = timedelta(minutes=15)
"""How long a node that has served may be unready before its machine is replaced: its kubelet is dead, though the cloud
shows it running. Longer than a control plane should take to come back, or all its nodes would be replaced with it."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a part of the upkeep asks for, and when it should be asked again."""

    wishes: tuple[Wish, ...] = ()
    marks: tuple[Mark, ...] = ()
    events: tuple[PoolEvent, ...] = ()
    due_at: tuple[datetime, ...] = ()


def mend(look: PoolSnapshot) -> tuple[Wish, ...]:
    """Answer what has become of wishes: refused starts, machines that somebody else started, nodes in use again."""
    wishes = []
    for machine in look.machines:
        claim, now = machine.claim, look.taken_at
        wanted, state = members.wanted(machine), members.state(machine)
        woken = members.condition(machine, ClaimCondition.WOKEN)
        not_woken = members.failed_with(machine, ClaimCondition.WOKEN)
        match wanted, state:
            case Wanted.RUNNING, NodeState.STANDBY if claim.status.wakes_done >= claim.spec.wakes:
                why = woken.message if woken is not None else "its wake is spent"
                reason = "Drift" if not_woken == "StoppedOutside" else "WakeFailed"
                wishes.append(_wish(machine, Wanted.STANDBY, reason, why, now))
            case Wanted.STANDBY, NodeState.STANDBY if not_woken == "StartedOutside":
                why = "somebody else started it: it serves until it is empty"
                wishes.append(_wish(machine, Wanted.RUNNING, "Drift", why, now, wake=True))
            case Wanted.STANDBY, NodeState.TERMINATING if _is_in_use_again(machine):
                why = "pods came before its node was closed"
                wishes.append(_wish(machine, Wanted.RUNNING, "InUse", why, now, wake=True))
            case Wanted.RUNNING, None if members.failed_with(machine, ClaimCondition.LAUNCHED):
                launched = members.condition(machine, ClaimCondition.LAUNCHED)
                why = launched.message if launched is not None else ""
                wishes.append(_wish(machine, Wanted.GONE, "LaunchFailed", why, now))
            case _:
                pass
    return tuple(wishes)


def _is_in_use_again(machine: PoolMachine) -> bool:
    return members.failed_with(machine, ClaimCondition.DRAINED) == "PodsArrived" and not members.is_empty(machine)


def park_empty(look: PoolSnapshot) -> Upkeep:
    """Return machines to standby whose nodes have been empty for long enough."""
    rules = look.pool.spec.scale_down
    ttl = timedelta(seconds=parse_duration_seconds(rules.empty_node_ttl))
    wishes, marks, due_at, events = [], [], [], []
    awaited = _awaited(look)
    for machine in look.machines:
        since = _empty_since(machine)
        idle = rules.enabled and _is_idle(look, machine) and machine.claim.metadata.name not in awaited
        if not idle:
            if since is not None:
                marks.append(Mark(machine.claim.metadata.name, None))
            continue
        if since is None:
            since = look.taken_at
            marks.append(Mark(machine.claim.metadata.name, since))
        if look.taken_at < since + ttl:
            due_at.append(since + ttl)
            continue
        why = f"{members.name(machine)} has been empty for {format_duration(ttl.total_seconds())}"
        spot = machine.claim.is_spot
        wishes.append(_wish(machine, Wanted.GONE if spot else Wanted.STANDBY, "ScaleDown", why, look.taken_at))
        events.append(
            PoolEvent("ScaleDown", f"{why} and {'is terminated, being spot' if spot else 'returns to standby'}")
        )
    return Upkeep(tuple(wishes), tuple(marks), tuple(events), tuple(due_at))


def _is_idle(look: PoolSnapshot, machine: PoolMachine) -> bool:
    """In service with nothing to do, and nobody who is about to come."""
    return (
        members.is_in_service(machine)
        and members.is_empty(machine)
        and not members.is_under_way(machine, look.taken_at)
    )


def _awaited(look: PoolSnapshot) -> set[str]:
    """Machines that are empty because the pods they were got for have yet to leave another."""
    found: set[str] = set()
    moving: set[str] = set()
    for machine in look.machines:
        if machine.wanted is Wanted.RUNNING and machine.claim.spec.departure is not None:
            found.update(machine.claim.spec.departure.replacements)
        moving.update(pod.metadata.key for pod in pods_to_move(machine.claim, machine.pods, look.taken_at))
    for machine in look.machines:
        decision = machine.claim.spec.decision
        if decision is not None and not moving.isdisjoint(decision.pods):
            found.add(machine.claim.metadata.name)
    return found


def _empty_since(machine: PoolMachine) -> datetime | None:
    written = machine.claim.metadata.annotations.get(labels.SCALE_DOWN_CANDIDATE_SINCE)
    return datetime.fromisoformat(written) if written else None


def replace_old(look: PoolSnapshot) -> Upkeep:
    """Replace machines that have run for too long, that never came up, or whose nodes have failed."""
    limit = look.pool.spec.max_node_runtime_seconds
    wishes, events, due_at = [], [], []
    for machine in look.machines:
        status, now = machine.claim.status, look.taken_at
        if members.wanted(machine) is not Wanted.RUNNING or members.state(machine) is not NodeState.RUNNING:
            continue
        started = status.last_started_at
        if started is None:
            continue
        if not members.is_in_service(machine):
            given_up_at, reason, why = _patience_with(machine, started, look.pool.spec)
            if now >= given_up_at:
                wishes.append(_wish(machine, Wanted.GONE, reason, why, now))
            else:
                due_at.append(given_up_at)
        if limit is None:
            continue
        ends = started + timedelta(seconds=limit)
        if now >= ends and not _wants_no_disruption(machine):
            why = f"{members.name(machine)} has run for {format_duration(limit)}, the most that maxNodeRuntime allows"
            wishes.append(_wish(machine, Wanted.GONE, "Recycle", why, now))
            events.append(PoolEvent("MaxRuntimeExceeded", why))
        elif ends - WARNING_AHEAD <= now < ends:
            text = f"{members.name(machine)} will be replaced in {format_duration((ends - now).total_seconds())}"
            once = f"{machine.claim.metadata.uid}/{started.isoformat()}"
            events.append(PoolEvent("MaxRuntimeApproaching", text, warning=True, once=once))
            due_at.append(ends)
        elif now < ends:
            due_at.append(ends - WARNING_AHEAD)
    return Upkeep(tuple(wishes), (), tuple(events), tuple(due_at))


def _patience_with(machine: PoolMachine, started: datetime, spec: NodePoolSpec) -> tuple[datetime, str, str]:
    """When a machine whose node does not serve is given up, and what is said of it then."""
    if not has_become_ready(machine.claim.status):
        # However soon a pool gives up warm-ups: a node whose network stays silent shall live to be opened all the same.
        seconds = max(parse_duration_seconds(spec.pre_warm.timeout), 2 * STARTUP_TAINT_LIMIT.total_seconds())
        why = f"its node was not ready {format_duration(seconds)} after it was started"
        return started + timedelta(seconds=seconds), "NeverReady", why
    ready = members.condition(machine, ClaimCondition.READY)
    since = (ready and ready.last_transition_time) or started
    why = f"its node has not been ready for {format_duration(FAILURE_LIMIT.total_seconds())}"
    return max(started, since) + FAILURE_LIMIT, "NodeFailed", why


def _wants_no_disruption(machine: PoolMachine) -> bool:
    """Whether the owner of a pod there has asked for its node to be left alone; ends with the pod."""
    return any(pod.metadata.annotations.get(labels.DO_NOT_DISRUPT) == "true" for pod in workload_pods(machine.pods))


def refresh_images(look: PoolSnapshot) -> tuple[Wish, ...]:
    """Replace one standby machine of an older image than the class now means, while enough others stand by."""
    image = look.shape.image if look.shape else ""
    if not image or look.problem is not None:
        return ()
    standing = [
        machine
        for machine in look.machines
        if members.state(machine) is NodeState.STANDBY and members.wanted(machine) is Wanted.STANDBY
    ]
    if len(standing) < look.pool.spec.min_standby or len(standing) < 1:
        return ()
    outdated = sorted(
        (machine for machine in standing if machine.claim.status.image not in ("", image)),
        key=lambda machine: machine.claim.metadata.name,
    )
    busy = any(members.state(machine) in (None, NodeState.WARMUP) for machine in look.machines)
    if not outdated or busy or any(members.wanted(machine) is Wanted.GONE for machine in look.machines):
        return ()
    why = f"its image is {outdated[0].claim.status.image}, the class now means {image}"
    return (_wish(outdated[0], Wanted.GONE, "ImageChanged", why, look.taken_at),)


def refill(look: PoolSnapshot, woken: Iterable[Wish], launched: Iterable[NewClaim]) -> tuple[tuple[NewClaim, ...], str]:
    """Ask for the machines that are missing to ``minStandby``, counting what this plan takes away. Says why not."""
    taken = {wish.claim for wish in woken}
    launched = tuple(launched)
    effective = sum(
        members.wanted(machine) is Wanted.STANDBY
        and machine.claim.metadata.name not in taken
        and members.state(machine) is not NodeState.RUNNING
        for machine in look.machines
    )
    need = look.pool.spec.min_standby - effective
    allowed = launches_allowed(look) - len(launched)
    number = max(0, min(need, allowed))
    planned = Counter(new.zone for new in launched)
    found = []
    for _ in range(number):
        zone = zones_by_use(look, planned)[0]
        planned[zone] += 1
        why = f"{effective} of {look.pool.spec.min_standby} machines stand by or are being prepared"
        found.append(NewClaim(Wanted.STANDBY, zone, Decision(reason="Replenish", message=why, at=look.taken_at)))
    short = need - number
    if short <= 0:
        return tuple(found), ""
    return tuple(found), f"{short} machines are missing to minStandby and cannot be asked for now"


def _wish(machine: PoolMachine, wanted: Wanted, reason: str, why: str, now: datetime, *, wake: bool = False) -> Wish:
    return Wish(machine.claim.metadata.name, wanted, Decision(reason=reason, message=why, at=now), wake)
