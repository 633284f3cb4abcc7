"""Bring machines into service for pods that wait: as few as they fit on, the quickest first.

Pods of machines that the cloud takes back are counted with those that wait, and may also move to nodes in service: no
scheduler has refused them these.

What is under way already is counted before anything else, so planning the same moment twice starts nothing twice. Then
come standby machines (those in service last first: their caches are the freshest), machines on their way back to
standby, machines that are still being prepared, and last, cold ones, as far as the pool's size allows: a pod that waits
for a machine to be prepared should not also wait for it to be stopped and started again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import ClaimCondition, Decision, NodeState, Wanted
from stratos.apis.nodepool import PodAssignment
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.base.words import counted
from stratos.planning.interruptions.moving import pods_to_move
from stratos.planning.pools import members
from stratos.planning.pools.drain import belongs_to_node
from stratos.planning.pools.members import NewClaim, Wish
from stratos.planning.pools.rooms import Room, furnish, future_node, serving_node
from stratos.planning.pools.sizing import demand_of, fit
from stratos.planning.scheduling.daemons import Daemons, compile_daemons
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.pool import PoolMachine, PoolSnapshot

ASSIGNMENT_TTL = timedelta(minutes=10)

WAKE_BACKOFF = timedelta(seconds=60)
"""How long a machine that the cloud could not start is left alone."""

Compile = Callable[[Pod], PodRequirements]

_LAUNCH = "launch"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_HOW: dict[NodeState | None, str] = {
    NodeState.STANDBY: "a standby machine",
    NodeState.RUNNING: "a machine that was about to be parked",
    NodeState.TERMINATING: "a machine on its way back to standby",
}


@dataclass(frozen=True, slots=True)
class ScaleUp:
    launches: tuple[NewClaim, ...] = ()
    wishes: tuple[Wish, ...] = ()
    assignments: tuple[PodAssignment, ...] = ()
    left_over: tuple[str, ...] = ()
    report: tuple[str, ...] = ()


def plan_scale_up(look: PoolSnapshot, compile_pod: Compile) -> ScaleUp:
    promised = promises(look)
    daemons = compile_daemons(look.daemon_sets)
    machines = {machine.claim.metadata.name: machine for machine in look.machines}
    under_way = {
        machine.claim.metadata.name: room_of(look, machine, daemons)
        for machine in look.machines
        if members.is_under_way(machine, look.taken_at)
    }
    defaults = look.pool.spec.scale_up.default_pod_resources
    moving = moving_pods(look, compile_pod)
    demands = [
        demand_of(key, asks, defaults, promised.get(key, ""), moves=True) for key, asks in sorted(moving.items())
    ]
    for pod in look.waiting:
        room = promised.get(pod.metadata.key, "")
        if room in under_way and under_way[room] is None:
            continue  # it waits for a machine of which nothing is known yet
        demands.append(demand_of(pod.metadata.key, compile_pod(pod), defaults, room))
    if not demands:
        return ScaleUp()
    rooms = [room for _, room in sorted(under_way.items()) if room is not None]
    if moving:
        rooms = [*_rooms_in_use(look, daemons, under_way), *rooms]
    found = fit(demands, rooms, lambda: _further_rooms(look, daemons), _without(look.cluster, moving))
    report = _report_left_over(look, found.left_over)
    launches, wishes = [], []
    for opened in found.opened:
        machine = machines.get(opened)
        decision = _decision(look, machine, found.placed[opened], report)
        if machine is None:
            launches.append(NewClaim(Wanted.RUNNING, opened.split("/")[1], decision))
        else:
            wishes.append(Wish(opened, Wanted.RUNNING, decision, wake=True))
    return ScaleUp(tuple(launches), tuple(wishes), _assignments(look, found.placed, machines), found.left_over, report)


def moving_pods(look: PoolSnapshot, compile_pod: Compile) -> dict[str, PodRequirements]:
    """What the pods of interrupted machines ask for, by namespace/name. What nobody understands cannot be placed."""
    found = {}
    for machine in look.machines:
        for pod in pods_to_move(machine.claim, machine.pods, look.taken_at):
            with suppress(Invalid):
                found[pod.metadata.key] = compile_pod(pod)
    return found


def _rooms_in_use(look: PoolSnapshot, daemons: Daemons, under_way: Collection[str]) -> Iterator[Room]:
    """What machines in service have left, those aside that are to leave it."""
    for machine in look.machines:
        spec, node = machine.claim.spec, machine.node
        stays = spec.departure is None and spec.interruption is None
        if machine.claim.metadata.name in under_way or not stays or not members.is_in_service(machine):
            continue
        if node is not None and not node.spec.unschedulable and not members.replaces(machine):
            room = room_of(look, machine, daemons)
            if room is not None:
                yield replace(room, in_use=True)


def _without(cluster: ClusterSnapshot | None, moving: Collection[str]) -> ClusterSnapshot | None:
    """The cluster as pods find it that do not count themselves among those they look at."""
    if cluster is None or not moving:
        return cluster
    return replace(cluster, pods=tuple(pod for pod in cluster.pods if pod.metadata.key not in moving))


def promises(look: PoolSnapshot) -> dict[str, str]:
    """For which claim each pod was told to wait, as far as that still holds."""
    under_way = {
        machine.claim.metadata.name: machine
        for machine in look.machines
        if members.is_under_way(machine, look.taken_at)
    }
    found: dict[str, str] = {}
    for name, machine in sorted(under_way.items()):
        decision = machine.claim.spec.decision
        if decision is not None and look.taken_at < decision.at + ASSIGNMENT_TTL:
            found |= dict.fromkeys(decision.pods, name)
    by_node = {members.name(machine): name for name, machine in under_way.items()}
    for held in look.pool.status.pod_assignments:
        name = held.node_name if held.node_name in under_way else by_node.get(held.node_name, "")
        if name and look.taken_at < held.assigned_at + ASSIGNMENT_TTL:
            found.setdefault(f"{held.pod_namespace}/{held.pod_name}", name)
    return found


def room_of(look: PoolSnapshot, machine: PoolMachine, daemons: Daemons) -> Room | None:
    """The machine's node, in service. None when nothing is known of it yet."""
    claim = machine.claim
    if machine.node is not None:
        node = serving_node(look.pool, machine.node, look.shape)
        serving = members.state(machine) in (NodeState.RUNNING, NodeState.TERMINATING)
        # What belongs to a node stays on it while it is closed; the rest is on its way out.
        staying = machine.pods if serving else tuple(pod for pod in machine.pods if belongs_to_node(pod))
        return furnish(claim.metadata.name, node, daemons, staying)
    if look.shape is None:
        return None
    node = future_node(look.pool, look.shape, claim.metadata.name, claim.status.zone or claim.spec.zone)
    return furnish(claim.metadata.name, node, daemons)


def waking_order(look: PoolSnapshot) -> list[PoolMachine]:
    """The standby machines that may be woken now, in the order in which they are."""
    standing = (
        machine
        for machine in look.machines
        if members.state(machine) is NodeState.STANDBY
        and members.wanted(machine) is Wanted.STANDBY
        and not _rests(machine, look.taken_at)
    )
    return sorted(standing, key=_freshest_first)


def launches_allowed(look: PoolSnapshot) -> int:
    """How many more machines the pool may ask for now."""
    if look.shape is None or look.problem is not None:
        return 0
    if look.launch_not_before is not None and look.taken_at < look.launch_not_before:
        return 0
    return max(0, look.pool.spec.pool_size - len(look.machines))


def zones_by_use(look: PoolSnapshot, planned: Mapping[str, int]) -> tuple[str, ...]:
    """The zones of the class, those with the fewest machines (of the pool, and ``planned``) first: so they spread."""
    zones = look.shape.zones if look.shape else ()
    used = Counter(machine.claim.status.zone or machine.claim.spec.zone for machine in look.machines)
    return tuple(sorted(zones, key=lambda zone: (used[zone] + planned.get(zone, 0), zone))) or ("",)


def _further_rooms(look: PoolSnapshot, daemons: Daemons) -> Iterator[Room]:
    for machine in (*waking_order(look), *_returning(look), *_being_prepared(look)):
        room = room_of(look, machine, daemons)
        if room is not None:
            yield room
    planned: Counter[str] = Counter()
    for number in range(launches_allowed(look)):
        zones = zones_by_use(look, planned)
        planned[zones[0]] += 1
        for zone in zones:
            assert look.shape is not None  # or nothing could be launched
            name = f"{_LAUNCH}/{zone}/{number}"
            room = furnish(name, future_node(look.pool, look.shape, name, zone), daemons)
            # One machine is one of these, in whichever zone.
            yield replace(room, slot=f"{_LAUNCH}/{number}")


def _rests(machine: PoolMachine, now: datetime) -> bool:
    """Whether the cloud has lately refused to start it, or somebody else has started it."""
    woken = find_condition(machine.claim.status.conditions, ClaimCondition.WOKEN)
    if woken is None or woken.status != "False" or woken.reason == "StoppedOutside":
        return False
    return woken.last_transition_time is None or now < woken.last_transition_time + WAKE_BACKOFF


def _freshest_first(machine: PoolMachine) -> tuple[float, str]:
    status = machine.claim.status
    return -(status.stopped_at or _LONG_AGO).timestamp(), machine.claim.metadata.name


def _returning(look: PoolSnapshot) -> list[PoolMachine]:
    leaving = (NodeState.RUNNING, NodeState.TERMINATING)
    return _wanted_standby(look, leaving)


def _being_prepared(look: PoolSnapshot) -> list[PoolMachine]:
    preparing = [
        machine
        for machine in _wanted_standby(look, (NodeState.WARMUP, None))
        if not members.failed_with(machine, ClaimCondition.LAUNCHED)
    ]
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(preparing, key=lambda machine: machine.claim.status.launched_at or latest)


def _wanted_standby(look: PoolSnapshot, states: tuple[NodeState | None, ...]) -> list[PoolMachine]:
    found = (
        machine
        for machine in look.machines
        if members.wanted(machine) is Wanted.STANDBY and members.state(machine) in states
    )
    return sorted(found, key=lambda machine: machine.claim.metadata.name)


def _decision(
    look: PoolSnapshot, machine: PoolMachine | None, pods: tuple[str, ...], rejected: tuple[str, ...]
) -> Decision:
    how = "a cold machine" if machine is None else _HOW.get(machine.claim.status.state, "a machine in preparation")
    whom = pods[0] if len(pods) == 1 else f"{len(pods)} pods"
    others = dict.fromkeys(line for pod in pods for line in look.passed_over.get(pod, ()))
    return Decision(
        reason="ScaleUp",
        message=f"{how} for {whom}",
        at=look.taken_at,
        pods=tuple(sorted(pods)),
        rejected=(*others, *rejected),
    )


def _assignments(
    look: PoolSnapshot, placed: Mapping[str, tuple[str, ...]], machines: Mapping[str, PoolMachine]
) -> tuple[PodAssignment, ...]:
    """Who waits for whom; machines yet to be named cannot be told of here, and are the next time."""
    known = {(held.pod_namespace, held.pod_name, held.node_name): held for held in look.pool.status.pod_assignments}
    found = []
    for room, pods in placed.items():
        if room in machines:
            node = members.name(machines[room])
            for pod in pods:
                namespace, _, pod_name = pod.rpartition("/")
                new = PodAssignment(
                    pod_name=pod_name, pod_namespace=namespace, node_name=node, assigned_at=look.taken_at
                )
                found.append(known.get((namespace, pod_name, node), new))
    return tuple(sorted(found, key=lambda held: (held.pod_namespace, held.pod_name)))


def _report_left_over(look: PoolSnapshot, pods: tuple[str, ...]) -> tuple[str, ...]:
    if not pods:
        return ()
    size, owned = look.pool.spec.pool_size, len(look.machines)
    if owned >= size:
        why = f"the pool owns {owned} of {counted(size, 'machine')} allowed, and none is free"
    elif look.problem is not None:
        why = f"nothing can be launched: {look.problem.message}"
    elif look.launch_not_before is not None and look.taken_at < look.launch_not_before:
        why = f"launches rest until {look.launch_not_before:%H:%M:%S}, after machines that could not be prepared"
    else:
        why = "none of the machines the pool could add has room for them"
    shown = ", ".join(sorted(pods)[:3]) + (", …" if len(pods) > 3 else "")
    return (f"left waiting: {counted(len(pods), 'pod')} ({shown}): {why}",)
