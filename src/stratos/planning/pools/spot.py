"""Let spot machines take the places of running on-demand machines, where that is cheaper.

Standby machines are on-demand ones: they start in seconds, and what serves for minutes only is not worth more. What has
served for longer gets a spot machine beside it; once that is ready the pods move over, as with any departure, and the
on-demand machine stands by again: where the spot machine's pods fall back to when the cloud takes it.

At most one replacement is under way for a machine: the claim of the spot machine names the node whose place it takes,
and is looked for before another is asked for. A pool that is full gets none: ``poolSize`` counts every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.nodeclaim import SPOT_REPLACEMENT, Decision, Departure, NodeState, Wanted
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.words import counted
from stratos.planning.pools import members
from stratos.planning.pools.drain import workload_pods
from stratos.planning.pools.members import Departing, NewClaim, Note, PoolEvent
from stratos.planning.pools.rooms import furnish, future_node
from stratos.planning.pools.scale_up import Compile, launches_allowed, zones_by_use
from stratos.planning.pools.sizing import demand_of, fit
from stratos.planning.provisioning.annotations import keeps_from_evicting
from stratos.planning.scheduling.daemons import Daemons, compile_daemons
from stratos.snapshot.pool import LaunchShape, PoolMachine, PoolSnapshot, SpotShape

SPOT = "spot"

REST = timedelta(minutes=10)
"""How long after a spot machine that could not be had its place is left alone."""

_SETTLED = (NodeState.RUNNING, NodeState.STANDBY)


@dataclass(frozen=True, slots=True)
class SpotPlan:
    launches: tuple[NewClaim, ...] = ()
    departures: tuple[Departing, ...] = ()
    notes: tuple[Note, ...] = ()
    lasted_seconds: tuple[float, ...] = ()  # of replacements that are complete now
    events: tuple[PoolEvent, ...] = ()
    report: tuple[str, ...] = ()
    due_at: tuple[datetime, ...] = ()


def savings_usd_per_hour(look: PoolSnapshot) -> float:
    """What the spot machines in service cost less than machines of the pool's own type would."""
    own = look.shape.price_usd_per_hour if look.shape is not None else 0.0
    return sum(max(0.0, own - machine.claim.price_usd_per_hour) for machine in spot_in_service(look))


def spot_in_service(look: PoolSnapshot) -> tuple[PoolMachine, ...]:
    return tuple(m for m in look.machines if m.claim.is_spot and members.state(m) is NodeState.RUNNING)


def replace_by_spot(look: PoolSnapshot, compile_pod: Compile, others: int) -> SpotPlan:
    """``others`` is how many machines the plan asks for already."""
    concluded = _conclude(look)
    settings = look.pool.spec.spot_replacement
    if settings is None or not settings.enabled or look.shape is None or look.shape.spot is None:
        return concluded
    coming = {members.replaces(machine): machine for machine in look.machines if members.replaces(machine)}
    delay = timedelta(seconds=parse_duration_seconds(settings.replacement_delay))
    departures, due_at, wanting = [], [], []
    for machine in look.machines:
        due = _replaceable_from(machine, delay)
        if due is None:
            continue
        successor = coming.get(members.name(machine))
        if look.taken_at < due:
            due_at.append(due)
        elif successor is None:
            wanting.append(machine)
        elif successor.wanted is Wanted.RUNNING:
            departures.append(_departure(look, machine, successor))
    worthless = _why_worthless(look.shape, look.shape.spot) if wanting else ""
    chosen, report = ([], (worthless,)) if worthless else _choose(look, wanting, compile_pod, others)
    launches = tuple(_successor(look, machine, delay) for machine in chosen)
    return replace(
        concluded,
        launches=launches,
        departures=tuple(departures),
        events=(*concluded.events, *(PoolEvent("SpotReplacementStarted", new.decision.message) for new in launches)),
        report=report,
        due_at=tuple(due_at),
    )


def _replaceable_from(machine: PoolMachine, delay: timedelta) -> datetime | None:
    """From when on it may be replaced. None: not as long as it is what it is."""
    claim, pods = machine.claim, workload_pods(machine.pods)
    started, node = claim.status.last_started_at, machine.node
    leaving = claim.spec.departure is not None or claim.spec.interruption is not None
    if claim.is_spot or leaving or not members.is_in_service(machine) or started is None or node is None:
        return None
    if not pods or node.spec.unschedulable:
        return None  # it will stand by soon, or somebody has other plans with it
    if any(_cannot_move(pod.metadata.annotations, pod.metadata.controller is not None) for pod in pods):
        return None
    serves_since = max(started, claim.status.ready_at or started)
    written = claim.metadata.annotations.get(labels.NOT_DISRUPTED_BEFORE)
    return max(serves_since + delay, datetime.fromisoformat(written)) if written else serves_since + delay


def _cannot_move(annotations: dict[str, str], has_controller: bool) -> bool:
    return bool(keeps_from_evicting(annotations)) or not (
        has_controller or annotations.get(labels.SAFE_TO_EVICT) == "true"
    )


def _why_worthless(shape: LaunchShape, spot: SpotShape) -> str:
    """Why no spot machine is worth having. Empty: they are."""
    types = ", ".join(spot.instance_types)
    if spot.price_usd_per_hour is None:
        return f"nothing is replaced by spot machines: {types} are not sold in these zones at the price allowed"
    if spot.price_usd_per_hour < shape.price_usd_per_hour:
        return ""
    ours = f"${shape.price_usd_per_hour:.4f}/h on demand"
    return f"nothing is replaced by spot machines: they cost ${spot.price_usd_per_hour:.4f}/h, {ours}"


def _choose(
    look: PoolSnapshot, wanting: Sequence[PoolMachine], compile_pod: Compile, others: int
) -> tuple[list[PoolMachine], tuple[str, ...]]:
    """Those whose pods would run on a spot machine, as many as may be asked for; and why not the rest."""
    allowed = max(0, launches_allowed(look) - others)
    daemons = compile_daemons(look.daemon_sets)
    chosen: list[PoolMachine] = []
    report = []
    for index, machine in enumerate(wanting):
        if len(chosen) == allowed:
            report.append(_left_out(look, len(wanting) - index))
            break
        misfit = _misfit(look, machine, compile_pod, daemons)
        if misfit:
            report.append(misfit)
        else:
            chosen.append(machine)
    return chosen, tuple(report)


def _misfit(look: PoolSnapshot, machine: PoolMachine, compile_pod: Compile, daemons: Daemons) -> str:
    """Why the machine's pods would not run on a spot machine of any of the types. Empty: they would."""
    shape = look.shape
    assert shape is not None and shape.spot is not None  # or nothing would be replaced
    name = members.name(machine)
    least = replace(shape, allocatable=shape.spot.allocatable)
    node = future_node(look.pool, least, f"spot for {name}", machine.claim.status.zone)
    node = replace(node, labels={**node.labels, labels.CAPACITY_TYPE: SPOT})
    defaults = look.pool.spec.scale_up.default_pod_resources
    demands = [demand_of(pod.metadata.key, compile_pod(pod), defaults) for pod in workload_pods(machine.pods)]
    room = furnish(node.name, node, daemons)
    left = fit([replace(demand, alone=False) for demand in demands], [room], lambda: iter(())).left_over
    types = ", ".join(shape.spot.instance_types)
    return f"{name} is not replaced by a spot machine: {left[0]} would not run on each of {types}" if left else ""


def _successor(look: PoolSnapshot, machine: PoolMachine, delay: timedelta) -> NewClaim:
    name, zone = members.name(machine), machine.claim.status.zone or zones_by_use(look, {})[0]
    message = f"a spot machine for the pods of {name}, which has served for {format_duration(delay.total_seconds())}"
    decision = Decision(reason=SPOT_REPLACEMENT, message=message, at=look.taken_at)
    return NewClaim(Wanted.RUNNING, zone, decision, replacing=name)


def _departure(look: PoolSnapshot, machine: PoolMachine, successor: PoolMachine) -> Departing:
    """It begins when the successor has been asked for, and waits until that is ready."""
    departure = Departure(
        reason=SPOT_REPLACEMENT,
        message=f"{members.name(successor)} takes the place of {members.name(machine)}",
        at=look.taken_at,
        replacements=(successor.claim.metadata.name,),
        pods=len(workload_pods(machine.pods)),
        then=Wanted.STANDBY,
    )
    started = {labels.SPOT_REPLACEMENT_STARTED: look.taken_at.isoformat()}
    return Departing(machine.claim.metadata.name, departure, started)


def _conclude(look: PoolSnapshot) -> SpotPlan:
    """Take off the notes of replacements that are complete, that were taken back, or that lost one of the two."""
    events, notes, lasted = [], [], []
    by_name = {members.name(machine): machine for machine in look.machines}
    over = set()
    for name, machine in by_name.items():
        written = machine.claim.metadata.annotations.get(labels.SPOT_REPLACEMENT_STARTED)
        if not written or machine.claim.spec.departure is not None or members.state(machine) not in _SETTLED:
            continue
        over.add(name)
        notes.append(Note(machine.claim.metadata.name, {labels.SPOT_REPLACEMENT_STARTED: None}))
        if members.state(machine) is NodeState.STANDBY:
            seconds = (look.taken_at - datetime.fromisoformat(written)).total_seconds()
            text = f"{name} stands by again: its pods moved to a spot machine within {format_duration(seconds)}"
            events.append(PoolEvent("SpotReplacementComplete", text))
            lasted.append(seconds)
    for machine in look.machines:
        name = members.replaces(machine)
        if not name:
            continue
        before = by_name.get(name)
        if before is None or name in over or before.wanted is not Wanted.RUNNING:
            notes.append(Note(machine.claim.metadata.name, {labels.SPOT_REPLACING_NODE: None}))
        elif machine.wanted is not Wanted.RUNNING and before.claim.spec.departure is None:
            rests_until = (look.taken_at + REST).isoformat()
            notes.append(Note(before.claim.metadata.name, {labels.NOT_DISRUPTED_BEFORE: rests_until}))
            notes.append(Note(machine.claim.metadata.name, {labels.SPOT_REPLACING_NODE: None}))
    return SpotPlan(notes=tuple(notes), lasted_seconds=tuple(lasted), events=tuple(events))


def _left_out(look: PoolSnapshot, number: int) -> str:
    size, owned = look.pool.spec.pool_size, len(look.machines)
    waiting = f"{counted(number, 'machine')} could be replaced by spot machines"
    if owned >= size:
        return f"{waiting}: the pool owns {owned} of {counted(size, 'machine')} allowed"
    return f"{waiting} once machines can be asked for again"
