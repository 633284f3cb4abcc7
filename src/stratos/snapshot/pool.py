"""One warm pool as it was seen: its machines, the pods it is to serve, and what may be launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stratos.apis.daemonset import DaemonSet
from stratos.apis.node import Node, Taint
from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod
from stratos.snapshot.cluster import ClusterSnapshot


@dataclass(frozen=True, slots=True)
class SpotShape:
    """What the pool's class would launch in spot's terms: one of several types, whichever is to be had."""

    instance_types: tuple[str, ...]
    allocatable: Mapping[str, int]  # the least of each resource that any of the types has
    price_usd_per_hour: float | None = None  # of the cheapest; None: nobody sells them here


@dataclass(frozen=True, slots=True)
class LaunchShape:
    """What a machine that the pool's class would launch now comes to."""

    instance_type: str
    arch: str
    zones: tuple[str, ...]
    allocatable: Mapping[str, int]  # amounts, see `stratos.base.quantity`
    region: str = ""
    price_usd_per_hour: float = 0.0
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # that the class puts on nodes
    taints: tuple[Taint, ...] = ()
    spot: SpotShape | None = None
    pulls_images: bool = True  # its host fetches those of the pool while it is prepared


@dataclass(frozen=True, slots=True)
class ClassProblem:
    """Why nothing can be launched from the pool's node class."""

    reason: str  # NodeClassNotFound, NodeClassNotReady or CloudProviderError
    message: str
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class PoolMachine:
    """One machine of the pool: its entry in the ledger, and its node with what runs there."""

    claim: NodeClaim
    node: Node | None = None
    pods: tuple[Pod, ...] = ()
    wanted: Wanted = field(init=False)  # the claim's wish, which plans ask for again and again

    def __post_init__(self) -> None:
        object.__setattr__(self, "wanted", self.claim.wish)


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """What we believed about one pool at one moment. It may already be stale."""

    taken_at: datetime
    pool: NodePool
    machines: tuple[PoolMachine, ...] = ()
    waiting: tuple[Pod, ...] = ()  # unschedulable pods that are this pool's to serve
    passed_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by pod: why no other pool serves it
    shape: LaunchShape | None = None
    problem: ClassProblem | None = None
    daemon_sets: tuple[DaemonSet, ...] = ()
    launch_not_before: datetime | None = None  # after warm-ups or launches that failed
    cluster: ClusterSnapshot | None = None  # when some of the waiting pods look at other pods
