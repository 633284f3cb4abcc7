"""Nodes: the Kubernetes objects of machines."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stratos.apis.meta import Condition, Kind, KubeObject, Struct

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Taint(Struct):
    key: str
    effect: Effect
    value: str = ""
    time_added: datetime | None = None


class NodeSpec(Struct):
    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None
    provider_id: str = msgspec.field(default="", name="providerID")


class ContainerImage(Struct):
    names: tuple[str, ...] | None = None
    size_bytes: int = 0


class NodeCondition(Condition):
    last_heartbeat_time: datetime | None = None  # when the host last said so, whether or not anything changed


class NodeStatus(Struct):
    capacity: dict[str, str | int | float] = {}
    allocatable: dict[str, str | int | float] = {}
    conditions: tuple[NodeCondition, ...] = ()
    images: tuple[ContainerImage, ...] | None = None


class Node(KubeObject):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


NODE = Kind(group="", version="v1", plural="nodes", kind="Node", namespaced=False, type=Node)
