"""Carry a decision out: what to do next about machines that are to go, so that nobody who uses them notices.

A claim with a ``spec.departure`` goes through this, a step at a time, each time from what is then to be seen:

1. its replacements come into service; should one of them not come, the departure is taken back
2. its node is closed by a taint, so that nothing that starts elsewhere comes back to it
3. pods that can be started twice are: their workload asks for one more for each of them, and when all are ready it asks
   for its own number again. The pods on the closed node bear the lowest deletion cost, so these are what it gives up.
   Large pods go first: where they find room, the small ones do, while the other way round one would be left over
4. pods that cannot be started twice leave one at a time, each when all others of their workload are ready
5. the claim is wished gone, or to stand by if it is a pool's: what is left (pods of Jobs, pods that are not ready) is
   evicted with the machine's drain

What a departure has changed in a workload is written on the workload, in the same write. After a crash it is found
there, and brought back once no pod is left for which it was done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.meta import find_condition, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, Departure, NodeClaim, Wanted
from stratos.apis.pod import Pod
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.base.quantity import GIBIBYTE
from stratos.planning.disruption.machines import TemplateMachine, machines_of
from stratos.planning.disruption.plan import Reason
from stratos.planning.disruption.pod_budgets import PodBudgets
from stratos.planning.disruption.ways import Obstacle, Way, way_out
from stratos.planning.scheduling.requests import effective_requests
from stratos.snapshot.disruption import DisruptionSnapshot, Workload

SURGE_LIMIT = timedelta(minutes=10)
"""How long replacements of pods may take to be ready. A pod that never becomes so would hold its node for ever."""

LIMIT_PER_POD = timedelta(seconds=30)
"""And for each pod so much more: budgets may let them move only one by one."""


_ALIKE = 2.0
"""Pods that differ in size by no more than this start at the same time: waves should be few."""

_CORE, _MEMORY = 1000, 4 * GIBIBYTE  # of machines that are neither rich in memory nor poor


@dataclass(frozen=True, slots=True)
class Close:
    """Put the taint on the node."""

    claim: str
    node: str


@dataclass(frozen=True, slots=True)
class StartSurge:
    """Give the pods the lowest deletion cost, then let their workload ask for so many more."""

    controller: str  # the uid of the controller of the pods
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndSurge:
    """Let the workload ask for its own number again."""

    controller: str


@dataclass(frozen=True, slots=True)
class Evict:
    pod: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Wish the claim what its departure says: gone, or to stand by."""

    claim: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Take the departure back: the machine stays. ``pods`` lose the deletion cost they were given."""

    claim: str
    message: str
    not_before: datetime
    pods: tuple[str, ...] = ()


EvacuationStep = Close | StartSurge | EndSurge | Evict | Finish | GiveUp


@dataclass(slots=True)
class _Surging:
    """The pods of one workload that are to be replaced first, on whichever nodes."""

    workload: Workload
    pods: list[Pod] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EvacuationPlan:
    steps: tuple[EvacuationStep, ...] = ()
    waits: tuple[str, ...] = ()  # what is waited for, in sentences
    look_again_at: datetime | None = None


def plan_evacuation(look: DisruptionSnapshot) -> EvacuationPlan:
    """The next steps for every machine with a departure, and for workloads that still bear a surge."""
    return _Evacuation(look).plan()


class _Evacuation:
    def __init__(self, look: DisruptionSnapshot) -> None:
        self._look = look
        self._now = look.world.taken_at
        self._budgets = PodBudgets(look.budgets)
        self._claims = {claim.metadata.name: claim for claim in (*look.world.claims, *look.pool_claims)}
        self._steps: list[EvacuationStep] = []
        self._waits: list[str] = []
        self._due: list[datetime] = []
        self._surging: dict[str, _Surging] = {}
        self._alone: dict[str, list[Pod]] = {}

    def plan(self) -> EvacuationPlan:
        departing = (claim for claim in self._look.pool_claims if claim.spec.departure is not None)
        for machine in machines_of(self._look.world, departing):
            departure = machine.claim.spec.departure
            if departure is not None and machine.stays:
                self._leave(machine, departure)
        self._move_alone()
        self._surge()
        return EvacuationPlan(tuple(self._steps), tuple(self._waits), min(self._due, default=None))

    def _leave(self, machine: TemplateMachine, departure: Departure) -> None:
        if departure.reason == Reason.UNHEALTHY:
            self._steps.append(Finish(machine.name))  # nothing runs there that could be moved
            return
        missing = [name for name in departure.replacements if not _may_come(self._claims.get(name))]
        if missing:
            self._give_up(machine, f"its replacement {missing[0]} did not come")
            return
        awaited = [name for name in departure.replacements if not _is_ready(self._claims[name])]
        if awaited:
            self._waits.append(f"{machine.name} waits for {', '.join(awaited)}")
            return
        node = machine.node
        if node is None:
            self._steps.append(Finish(machine.name))
        elif not any(taint.key == labels.DISRUPTED_TAINT for taint in node.spec.taints or ()):
            self._steps.append(Close(machine.name, node.metadata.name))
        elif departure.reason == Reason.EMPTY and machine.pods:
            self._give_up(machine, f"{machine.pods[0].metadata.key} came to its node")
        else:
            self._empty(machine, departure)

    def _empty(self, machine: TemplateMachine, departure: Departure) -> None:
        """Sort the pods by the way they leave; the machine may go when those that leave with care have left."""
        careful = 0
        obstacles: list[Obstacle] = []
        for pod in machine.pods:
            if pod.metadata.deletion_timestamp is not None:
                careful += 1  # its end is not waited for by its machine alone: a replacement may need its room
                continue
            way = way_out(pod, self._look.workloads, self._budgets, machine.settings.single_replica)
            controller = pod.metadata.controller
            if isinstance(way, Obstacle):
                obstacles.append(way)
            elif way is not Way.EVICT and controller is not None:
                careful += 1
                if way is Way.SURGE:
                    workload = self._look.workloads[controller.uid]
                    self._surging.setdefault(controller.uid, _Surging(workload)).pods.append(pod)
                else:
                    self._alone.setdefault(controller.uid, []).append(pod)
        if not careful and not obstacles:
            self._steps.append(Finish(machine.name))
            return
        drain_timeout = timedelta(seconds=parse_duration_seconds(machine.settings.drain_timeout))
        patience = drain_timeout + SURGE_LIMIT + departure.pods * LIMIT_PER_POD
        ends_at = _begun(departure, self._claims) + patience
        if self._now >= ends_at:
            why = obstacles[0].message if obstacles else "its pods could not be replaced in time"
            self._give_up(machine, why)
            return
        self._due.append(ends_at)
        self._waits += [f"{machine.name}: {obstacle.message}" for obstacle in obstacles]

    def _move_alone(self) -> None:
        for uid, pods in sorted(self._alone.items()):
            workload = self._look.workloads[uid]
            self._steps.append(Evict(pods[0].metadata.key))
            self._waits.append(f"{workload.name} gives up {pods[0].metadata.key}")

    def _surge(self) -> None:
        largest = max((_size(moving.pods[0]) for moving in self._surging.values()), default=0.0)
        for uid, workload in sorted(self._look.workloads.items(), key=lambda item: (item[1].name, item[0])):
            moving = self._surging.get(uid)
            if workload.surge:
                if moving is None or workload.ready >= workload.replicas + workload.surge:
                    self._steps.append(EndSurge(uid))
                else:
                    self._waits.append(f"{workload.name} starts {workload.surge} more")
            elif moving is not None and _size(moving.pods[0]) >= largest / _ALIKE:
                pods = moving.pods
                most = self._budgets.most_surge(pods[0], len(pods))
                if most:
                    self._steps.append(StartSurge(uid, tuple(pod.metadata.key for pod in pods[:most])))

    def _give_up(self, machine: TemplateMachine, message: str) -> None:
        settles = parse_duration_seconds(machine.settings.node_unneeded_duration)
        rest = timedelta(seconds=max(settles, machine.restore_seconds or 0))
        marked = tuple(pod.metadata.key for pod in machine.pods if pod.metadata.annotations.get(labels.DELETION_COST))
        self._steps.append(GiveUp(machine.name, message, self._now + rest, marked))


def _size(pod: Pod) -> float:
    """In cores, or in what of memory usually comes with one."""
    try:
        requests = effective_requests(pod.spec)
    except Invalid:
        return 0.0
    return max(requests.get("cpu", 0) / _CORE, requests.get("memory", 0) / _MEMORY)


def _may_come(claim: NodeClaim | None) -> bool:
    if claim is None or claim.wish is not Wanted.RUNNING:
        return False
    launched = find_condition(claim.status.conditions, ClaimCondition.LAUNCHED)
    return launched is None or launched.status != "False"


def _is_ready(claim: NodeClaim) -> bool:
    return is_condition_true(claim.status.conditions, ClaimCondition.READY)


def _begun(departure: Departure, claims: dict[str, NodeClaim]) -> datetime:
    """When its pods could begin to move: once the last of its replacements was ready."""
    ready: Iterable[datetime | None] = (claims[name].status.ready_at for name in departure.replacements)
    return max((moment for moment in ready if moment is not None), default=departure.at)
