"""One machine as it was seen: what the ledger says, what the cloud says, what its node says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stratos.apis.daemonset import DaemonSet
from stratos.apis.node import Node
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodepool import NodePoolSpec
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget


class MachineState(StrEnum):
    """Where the cloud sees a machine. ``running`` says nothing about the software on it."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"

    @property
    def gone(self) -> bool:
        """Lost for good; its disk goes, or went, with it."""
        return self in (MachineState.SHUTTING_DOWN, MachineState.TERMINATED)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the cloud said of a machine, and when. It may lag a few seconds behind what was asked of it."""

    state: MachineState | None  # None: the cloud does not know it
    at: datetime


@dataclass(frozen=True, slots=True)
class MachineSnapshot:
    """What we believed about one machine at one moment. Any part of it may already be stale."""

    taken_at: datetime
    claim: NodeClaim
    settings: NodePoolSpec | None  # of its pool, or made of what its claim says; None: the pool is gone
    seen: Sighting | None = None  # None: nobody has looked yet
    node: Node | None = None
    pods: tuple[Pod, ...] = ()  # on the node, finished ones too
    budgets: tuple[PodDisruptionBudget, ...] = ()
    turns_itself_off: bool = False  # at the end of its warm-up
    pulls_images: bool = True  # its host fetches those of its pool, and says so
    daemon_sets: tuple[DaemonSet, ...] = ()
    over_limit: str = ""  # which limit its launch would exceed, in a sentence
