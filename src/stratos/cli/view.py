"""What is going on in a cluster, at a glance: pools, machines and the pods that matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stratos.apis.meta import find_condition
from stratos.apis.nodeclaim import NodeClaim, NodeState
from stratos.apis.nodepool import NodePool
from stratos.apis.pod import Pod
from stratos.base.duration import human_duration
from stratos.kube.cache import Cache, CacheEvent, Change
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)

_PODS_SHOWN = 12
_MACHINES_SHOWN = 16


class ClusterView:
    """Reads the caches it is given, and never changes anything."""

    def __init__(self, pools: Cache[NodePool], claims: Cache[NodeClaim], pods: Cache[Pod]) -> None:
        self._pools = pools
        self._claims = claims
        self._pods = pods

    def render(self, now: datetime) -> RenderableType:
        claims, pods = self._claims.list(), self._pods.list()
        return Group(
            pool_table(self._pools.list(), claims),
            Text(),
            _machine_table(claims, now),
            Text(),
            _pod_table(pods, now),
            Text(f"{now:%Y-%m-%d %H:%M:%S} UTC of the cluster · Ctrl-C stops it", style="dim"),
        )

    def tell_changes(self) -> None:
        """A line for each step that a pod or a machine takes from now on, for where there is no terminal."""
        self._pods.subscribe(_tell_pod)
        self._claims.subscribe(_tell_claim)


def pool_table(pools: Sequence[NodePool], claims: Sequence[NodeClaim]) -> Table:
    """One line a pool: how many machines it may have, how many there are in which state, and what they cost."""
    table = Table(box=None, pad_edge=False)
    for name in ("POOL", "SIZE", "MIN STANDBY", "WARMUP", "STANDBY", "RUNNING", "LEAVING", "$/H", "READY"):
        table.add_column(name, justify="left" if name in ("POOL", "READY") else "right")
    for pool in sorted(pools, key=lambda pool: pool.metadata.name):
        own = [claim for claim in claims if claim.spec.pool == pool.metadata.name]
        states = Counter(claim.status.state for claim in own)
        table.add_row(
            pool.metadata.name,
            str(pool.spec.pool_size),
            str(pool.spec.min_standby),
            str(states[NodeState.WARMUP] + states[None]),
            str(states[NodeState.STANDBY]),
            str(states[NodeState.RUNNING]),
            str(states[NodeState.TERMINATING]),
            f"{running_cost(own):.3f}",
            readiness(pool),
        )
    if not pools:
        table.add_row("no pools yet: kubectl apply -f examples/ci-runners")
    return table


def running_cost(claims: Sequence[NodeClaim]) -> float:
    """US dollars per hour of the machines that are powered on; standby ones cost only their disks."""
    powered = [claim for claim in claims if claim.status.state is not NodeState.STANDBY]
    return sum(claim.status.price_usd_per_hour or 0.0 for claim in powered)


def readiness(pool: NodePool) -> str:
    """``yes``, or why not."""
    degraded = find_condition(pool.status.conditions, "Degraded")
    if degraded is not None and degraded.status == "True":
        return f"no: {degraded.message}"
    ready = find_condition(pool.status.conditions, "Ready")
    if ready is None:
        return "not looked at yet"
    return "yes" if ready.status == "True" else f"no: {ready.message}"


def _machine_table(claims: Sequence[NodeClaim], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("MACHINE", "STATE", "SINCE", "WANTED", "TYPE", "ZONE", "WHY"):
        table.add_column(name, no_wrap=True)
    shown = sorted(claims, key=lambda claim: (claim.spec.pool, claim.metadata.name))
    for claim in shown[:_MACHINES_SHOWN]:
        status, decision = claim.status, claim.spec.decision
        table.add_row(
            claim.metadata.name,
            status.state or "asked for",
            _since(status.state_since or claim.metadata.creation_timestamp, now),
            claim.spec.wanted,
            status.instance_type,
            status.zone,
            decision.message if decision else "",
        )
    if len(shown) > _MACHINES_SHOWN:
        table.add_row(f"… and {len(shown) - _MACHINES_SHOWN} more")
    return table


def _pod_table(pods: Sequence[Pod], now: datetime) -> Table:
    """Waiting pods first, then the youngest; DaemonSets' pods say nothing about demand."""
    table = Table(box=None, pad_edge=False)
    for name in ("POD", "PHASE", "AGE", "NODE"):
        table.add_column(name, no_wrap=True)
    demand = [pod for pod in pods if not _belongs_to_daemon_set(pod)]
    demand.sort(key=lambda pod: pod.metadata.creation_timestamp or now, reverse=True)
    demand.sort(key=lambda pod: pod.status.phase != "Pending")
    for pod in demand[:_PODS_SHOWN]:
        table.add_row(
            pod.metadata.key,
            "Unschedulable" if pod.unschedulable else pod.status.phase,
            _since(pod.metadata.creation_timestamp, now),
            pod.spec.node_name,
        )
    if len(demand) > _PODS_SHOWN:
        table.add_row(f"… and {len(demand) - _PODS_SHOWN} more")
    return table


def _belongs_to_daemon_set(pod: Pod) -> bool:
    return pod.metadata.controller is not None and pod.metadata.controller.kind == "DaemonSet"


def _since(moment: datetime | None, now: datetime) -> str:
    return human_duration((now - moment).total_seconds()) if moment else ""


def _tell_pod(event: CacheEvent[Pod]) -> None:
    pod, old = event.object, event.old
    if event.change is Change.DELETED:
        log.info("pod is gone", pod=pod.metadata.key)
    elif pod.unschedulable and not (old and old.unschedulable):
        log.info("pod waits: no node fits", pod=pod.metadata.key)
    elif old is not None and (pod.spec.node_name, pod.status.phase) != (old.spec.node_name, old.status.phase):
        log.info("pod " + pod.status.phase.lower(), pod=pod.metadata.key, node=pod.spec.node_name)


def _tell_claim(event: CacheEvent[NodeClaim]) -> None:
    claim, old = event.object, event.old
    if event.change is Change.DELETED:
        log.info("machine is gone", machine=claim.metadata.name)
    elif old is None or claim.spec.wanted is not old.spec.wanted:
        why = claim.spec.decision.message if claim.spec.decision else ""
        log.info("machine wanted " + claim.spec.wanted, machine=claim.metadata.name, why=why)
    elif claim.status.state is not old.status.state:
        log.info(f"machine in {claim.status.state}", machine=claim.metadata.name, node=claim.status.node_name)
