"""Small objects for tests about warm pools: say only what the test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.meta import Condition, ObjectMeta, OwnerReference
from stratos.apis.node import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from stratos.apis.nodeclaim import (
    ClaimCondition,
    Decision,
    NodeClaim,
    NodeClaimSpec,
    NodeClaimStatus,
    NodeState,
    Wanted,
)
from stratos.apis.nodepool import NodeClassRef, NodePool, NodePoolSpec
from stratos.apis.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements, Toleration
from stratos.planning.pools.nodes import NOT_READY_TAINT, STANDBY_TAINT
from stratos.snapshot.pool import LaunchShape, PoolMachine, PoolSnapshot

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GIB = 2**30

_CLASS = {"kind": "SimNodeClass", "name": "small"}


def a_pool_spec(
    *, size: int = 5, standby: int = 2, template: Mapping[str, Any] | None = None, **more: Any
) -> NodePoolSpec:
    """``more`` as a manifest would write it: ``scaleDown={"emptyNodeTTL": "10m"}``."""
    written = {
        "poolSize": size,
        "minStandby": standby,
        "template": {"nodeClassRef": _CLASS, **(template or {})},
        **more,
    }
    return msgspec.convert(written, NodePoolSpec)


def a_pool(name: str = "ci", **spec: Any) -> NodePool:
    return NodePool(metadata=ObjectMeta(name=name, uid=f"uid-{name}", generation=1), spec=a_pool_spec(**spec))


def a_claim(
    name: str = "ci-1",
    *,
    pool: str = "ci",
    state: NodeState | None = NodeState.STANDBY,
    wanted: Wanted = Wanted.STANDBY,
    wakes: int = 0,
    wakes_done: int | None = None,
    conditions: Mapping[ClaimCondition, str] | None = None,
    decision: Decision | None = None,
    annotations: Mapping[str, str] | None = None,
    deleted: bool = False,
    **status: Any,
) -> NodeClaim:
    """A claim whose machine is launched unless ``state`` is None. Conditions are ``True``, or the reason for False."""
    launched = state is not None
    known: dict[str, Any] = {
        "state": state,
        "state_since": NOW - timedelta(minutes=5) if launched else None,
        "instance_id": f"i-{name}" if launched else "",
        "provider_id": f"sim:///a/i-{name}" if launched else "",
        "launched_at": NOW - timedelta(minutes=5) if launched else None,
        "node_name": f"node-{name}" if launched else "",
        "zone": "a" if launched else "",
        "wakes_done": wakes if wakes_done is None else wakes_done,
    }
    if state is NodeState.RUNNING:
        known |= {"last_started_at": NOW - timedelta(minutes=4), "ready_at": NOW - timedelta(minutes=3)}
    return NodeClaim(
        metadata=ObjectMeta(
            name=name,
            uid=f"uid-{name}",
            finalizers=(labels.CLAIM_FINALIZER,),
            annotations=dict(annotations or {}),
            deletion_timestamp=NOW if deleted else None,
        ),
        spec=NodeClaimSpec(
            pool=pool,
            node_class_ref=NodeClassRef(kind="SimNodeClass", name="small"),
            wanted=wanted,
            wakes=wakes,
            decision=decision,
        ),
        status=NodeClaimStatus(**{**known, **status}, conditions=_conditions(conditions or {})),
    )


def _conditions(given: Mapping[ClaimCondition, str]) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=type_,
            status="True" if value == "True" else "Unknown" if value == "Unknown" else "False",
            reason=value,
            last_transition_time=NOW - timedelta(minutes=1),
        )
        for type_, value in given.items()
    )


def a_node(
    claim: str = "ci-1",
    *,
    ready: bool = True,
    network: bool = True,
    standby: bool = False,
    taints: Sequence[Taint] = (),
    said_at: datetime = NOW,
    cpu: int = 4,
    memory_gib: int = 16,
    labels_: Mapping[str, str] | None = None,
    images: str = "",
) -> Node:
    """The node of a claim from `a_claim`. ``standby``: closed, as a parked one is."""
    conditions = [
        NodeCondition(type="Ready", status=str(ready), last_heartbeat_time=said_at),
        NodeCondition(
            type="NetworkUnavailable",
            status=str(not network),
            reason="CiliumIsUp" if network else "CiliumIsStarting",
            last_heartbeat_time=said_at,
        ),
    ]
    if images:
        reason = "" if images == "True" else "PullFailed"
        conditions.append(NodeCondition(type=labels.IMAGES_PULLED_CONDITION, status=images, reason=reason))
    amounts: dict[str, str | int | float] = {"cpu": str(cpu), "memory": f"{memory_gib}Gi", "pods": "110"}
    closed = (STANDBY_TAINT, NOT_READY_TAINT) if standby else ()
    return Node(
        metadata=ObjectMeta(
            name=f"node-{claim}",
            labels={labels.HOSTNAME: f"node-{claim}", labels.ZONE: "a", labels.OS: "linux", **(labels_ or {})},
        ),
        spec=NodeSpec(unschedulable=standby, taints=(*closed, *taints), provider_id=f"sim:///a/i-{claim}"),
        status=NodeStatus(capacity=amounts, allocatable=amounts, conditions=tuple(conditions)),
    )


def a_pod(
    name: str = "web",
    *,
    cpu: str | None = None,
    memory: str | None = None,
    owner: str = "ReplicaSet",
    selector: Mapping[str, str] | None = None,
    tolerations: Sequence[Toleration] = (),
    node: str = "",
    phase: str = "Pending",
    labels_: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    requests: Mapping[str, str] | None = None,
    leaving_since: datetime | None = None,
    ready: bool = False,
) -> Pod:
    """Without a node it is unschedulable, as the scheduler would have said."""
    asks: dict[str, str | int | float] = {**(requests or {})}
    asks |= {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount}
    conditions = [Condition(type="Ready", status="True")] if ready else []
    if not node:
        conditions.append(Condition(type="PodScheduled", status="False", reason="Unschedulable"))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=dict(labels_ or {}),
            annotations=dict(annotations or {}),
            deletion_timestamp=leaving_since,
            owner_references=(
                OwnerReference(api_version="apps/v1", kind=owner, name=f"{name}-owner", uid="u", controller=True),
            )
            if owner
            else (),
        ),
        spec=PodSpec(
            node_name=node,
            node_selector=dict(selector) if selector else None,
            tolerations=tuple(tolerations) or None,
            containers=(Container(name="main", image="app", resources=ResourceRequirements(requests=asks or None)),),
        ),
        status=PodStatus(phase=phase, conditions=tuple(conditions)),
    )


def a_shape(*, cpu: int = 4, memory_gib: int = 16, pods: int = 110, zones: Sequence[str] = ("a", "b")) -> LaunchShape:
    return LaunchShape(
        instance_type="m5.xlarge",
        arch="amd64",
        zones=tuple(zones),
        allocatable={"cpu": cpu * 1000, "memory": memory_gib * GIB, "pods": pods},
        price_usd_per_hour=0.2,
        image="ami-1",
    )


def a_machine(name: str = "ci-1", *, pods: Sequence[Pod] = (), node: Node | None = None, **claim: Any) -> PoolMachine:
    """A machine of the pool with the node that suits its state."""
    entry = a_claim(name, **claim)
    state = entry.status.state
    fitting = None if state is None else a_node(name, standby=state is NodeState.STANDBY)
    return PoolMachine(entry, node or fitting, tuple(pods))


def a_look(
    pool: NodePool | None = None,
    *machines: PoolMachine,
    waiting: Sequence[Pod] = (),
    at: datetime = NOW,
    **more: Any,
) -> PoolSnapshot:
    more.setdefault("shape", a_shape())
    return PoolSnapshot(taken_at=at, pool=pool or a_pool(), machines=machines, waiting=tuple(waiting), **more)
