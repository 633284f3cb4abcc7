"""What provisioning sees: the pods that wait, the templates that may serve them, and everything under way already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stratos.apis.daemonset import DaemonSet
from stratos.apis.node import Taint
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodetemplate import BackedOff, NodeTemplate
from stratos.apis.pod import Pod
from stratos.catalog.catalog import Catalog
from stratos.snapshot.cluster import ClusterSnapshot


@dataclass(frozen=True, slots=True)
class LaunchGround:
    """What a node class means for the machines launched from it, whatever their type."""

    zones: tuple[str, ...]  # that its subnets reach
    labels: Mapping[str, str] = field(default_factory=dict)  # that it puts on nodes
    taints: tuple[Taint, ...] = ()
    max_pods: int | None = None
    disk_gib: int | None = None  # None: the cloud's default
    problem: str = ""  # why nothing can be launched from it now; empty when something can


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a pod has: what was said is not said again within the hour."""

    pod: str  # namespace/name
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProvisioningSnapshot:
    """What we believed at one moment. It may already be stale."""

    taken_at: datetime
    catalog: Catalog  # what the cloud sells here
    templates: tuple[NodeTemplate, ...]
    grounds: Mapping[str, LaunchGround]  # by template
    waiting: tuple[Pod, ...]  # unschedulable pods that no pool serves, and those whose machines are taken back
    claims: tuple[NodeClaim, ...]  # of all templates
    cluster: ClusterSnapshot  # its nodes, and the pods on them
    daemon_sets: tuple[DaemonSet, ...] = ()
    backed_off: tuple[BackedOff, ...] = ()  # by any template
    cluster_cost_limit_usd_per_hour: float | None = None
    cluster_gpu_limit: int | None = None
    gated: tuple[Pod, ...] = ()  # pods that ask for an estimate, see `labels.COST_ESTIMATE_GATE`
    interrupted: tuple[str, ...] = ()  # claims whose pods count as waiting
    told: tuple[Told, ...] = ()  # of the pods that wait or are gated
