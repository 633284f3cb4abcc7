"""Small objects for tests about templates: a shop that sells a few types, templates, pods that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.node import Node
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeClaimSpec, Wanted
from stratos.apis.nodepool import NodeClassRef
from stratos.apis.nodetemplate import NodeTemplate, NodeTemplateSpec
from stratos.apis.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType, Offering
from stratos.planning.provisioning.plan import ProvisioningPlan
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GIB = 2**30
ZONES = ("r-a", "r-b")
GROUND = LaunchGround(zones=ZONES)
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient cpu."


def a_type(
    name: str, cpu: int, gib: float, *, gpu: Gpu | None = None, arch: str = "amd64", **more: Any
) -> InstanceType:
    """Its family is what comes before the dot."""
    return InstanceType(
        name=name,
        family=name.partition(".")[0],
        arch=arch,
        vcpu=cpu,
        memory_bytes=int(gib * GIB),
        max_pods=more.pop("max_pods", 110),
        gpu=gpu,
        **more,
    )


def a_gpu(sku: str, count: float = 1, manufacturer: str = "nvidia") -> Gpu:
    return Gpu(manufacturer=manufacturer, sku=sku, count=count, memory_gib=16)


def a_shop(
    *sold: tuple[InstanceType, float] | tuple[InstanceType, float, float | None],
    zones: tuple[str, ...] = ZONES,
    buckets: Mapping[str, int] | None = None,
    cloud: str = "aws",
) -> Catalog:
    """A catalog of types with their price on demand and, if they are sold so, as spot; the same in all zones."""
    offerings: dict[str, tuple[Offering, ...]] = {}
    for type_, on_demand, *rest in sold:
        spot = rest[0] if rest else None
        prices = {CapacityType.ON_DEMAND: on_demand} | ({CapacityType.SPOT: spot} if spot is not None else {})
        offerings[type_.name] = tuple(
            Offering(
                type_.name,
                zone,
                terms,
                price,
                (buckets or {}).get(type_.name) if terms is CapacityType.SPOT else None,
            )
            for zone in zones
            for terms, price in prices.items()
        )
    return Catalog(
        cloud=cloud,
        region="r",
        zones=zones,
        instance_types={each[0].name: each[0] for each in sold},
        offerings_by_type=offerings,
    )


def a_template(name: str = "general", **spec: Any) -> NodeTemplate:
    """``spec`` as a manifest would write it: ``constraints={"minCpu": 4}``."""
    written = {"nodeClassRef": {"kind": "SimNodeClass", "name": "small"}, **spec}
    return NodeTemplate(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=msgspec.convert(written, NodeTemplateSpec)
    )


def a_waiting_pod(
    name: str,
    *,
    cpu: str | int = "100m",
    memory: str = "128Mi",
    gpus: int = 0,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    message: str = UNSCHEDULABLE,
    **spec: Any,
) -> Pod:
    """A pod that the scheduler found no node for. ``spec`` as a manifest would write it."""
    requests: dict[str, str | int | float] = {"cpu": cpu, "memory": memory}
    if gpus:
        requests["nvidia.com/gpu"] = gpus
    condition = Condition(type="PodScheduled", status="False", reason="Unschedulable", message=message)
    more = msgspec.convert(spec, PodSpec)
    container = Container(name="main", resources=ResourceRequirements(requests=requests))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=dict(labels or {}),
            annotations=dict(annotations or {}),
        ),
        spec=msgspec.structs.replace(more, containers=(container,)),
        status=PodStatus(phase="Pending", conditions=(condition,)),
    )


def a_look(
    *templates: NodeTemplate,
    waiting: Sequence[Pod] = (),
    claims: Sequence[NodeClaim] = (),
    shop: Catalog,
    nodes: Sequence[Node] = (),
    pods: Sequence[Pod] = (),
    at: datetime = NOW,
    **more: Any,
) -> ProvisioningSnapshot:
    return ProvisioningSnapshot(
        taken_at=at,
        catalog=shop,
        templates=templates,
        grounds={template.metadata.name: GROUND for template in templates},
        waiting=tuple(waiting),
        claims=tuple(claims),
        cluster=ClusterSnapshot(at, tuple(nodes), (*pods, *waiting)),
        **more,
    )


def claims_for(plan: ProvisioningPlan, *, at: datetime = NOW, first: int = 1) -> list[NodeClaim]:
    """The claims that a controller writes for a plan, before anything has come of them."""
    return [
        NodeClaim(
            metadata=ObjectMeta(name=f"{new.template}-{number}", uid=f"uid-{number}", creation_timestamp=at),
            spec=NodeClaimSpec(
                node_class_ref=NodeClassRef(kind="SimNodeClass", name="small"),
                wanted=Wanted.RUNNING,
                template=new.template,
                instance_type=new.candidate.offering.instance_type,
                zone=new.candidate.offering.zone,
                capacity_type=new.candidate.offering.capacity_type,
                price_usd_per_hour=new.candidate.price_usd_per_hour,
                node=new.node,
                decision=new.decision,
            ),
        )
        for number, new in enumerate(plan.machines, first)
    ]


def refused(claim: NodeClaim, reason: str = "InsufficientCapacity", *, at: datetime = NOW) -> NodeClaim:
    """The claim after the cloud said no."""
    condition = Condition(
        type=ClaimCondition.LAUNCHED, status="False", reason=reason, message="sold out", last_transition_time=at
    )
    status = msgspec.structs.replace(claim.status, conditions=(condition,))
    return msgspec.structs.replace(claim, status=status)
