"""The nodes of a pool as they will be once in service: what a waiting pod would find there.

A machine that stands by, starts or warms up has a node that is closed, or none yet. Its room is that node without what
passes (cordon, standby and start-up taints), filled with what runs there and with the DaemonSets that will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stratos.apis import labels
from stratos.apis.node import Node
from stratos.apis.nodepool import NodePool, PoolTemplate
from stratos.apis.pod import Pod
from stratos.planning.pools.nodes import NOT_READY_TAINT, STANDBY_TAINT
from stratos.planning.scheduling.daemons import Daemons, daemons_on
from stratos.planning.scheduling.nodes import NodeDescription, describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.snapshot.pool import LaunchShape

_PASSING_KEYS = frozenset(
    f"node.kubernetes.io/{name}" for name in ("not-ready", "unreachable", "unschedulable", "network-unavailable")
)


@dataclass(frozen=True, slots=True)
class Room:
    """One node in service, as planned: ``held`` runs there already or surely will."""

    name: str
    node: NodeDescription
    held: tuple[PlacedPod, ...]
    slot: str = ""  # of the rooms that share a slot only one can be had
    in_use: bool = False  # in service already: the scheduler has refused it to whoever waits


def node_labels(pool: NodePool) -> dict[str, str]:
    """What every node of the pool carries because of the pool."""
    own = {labels.POOL: pool.metadata.name, labels.STATE: "running", labels.CAPACITY_TYPE: "on-demand"}
    return pool.spec.template.node_labels | own


def future_node(pool: NodePool, shape: LaunchShape, name: str, zone: str) -> NodeDescription:
    """The node of a machine that has yet to join."""
    known = {
        labels.HOSTNAME: name,
        labels.ARCH: shape.arch,
        labels.OS: "linux",
        labels.INSTANCE_TYPE: shape.instance_type,
        labels.REGION: shape.region,
        labels.ZONE: zone or next(iter(shape.zones), ""),
    }
    return NodeDescription(
        name=name,
        labels={**shape.labels, **{key: value for key, value in known.items() if value}, **node_labels(pool)},
        taints=(*shape.taints, *pool.spec.template.taints),
        allocatable=shape.allocatable,
    )


def settled_node(node: Node, template: PoolTemplate) -> NodeDescription:
    """A node that is there, without the cordon and the taints that pass."""
    passing = {(taint.key, taint.effect) for taint in (STANDBY_TAINT, NOT_READY_TAINT, *template.startup_taints)}
    described = describe_node(node)
    kept = (
        taint
        for taint in described.taints
        if (taint.key, taint.effect) not in passing and taint.key not in _PASSING_KEYS
    )
    return replace(described, taints=tuple(kept), unschedulable=False)


def serving_node(pool: NodePool, node: Node, shape: LaunchShape | None) -> NodeDescription:
    """A node that is there, as it will be in service."""
    template = pool.spec.template
    settled = settled_node(node, template)
    terms = node.metadata.labels.get(labels.CAPACITY_TYPE)
    return replace(
        settled,
        labels={**settled.labels, **node_labels(pool), **({labels.CAPACITY_TYPE: terms} if terms else {})},
        taints=tuple(dict.fromkeys((*settled.taints, *template.taints))),
        allocatable=settled.allocatable or (shape.allocatable if shape else {}),
    )


def furnish(name: str, node: NodeDescription, daemons: Daemons, pods: Sequence[Pod] = ()) -> Room:
    """The room of ``node``: with its ``pods``, and with the DaemonSets that have no pod there yet."""
    staying = [pod for pod in pods if not pod.finished]
    present = {
        f"{pod.metadata.namespace}/{owner.name}" for pod in staying if (owner := pod.metadata.controller) is not None
    }
    return Room(
        name=name,
        node=node,
        held=(
            *(_placed(pod.metadata.key, requirements_of(pod)) for pod in staying),
            *(_placed(f"{node.name}/{key}", asks) for key, asks in daemons_on(daemons, node) if key not in present),
        ),
    )


def _placed(key: str, requirements: PodRequirements) -> PlacedPod:
    return PlacedPod(key=key, requirements=requirements)


def free_amounts(room: Room, *more: PodRequirements) -> dict[str, int]:
    """What the room leaves once ``more`` has come, too."""
    free = dict(room.node.allocatable)
    for asks in (*(pod.requirements for pod in room.held), *more):
        for resource, amount in asks.requests:
            free[resource] = free.get(resource, 0) - amount
    return free
