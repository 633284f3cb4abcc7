"""Pods, as far as they decide where something runs and what it costs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from stratos.apis.meta import Condition, Kind, KubeObject, Struct


class SelectorRequirement(Struct):
    key: str
    operator: str
    values: tuple[str, ...] | None = None


class NodeSelectorTerm(Struct):
    match_expressions: tuple[SelectorRequirement, ...] | None = None
    match_fields: tuple[SelectorRequirement, ...] | None = None


class NodeSelector(Struct):
    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredNode(Struct):
    weight: int
    preference: NodeSelectorTerm


class NodeAffinity(Struct):
    required: NodeSelector | None = msgspec.field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[PreferredNode, ...] = msgspec.field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class LabelSelectorSpec(Struct):
    """A ``LabelSelector`` as manifests write it. ``None`` in its place selects nothing, an empty one everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[SelectorRequirement, ...] | None = None


class PodAffinityTerm(Struct):
    topology_key: str
    label_selector: LabelSelectorSpec | None = None
    namespaces: tuple[str, ...] | None = None
    namespace_selector: LabelSelectorSpec | None = None
    match_label_keys: tuple[str, ...] | None = None
    mismatch_label_keys: tuple[str, ...] | None = None


class WeightedPodAffinityTerm(Struct):
    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Struct):
    """Serves both ``podAffinity`` and ``podAntiAffinity``."""

    required: tuple[PodAffinityTerm, ...] = msgspec.field(
        default=(), name="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: tuple[WeightedPodAffinityTerm, ...] = msgspec.field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Struct):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Struct):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class TopologySpreadConstraint(Struct):
    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelectorSpec | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] | None = None


class ResourceRequirements(Struct):
    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class ContainerPort(Struct):
    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class Container(Struct):
    name: str = ""
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    ports: tuple[ContainerPort, ...] | None = None
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: str | None = None  # "Always" on an init container makes it a sidecar
    image_pull_policy: str = ""


class PersistentVolumeClaimVolume(Struct):
    claim_name: str


class Volume(Struct):
    name: str
    empty_dir: dict[str, Any] | None = None
    persistent_volume_claim: PersistentVolumeClaimVolume | None = None


class SchedulingGate(Struct):
    name: str


class PodSpec(Struct):
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    scheduler_name: str = "default-scheduler"
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] | None = None
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | None = None
    scheduling_gates: tuple[SchedulingGate, ...] | None = None
    overhead: dict[str, str | int | float] | None = None
    resources: ResourceRequirements | None = None  # of the pod as a whole
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = "PreemptLowerPriority"
    host_network: bool = False
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    volumes: tuple[Volume, ...] | None = None


class TerminatedState(Struct):
    exit_code: int = 0
    finished_at: datetime | None = None


class WaitingState(Struct):
    reason: str = ""


class ContainerState(Struct):
    waiting: WaitingState | None = None
    terminated: TerminatedState | None = None


class ContainerStatus(Struct):
    name: str = ""
    restart_count: int = 0
    state: ContainerState = ContainerState()


class PodStatus(Struct):
    phase: str = "Pending"
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    nominated_node_name: str = ""
    start_time: datetime | None = None
    pod_ip: str = msgspec.field(default="", name="podIP")
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(KubeObject):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def finished(self) -> bool:
        """Done for good: it holds no resources any more."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def unschedulable(self) -> bool:
        """Waiting, and the scheduler has said that no node fits."""
        if self.spec.node_name or self.finished or self.metadata.deletion_timestamp:
            return False
        return any(
            condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable"
            for condition in self.status.conditions
        )


POD = Kind(group="", version="v1", plural="pods", kind="Pod", namespaced=True, type=Pod)
