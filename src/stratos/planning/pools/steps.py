"""What can be done for one machine: each step a single act on the cloud, its node or its claim, and safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stratos.apis.nodeclaim import NodeClaimStatus
from stratos.planning.pools.nodes import NodeShape


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the cloud for the machine (token: the claim's uid), and record what it gave."""


@dataclass(frozen=True, slots=True)
class FindMachine:
    """A launch was tried and its outcome is not known: look for the machine by its tags, and record it."""


@dataclass(frozen=True, slots=True)
class Start:
    token: str


@dataclass(frozen=True, slots=True)
class Stop:
    force: bool = False


@dataclass(frozen=True, slots=True)
class Terminate:
    pass


@dataclass(frozen=True, slots=True)
class Tag:
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """Give the node these labels, annotations, cordon and taints."""

    shape: NodeShape


@dataclass(frozen=True, slots=True)
class Nominate:
    """Promise the node to those of these pods that still wait, before anybody else may see that it has room."""

    pods: tuple[str, ...]  # namespace/name


@dataclass(frozen=True, slots=True)
class Empty:
    """Ask pods to leave, and remove those whose time is over."""

    evict: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    grace_seconds: Mapping[str, int] = field(default_factory=dict)  # of those that get less than they ask for


@dataclass(frozen=True, slots=True)
class DeleteNode:
    pass


@dataclass(frozen=True, slots=True)
class Record:
    """Write the claim's status."""

    status: NodeClaimStatus


@dataclass(frozen=True, slots=True)
class Tell:
    """An event on the pool or the template."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing of the machine is left: let the claim go."""


Step = (
    Launch
    | FindMachine
    | Start
    | Stop
    | Terminate
    | Tag
    | Shape
    | Nominate
    | Empty
    | DeleteNode
    | Record
    | Tell
    | Release
)


@dataclass(frozen=True, slots=True)
class MachinePlan:
    steps: tuple[Step, ...]
    waits_for: str = ""
    look_again_seconds: float | None = None  # even if nothing is seen to change
    follow: bool = True  # keep asking the cloud about this machine
