"""What a pool's plan says, and the facts about single machines that its parts agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis import labels
from stratos.apis.meta import Condition, find_condition, is_condition_true
from stratos.apis.nodeclaim import ClaimCondition, Decision, Departure, NodeState, Wanted
from stratos.apis.nodepool import NodePoolStatus
from stratos.planning.pools.drain import workload_pods
from stratos.planning.pools.machine import wake_is_due
from stratos.planning.pools.nodes import has_become_ready
from stratos.snapshot.pool import PoolMachine

SETTLING = timedelta(seconds=10)
"""How long after a node became ready the scheduler may still be about to use it."""


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A machine to ask for."""

    wanted: Wanted
    zone: str
    decision: Decision
    replacing: str = ""  # the node whose place it takes: a spot machine


@dataclass(frozen=True, slots=True)
class Departing:
    """A machine that leaves service, with care, once another has come for its pods."""

    claim: str
    departure: Departure
    annotations: Mapping[str, str]  # that its claim gets


@dataclass(frozen=True, slots=True)
class Wish:
    """What an existing claim shall want from now on."""

    claim: str
    wanted: Wanted
    decision: Decision
    wake: bool = False  # it is a new wake: the cloud is to be asked for a start


@dataclass(frozen=True, slots=True)
class Mark:
    """Since when a machine's node is empty (None: it is not)."""

    claim: str
    empty_since: datetime | None


@dataclass(frozen=True, slots=True)
class Note:
    """Annotations that a claim gets, or loses."""

    claim: str
    annotations: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class PoolEvent:
    reason: str
    message: str
    warning: bool = False
    once: str = ""  # told once for this key, however often it is planned


@dataclass(frozen=True, slots=True)
class PoolPlan:
    status: NodePoolStatus
    launches: tuple[NewClaim, ...] = ()
    wishes: tuple[Wish, ...] = ()
    marks: tuple[Mark, ...] = ()
    answers: tuple[str, ...] = ()  # interrupted claims for whose pods this plan has found, or asked for, machines
    departures: tuple[Departing, ...] = ()
    notes: tuple[Note, ...] = ()
    replacements_lasted_seconds: tuple[float, ...] = ()  # of those by spot machines that are complete now
    events: tuple[PoolEvent, ...] = ()
    report: tuple[str, ...] = ()  # what was left undone, and why
    look_again_seconds: float | None = None
    release: bool = False  # the pool is being deleted and nothing of it is left


def state(machine: PoolMachine) -> NodeState | None:
    return machine.claim.status.state


def wanted(machine: PoolMachine) -> Wanted:
    return machine.wanted


def condition(machine: PoolMachine, type_: ClaimCondition) -> Condition | None:
    return find_condition(machine.claim.status.conditions, type_)


def failed_with(machine: PoolMachine, type_: ClaimCondition) -> str:
    """The reason why a condition is False. Empty when it is not."""
    found = condition(machine, type_)
    return found.reason if found is not None and found.status == "False" else ""


def is_under_way(machine: PoolMachine, now: datetime) -> bool:
    """Whether its node is still to come into service, or did so only now: room that no scheduler has counted yet."""
    if wanted(machine) is not Wanted.RUNNING or replaces(machine) or machine.claim.spec.interruption is not None:
        return False  # what takes the place of another has no room beside that one's pods
    match state(machine):
        case NodeState.STANDBY:
            return wake_is_due(machine.claim)
        case NodeState.RUNNING:
            ready_at = machine.claim.status.ready_at
            return not has_become_ready(machine.claim.status) or ready_at is None or now < ready_at + SETTLING
        case None:
            return not failed_with(machine, ClaimCondition.LAUNCHED)
        case _:
            return True


def is_in_service(machine: PoolMachine) -> bool:
    return (
        wanted(machine) is Wanted.RUNNING
        and state(machine) is NodeState.RUNNING
        and is_condition_true(machine.claim.status.conditions, ClaimCondition.READY)
    )


def replaces(machine: PoolMachine) -> str:
    """The name of the node whose place it was got to take. Empty: it was got for pods, or to stand by."""
    return machine.claim.metadata.annotations.get(labels.SPOT_REPLACING_NODE, "")


def is_empty(machine: PoolMachine) -> bool:
    return not workload_pods(machine.pods)


def name(machine: PoolMachine) -> str:
    return machine.claim.status.node_name or machine.claim.metadata.name
