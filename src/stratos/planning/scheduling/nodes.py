"""What the scheduler knows of a node: a real one, or one that could be bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stratos.apis.node import Node, Taint
from stratos.planning.scheduling.requests import Amounts, node_amounts


@dataclass(frozen=True, slots=True)
class NodeDescription:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    allocatable: Mapping[str, int] = field(default_factory=dict)  # amounts, see `stratos.base.quantity`
    attach_limits: Mapping[str, int] = field(default_factory=dict)  # volumes by storage driver


def describe_node(node: Node, attach_limits: Mapping[str, int] | None = None) -> NodeDescription:
    """``attach_limits`` is told by the node's CSINode, see `volumes.attach_limits`.

    Raises `Invalid` naming the field when an amount is not a quantity.
    """
    allocatable: Amounts = node_amounts(node.status.allocatable or node.status.capacity)
    return NodeDescription(
        name=node.metadata.name,
        labels=node.metadata.labels,
        taints=node.spec.taints or (),
        unschedulable=node.spec.unschedulable,
        allocatable=allocatable,
        attach_limits=attach_limits or {},
    )
