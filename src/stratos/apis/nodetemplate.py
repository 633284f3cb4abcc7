"""NodeTemplate: nodes described by what they must be, not by name. The engine finds the types, and their prices.

The constraints are those that node templates elsewhere know, in camelCase; the settings of bin-packing and
bin-selection are those of the founding texts. Every field that is left out leaves more to choose from, and never makes
the choice dearer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from stratos.apis.awsnodeclass import KubeletSettings
from stratos.apis.fields import Count, Duration, NonEmpty, described, rules
from stratos.apis.labels import GROUP
from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.node import Taint
from stratos.apis.nodepool import NodeClassRef

Quantity = str | int | float
Price = Annotated[float, described("US dollars per hour.", ge=0)]
Percent = Annotated[int, described("Percent.", ge=0, le=100)]
TriState = Literal["", "enabled", "disabled"]


class NameList(Struct):
    include: Annotated[tuple[NonEmpty, ...], described("Only these. Unset: all.")] = ()
    exclude: Annotated[tuple[NonEmpty, ...], described("None of these.")] = ()


class GpuConstraints(Struct):
    manufacturers: Annotated[tuple[NonEmpty, ...], described("NVIDIA, AMD …; upper or lower case.")] = ()
    include_names: Annotated[tuple[NonEmpty, ...], described("Device names such as L4 or A10G. Unset: all.")] = ()
    exclude_names: Annotated[tuple[NonEmpty, ...], described("None of these devices.")] = ()
    min_count: Annotated[Count | None, described("Devices per node, at least.")] = None
    max_count: Annotated[Count | None, described("Devices per node, at most.")] = None


class PriorityTier(Struct):
    """Families to try before those of later tiers, whatever they cost."""

    instance_families: Annotated[tuple[NonEmpty, ...], described("The families of this tier.")]
    spot: Annotated[bool, described("The tier covers spot capacity.")] = False
    on_demand: Annotated[bool, described("The tier covers on-demand capacity.")] = False


class NodeAffinityExpression(Struct):
    key: NonEmpty
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[str, ...] = ()


class DedicatedAffinity(Struct):
    """A group of hosts that are ours alone (sole tenancy), and which nodes go there."""

    name: Annotated[NonEmpty, described("The group, as the cloud calls it.")]
    az_name: Annotated[NonEmpty, described("The zone it is in.")]
    instance_types: Annotated[tuple[NonEmpty, ...], described("The types it hosts.")]
    affinity: Annotated[tuple[NodeAffinityExpression, ...], described("What the group's hosts are labelled with.")] = ()


class Constraints(Struct):
    """What a node may be. All of them hold together."""

    spot: Annotated[bool, described("Spot capacity may be used.")] = False
    on_demand: Annotated[
        bool | None, described("On-demand capacity may be used. Unset: unless only spot is asked for.")
    ] = None
    use_spot_fallbacks: Annotated[bool, described("On-demand stands in while no spot capacity is to be had.")] = False
    fallback_restore_rate_seconds: Annotated[
        Count, described("How often to try to return from such a stand-in to spot. 0: never.")
    ] = 0
    enable_spot_diversity: Annotated[bool, described("Spread spot nodes over more families than the cheapest.")] = False
    spot_diversity_price_increase_limit_percent: Annotated[
        Count | None, described("How much dearer than the cheapest a family may be to be used for diversity.")
    ] = None
    spot_interruption_predictions_enabled: Annotated[bool, described("Move pods off when a prediction says so.")] = (
        False
    )
    spot_interruption_predictions_type: Annotated[
        Literal["aws-rebalance-recommendations", "interruption-predictions"] | None,
        described("Accepted, and of no effect: whoever predicts marks the node, and every mark is heeded alike."),
    ] = None
    max_spot_interrupt_bucket: Annotated[
        int, described("The highest interruption bucket: 0 below 5 %, 1 to 10, 2 to 15, 3 to 20, 4 above.", ge=0, le=4)
    ] = 4
    max_spot_price_ratio: Annotated[
        float, described("The highest spot price, as a share of the on-demand price.", ge=0)
    ] = 1.0
    max_price: Annotated[Price | None, described("The most one node may cost, in US dollars per hour.")] = None
    min_cpu: Annotated[Count | None, described("Cores per node.")] = None
    max_cpu: Annotated[Count | None, described("Cores per node.")] = None
    min_memory: Annotated[Count | None, described("MiB per node.")] = None
    max_memory: Annotated[Count | None, described("MiB per node.")] = None
    architectures: Annotated[tuple[Literal["amd64", "arm64"], ...], described("Processor architectures.")] = ("amd64",)
    os: tuple[Literal["linux", "windows"], ...] = ("linux",)
    azs: Annotated[tuple[NonEmpty, ...], described("Zones. Unset: all that the class reaches.")] = ()
    instance_families: NameList = NameList()
    instance_type_regexp: Annotated[str, described("Types whose name this regular expression finds a match in.")] = ""
    is_gpu_only: Annotated[bool, described("Only nodes with GPUs, and only pods that ask for one.")] = False
    gpu: GpuConstraints = GpuConstraints()
    burstable_instances: Annotated[TriState, described("enabled: only burstable types; disabled: none.")] = ""
    compute_optimized_state: Annotated[
        TriState, described("enabled: only compute-optimised types; disabled: none.")
    ] = ""
    storage_optimized_state: Annotated[TriState, described("enabled: only types with local disks; disabled: none.")] = (
        ""
    )
    customer_specific: Annotated[
        TriState, described("Types sold to some customers only. No catalog lists them, so enabled leaves none.")
    ] = ""
    bare_metal: Annotated[TriState, described("enabled: only bare metal; disabled or unset: none.")] = ""
    cpu_manufacturers: Annotated[
        tuple[Literal["AMD", "INTEL", "AMPERE", "AWS", "GOOGLE", "MICROSOFT"], ...], described("Unset: all.")
    ] = ()
    custom_instances_enabled: Annotated[
        bool, described("Shapes that are made to measure, where the cloud has them.")
    ] = False
    custom_instances_with_extended_memory_enabled: bool = False
    custom_priority: Annotated[tuple[PriorityTier, ...], described("Tiers, tried first to last.")] = ()
    dedicated_node_affinity: tuple[DedicatedAffinity, ...] = ()

    @property
    def allows_on_demand(self) -> bool:
        return self.on_demand if self.on_demand is not None else not self.spot


class BinPacking(Struct):
    """Shared nodes of a minimum shape: the cheapest type that satisfies it."""

    enabled: bool = True
    node_cpu: Annotated[Quantity, described("At least so many cores.")] = "4"
    node_memory: Annotated[Quantity, described("At least so much memory.")] = "8Gi"
    node_gpu: Annotated[Count, described("GPUs of a shared node.")] = msgspec.field(default=0, name="nodeGPU")
    node_min_pod_count: Annotated[Count, described("It must be able to run so many pods.")] = 0
    node_type_regexp: Annotated[str, described("Only types whose name this finds a match in.")] = ""
    node_pricing: Annotated[tuple[Literal["on-demand", "spot"], ...], described("Terms.")] = ("on-demand",)


class BinSelection(Struct):
    """Pods at or above any of these get the cheapest type for themselves, and share what was bought with their like."""

    pod_cpu_threshold: Quantity = "2"
    pod_memory_threshold: Quantity = "8Gi"
    pod_gpu_threshold: Annotated[int, described("GPUs.", ge=1)] = msgspec.field(default=1, name="podGPUThreshold")


class PodSelection(Struct):
    """Which pods the template serves. Nothing set: those that select it; for the default template all others."""

    labels: Annotated[dict[str, str], described("Pods with any of these labels.")] = {}
    annotations: Annotated[dict[str, str], described("Pods with any of these annotations.")] = {}
    pending_reason_regexp: Annotated[
        str, described("Only pods whose PodScheduled message this finds a match in. Unset: every pending pod.")
    ] = ""


class Limits(Struct):
    """The most that a template's nodes may come to, all together. Checked before anything is launched."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    gpus: Count | None = None
    nodes: Count | None = None
    cost_usd_per_hour: Annotated[Price | None, described("A budget, in US dollars per hour.")] = msgspec.field(
        default=None, name="costUSDPerHour"
    )


class DisruptionBudget(Struct):
    """How many nodes may be on their way out at once."""

    nodes: Annotated[
        str, described("A number, or a percentage of the template's nodes.", pattern=r"^([0-9]+|[0-9]{1,2}%|100%)$")
    ]
    reasons: Annotated[
        tuple[Literal["Empty", "Underutilized", "Cheaper", "Drifted", "Expired", "Interruption", "Unhealthy"], ...],
        described("What it is for. Unset: everything."),
    ] = ()
    schedule: Annotated[str | None, described("Cron, in UTC: when it begins to hold. Unset: always.")] = None
    duration: Annotated[Duration | None, described("How long it then holds.")] = None


class Disruption(Struct):
    """When nodes are removed or replaced although they work."""

    policy: Annotated[
        Literal["Never", "WhenEmpty", "WhenEmptyOrUnderutilized"], described("Which nodes may go to save money.")
    ] = "WhenEmptyOrUnderutilized"
    node_unneeded_duration: Annotated[Duration, described("How long a node must have been little used.")] = "5m"
    bin_pack_utilization_threshold: Annotated[
        float, described("Shared nodes below this share of CPU or memory, by requests. 0: only empty ones.", ge=0, le=1)
    ] = 0.2
    bin_select_utilization_threshold: Annotated[float, described("The same for selected nodes.", ge=0, le=1)] = 0.75
    min_saving_percent: Annotated[Percent, described("A replacement must be cheaper by so much.")] = 10
    min_nodes: Annotated[Count, described("Rebalancing leaves at least so many nodes.")] = 0
    node_ttl: Annotated[Duration | None, described("Nodes older than this are replaced. Unset: never.")] = (
        msgspec.field(default=None, name="nodeTTL")
    )
    replace_drifted: Annotated[bool, described("Replace nodes that the template would no longer make.")] = False
    repair_after: Annotated[Duration | None, described("Replace nodes that have not been ready for so long.")] = "10m"
    single_replica: Annotated[
        Literal["Wait", "Surge", "Evict"],
        described("A lone replica: leave its node alone, start its replacement first, or just evict it."),
    ] = "Surge"
    drain_timeout: Annotated[Duration, described("How long evicting the pods of a node may take.")] = "5m"
    budgets: tuple[DisruptionBudget, ...] = (DisruptionBudget(nodes="10%"),)


class NodeTemplateSpec(Struct):
    node_class_ref: Annotated[NodeClassRef, described("How machines are launched; the template chooses their types.")]
    is_enabled: Annotated[bool, described("Whether new nodes are made.")] = True
    is_default: Annotated[bool, described("It takes the pods that select no template. At most one does.")] = False
    weight: Annotated[int, described("Of templates that could serve a pod, the heaviest does.", ge=0, le=100)] = 0
    strategy: Annotated[
        Literal["optimal", "thresholds"],
        described("optimal: the whole mix of pods at least cost. thresholds: bin-packing and bin-selection."),
    ] = "optimal"
    pods: Annotated[PodSelection, described("Which pods it serves.")] = PodSelection()
    constraints: Constraints = Constraints()
    should_taint: Annotated[bool, described("Taint nodes, so that only pods that tolerate it come.")] = False
    custom_labels: Annotated[dict[str, str], described("Labels of nodes.")] = {}
    custom_taints: Annotated[
        tuple[Taint, ...],
        described("Taints of nodes, with shouldTaint. Unset: scheduling.cast.ai/node-template=<name>:NoSchedule."),
    ] = ()
    startup_taints: Annotated[tuple[Taint, ...], described("Placed at the start; somebody else removes them.")] = ()
    kubelet: Annotated[KubeletSettings | None, described("Settings of the kubelet, before those of the class.")] = None
    bin_packing: BinPacking = BinPacking()
    bin_selection: BinSelection = BinSelection()
    nvidia_gpu_time_slices: Annotated[int, described("Pods that share one GPU.", ge=1)] = msgspec.field(
        default=1, name="nvidiaGPUTimeSlices"
    )
    spot_price_ratio_estimate: Annotated[
        float, described("The price of spot capacity as a share of on-demand, where no price is known.", gt=0)
    ] = 0.5
    scale_up_timeout: Annotated[Duration, described("A machine that has not joined by then is given up.")] = "10m"
    back_off: Annotated[Duration, described("How long an offering that failed is left alone.")] = "10m"
    limits: Limits = Limits()
    disruption: Disruption = Disruption()


class BackedOff(Struct):
    """An offering that failed, left alone for a while; all templates heed it."""

    instance_type: str
    zone: str
    capacity_type: str
    reason: str
    failures: int
    until: datetime


class NodeTemplateStatus(Struct):
    conditions: tuple[Condition, ...] = ()
    observed_generation: int | None = None
    matching_types: Annotated[int | None, described("How many instance types satisfy the constraints.")] = None
    cheapest_type: str = ""
    nodes: int | None = None
    cost_usd_per_hour: Annotated[float | None, described("Of its nodes.")] = msgspec.field(
        default=None, name="costUSDPerHour"
    )
    backed_off: tuple[BackedOff, ...] = ()


class NodeTemplate(KubeObject, kw_only=True):
    spec: Annotated[
        NodeTemplateSpec,
        rules(
            (
                "!(self.isDefault && has(self.pods) && has(self.pods.labels) && size(self.pods.labels) > 0)",
                "the default template takes every pod that selects no other: pods.labels has no meaning there",
            )
        ),
    ]
    status: NodeTemplateStatus = NodeTemplateStatus()


NODE_TEMPLATE = Kind(
    group=GROUP,
    version="v1alpha1",
    plural="nodetemplates",
    kind="NodeTemplate",
    namespaced=False,
    type=NodeTemplate,
)
