"""Small clusters of template machines for tests about disruption: say only what the test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from stratos.apis import labels
from stratos.apis.meta import Condition, ObjectMeta, OwnerReference
from stratos.apis.node import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from stratos.apis.nodeclaim import (
    ClaimCondition,
    Decision,
    Departure,
    NodeClaim,
    NodeClaimSpec,
    NodeClaimStatus,
    NodeState,
    Wanted,
)
from stratos.apis.nodetemplate import BackedOff, NodeTemplate
from stratos.apis.pod import Affinity, Container, LabelSelectorSpec, Pod, PodSpec, PodStatus, ResourceRequirements
from stratos.apis.poddisruptionbudget import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.candidates import Candidates, candidates_of
from stratos.planning.provisioning.draft import settings_of
from stratos.snapshot.cluster import ClusterSnapshot
from stratos.snapshot.disruption import DisruptionSnapshot, Workload
from stratos.snapshot.provisioning import LaunchGround, ProvisioningSnapshot
from stratos.testing.provisioning_builders import GROUND, NOW, ZONES, a_gpu, a_shop, a_template, a_type

SHOP = a_shop(
    (a_type("c.small", 2, 4), 0.10, 0.03),
    (a_type("c.medium", 4, 8), 0.20, 0.06),
    (a_type("c.large", 8, 16), 0.40, 0.12),
    (a_type("c.huge", 32, 64), 1.60, 0.48),
    (a_type("g.one", 4, 16, gpu=a_gpu("T4")), 0.90, 0.30),
)


@dataclass(frozen=True)
class Machine:
    claim: NodeClaim
    node: Node
    pods: tuple[Pod, ...] = ()


def a_machine(
    name: str,
    *pods: Pod,
    template: NodeTemplate | None = None,
    type_: str = "c.medium",
    zone: str = ZONES[0],
    terms: CapacityType = CapacityType.ON_DEMAND,
    age: timedelta = timedelta(hours=2),
    unneeded_for: timedelta | None = None,
    unready_for: timedelta | None = None,
    packing: str = "optimal",
    made_for: str = "Provision",
    promised_to: Sequence[str] = (),
    departure: Departure | None = None,
    closed: bool = False,
    coming: bool = False,
    annotations: Mapping[str, str] | None = None,
    node_labels: Mapping[str, str] | None = None,
    node_annotations: Mapping[str, str] | None = None,
    wanted: Wanted = Wanted.RUNNING,
    now: datetime = NOW,
    shop: Catalog = SHOP,
) -> Machine:
    """In service for ``age`` unless it is ``coming``; its node is ``node-<name>``, and its pods run there."""
    template = template or a_template()
    candidate = _candidate(template, OfferingName(type_, zone, terms), shop)
    settings = settings_of(template, candidate, packing)
    marks = dict(annotations or {})
    if unneeded_for is not None:
        marks[labels.UNNEEDED_SINCE] = (now - unneeded_for).isoformat()
    since = now - age
    ready = Condition(type=ClaimCondition.READY, status="True", last_transition_time=since)
    if unready_for is not None:
        ready = Condition(
            type=ClaimCondition.READY, status="False", reason="NodeNotReady", last_transition_time=now - unready_for
        )
    claim = NodeClaim(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}", annotations=marks, creation_timestamp=since),
        spec=NodeClaimSpec(
            node_class_ref=template.spec.node_class_ref,
            wanted=wanted,
            template=template.metadata.name,
            instance_type=type_,
            zone=zone,
            capacity_type=terms,
            price_usd_per_hour=candidate.price_usd_per_hour,
            node=settings,
            decision=Decision(reason=made_for, message="", at=since, pods=tuple(promised_to)),
            departure=departure,
        ),
        status=NodeClaimStatus()
        if coming
        else NodeClaimStatus(
            state=NodeState.RUNNING,
            launched_at=since,
            last_started_at=since,
            ready_at=since,
            provider_id=f"sim:///{zone}/{name}",
            node_name=f"node-{name}",
            conditions=(ready,),
        ),
    )
    amounts = node_allocatable(shop.cloud, shop.instance_types[type_])
    written: dict[str, str | int | float] = {
        key: f"{amount}m" if key == "cpu" else str(amount) for key, amount in amounts.items()
    }
    taints = settings.taints + ((Taint(key=labels.DISRUPTED_TAINT, effect="NoSchedule"),) if closed else ())
    node = Node(
        metadata=ObjectMeta(
            name=f"node-{name}",
            labels={
                **candidate.node.labels,
                **settings.labels,
                labels.HOSTNAME: f"node-{name}",
                **(node_labels or {}),
            },
            annotations=dict(node_annotations or {}),
        ),
        spec=NodeSpec(taints=taints, provider_id="" if coming else f"sim:///{zone}/{name}"),
        status=NodeStatus(
            capacity=written,
            allocatable=written,
            conditions=(NodeCondition(type="Ready", status=str(unready_for is None)),),
        ),
    )
    return Machine(claim, node, tuple(_bound(pod, f"node-{name}") for pod in pods))


def _candidate(template: NodeTemplate, offering: OfferingName, shop: Catalog) -> Candidate:
    """As the template would have bought it when it still allowed everything."""
    found = _all_candidates(template.metadata.name) if shop is SHOP else _candidates(template.metadata.name, shop)
    return next(candidate for candidate in found.all if candidate.offering == offering)


def _candidates(template: str, shop: Catalog) -> Candidates:
    anything = a_template(template, constraints={"spot": True, "onDemand": True})
    return candidates_of(anything, shop, GROUND)


@lru_cache
def _all_candidates(template: str) -> Candidates:
    return _candidates(template, SHOP)


def _bound(pod: Pod, node: str) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=node))


def a_pod(
    name: str,
    *,
    of: Workload | None = None,
    owner: str = "ReplicaSet",
    cpu: str | int = "500m",
    memory: str = "256Mi",
    gpus: int = 0,
    ready: bool = True,
    leaving: bool = False,
    labels_: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    affinity: Affinity | None = None,
) -> Pod:
    """A running pod. ``of`` is its workload; without one its controller (``owner``; empty: none) counts no pods."""
    requests: dict[str, str | int | float] = {"cpu": cpu, "memory": memory}
    if gpus:
        requests["nvidia.com/gpu"] = gpus
    uid = f"uid-{of.key}" if of is not None else f"uid-owner-of-{name}"
    owners = (OwnerReference(api_version="v1", kind=owner, name="owner", uid=uid, controller=True),) if owner else ()
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels={"app": of.key.partition("/")[2], **(labels_ or {})} if of is not None else dict(labels_ or {}),
            annotations=dict(annotations or {}),
            owner_references=owners,
            deletion_timestamp=NOW if leaving else None,
        ),
        spec=PodSpec(
            containers=(Container(name="main", resources=ResourceRequirements(requests=requests)),), affinity=affinity
        ),
        status=PodStatus(phase="Running", conditions=(Condition(type="Ready", status=str(ready)),)),
    )


def a_workload(name: str = "web", replicas: int = 3, **more: Any) -> Workload:
    """A Deployment that has what it asked for and can start another pod."""
    more = {"kind": "Deployment", "ready": replicas, "can_surge": True, **more}
    return Workload(key=f"default/{name}", replicas=replicas, **more)


def a_budget(
    app: str = "web", *, healthy: int = 3, expected: int | None = None, allowed: int = 0, **spec: Any
) -> PodDisruptionBudget:
    expected = healthy if expected is None else expected
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=f"{app}-budget", namespace="default"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelectorSpec(match_labels={"app": app}), **spec),
        status=PodDisruptionBudgetStatus(
            current_healthy=healthy,
            desired_healthy=healthy - allowed,
            expected_pods=expected,
            disruptions_allowed=allowed,
        ),
    )


def a_look(
    *machines: Machine,
    templates: Sequence[NodeTemplate] = (),
    workloads: Sequence[Workload] = (),
    budgets: Sequence[PodDisruptionBudget] = (),
    waiting: Sequence[Pod] = (),
    backed_off: Sequence[BackedOff] = (),
    ground: LaunchGround = GROUND,
    shop: Catalog = SHOP,
    at: datetime = NOW,
) -> DisruptionSnapshot:
    templates = templates or (a_template(),)
    pods = tuple(pod for machine in machines for pod in machine.pods)
    return DisruptionSnapshot(
        world=ProvisioningSnapshot(
            taken_at=at,
            catalog=shop,
            templates=tuple(templates),
            grounds={template.metadata.name: ground for template in templates},
            waiting=tuple(waiting),
            claims=tuple(machine.claim for machine in machines),
            cluster=ClusterSnapshot(
                at,
                tuple(machine.node for machine in machines if machine.node.spec.provider_id),
                (*pods, *waiting),
                {"default": {}},
            ),
            backed_off=tuple(backed_off),
        ),
        workloads={f"uid-{workload.key}": workload for workload in workloads},
        budgets=tuple(budgets),
    )


def a_departure(reason: str, *replacements: str, ago: timedelta = timedelta(0), pods: int = 0) -> Departure:
    return Departure(reason=reason, message="", at=NOW - ago, replacements=replacements, pods=pods)
