"""The values of an installation: those of the Helm chart, under the same names.

What is empty here is left out of the objects. Luna's options stand under ``luna``, by the names that Luna gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from stratos.apis import labels
from stratos.apis.fields import Count, Duration, described
from stratos.apis.meta import Struct
from stratos.apis.nodetemplate import Price, Quantity


class _Values(Struct, omit_defaults=False, forbid_unknown_fields=True):
    """A section of the values. A name that is not known is a mistake, not something to skip."""


class Image(_Values):
    repository: str = "ghcr.io/stratos-sh/stratos"
    tag: Annotated[str, described("Empty: the version of the chart.")] = ""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"


class AccountValues(_Values):
    create: bool = True
    name: str = "stratos"
    annotations: Annotated[dict[str, str], described("Such as eks.amazonaws.com/role-arn.")] = {}


class NamespaceValues(_Values):
    create: Annotated[bool, described("Make stratos-system too. Helm: leave it, and use --create-namespace.")] = False


class WebhookValues(_Values):
    enabled: Annotated[bool, described("Send pods to the nodes of the template they select, when they are made.")] = (
        True
    )
    config_prefix: Annotated[
        str, described("Before the names of the configurations: webhooks are called in the order of their names.")
    ] = ""


class PodDisruptionBudgetValues(_Values):
    enabled: bool = True


class NetworkPolicyValues(_Values):
    enabled: Annotated[bool, described("Let in metrics, webhook and requests; let out DNS, HTTPS and metadata.")] = (
        False
    )


class ServiceMonitorValues(_Values):
    enabled: Annotated[bool, described("For the Prometheus operator.")] = False
    interval: Duration = "30s"
    labels: Annotated[dict[str, str], described("By which Prometheus selects it.")] = {}


class PrometheusRuleValues(_Values):
    enabled: Annotated[bool, described("The alerts, for the Prometheus operator.")] = False
    labels: Annotated[dict[str, str], described("By which Prometheus selects it.")] = {}


class DashboardValues(_Values):
    enabled: Annotated[bool, described("A ConfigMap that Grafana's sidecar finds.")] = False
    labels: dict[str, str] = msgspec.field(default_factory=lambda: {"grafana_dashboard": "1"})


class AgentValues(_Values):
    enabled: Annotated[bool, described("Run the agent on our nodes: it tells of interruptions when no queue does.")] = (
        False
    )
    resources: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}}
    )


class DoormanValues(_Values):
    enabled: Annotated[bool, described("Run the proxy that wakes services scaled to zero.")] = False
    replica_count: Annotated[int, described("Two survive the loss of a node.", ge=0)] = 2
    service_type: Literal["ClusterIP", "LoadBalancer", "NodePort"] = "ClusterIP"
    resources: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}
    )


class LunaScaleDown(_Values):
    node_unneeded_duration: str = "5m"
    bin_pack_node_utilization_threshold: float = 0.2
    bin_select_node_utilization_threshold: float = 0.75


class LunaAws(_Values):
    max_spot_price_ratio: float = 1.0
    max_spot_interrupt_bucket: int = 4


class LunaValues(_Values):
    """A NodeTemplate named luna that decides as Luna would with these options."""

    enabled: bool = False
    node_class_kind: str = "AWSNodeClass"
    node_class_name: Annotated[str, described("The class that launches its machines.")] = "default"
    labels: Annotated[dict[str, str], described("Pods with any of these labels are its own.")] = msgspec.field(
        default_factory=lambda: {"elotl-luna": "true"}
    )
    pod_annotations: Annotated[dict[str, str], described("Pods with any of these annotations, too.")] = {}
    pending_pod_reason_regexp: Annotated[str, described("Only pods whose PodScheduled message it matches.")] = ""
    bin_select_pod_cpu_threshold: Quantity = "2"
    bin_select_pod_memory_threshold: Quantity = "8Gi"
    bin_select_pod_gpu_threshold: int = msgspec.field(default=1, name="binSelectPodGPUThreshold")
    bin_packing_node_cpu: Quantity = "4"
    bin_packing_node_memory: Quantity = "8Gi"
    bin_packing_node_gpu: int = msgspec.field(default=0, name="binPackingNodeGPU")
    bin_packing_node_min_pod_count: int = 0
    bin_packing_node_type_regexp: str = ""
    bin_packing_node_pricing: tuple[Literal["on-demand", "spot"], ...] = ("on-demand",)
    nvidia_gpu_time_slices: int = msgspec.field(default=1, name="nvidiaGPUTimeSlices")
    spot_price_ratio_estimate: float = 0.5
    scale_up_timeout: str = "10m"
    node_ttl: Annotated[str, described("Replace nodes that are older, such as 168h.")] = msgspec.field(
        default="", name="nodeTTL"
    )
    scale_down: LunaScaleDown = LunaScaleDown()
    aws: LunaAws = LunaAws()


def _not_on_our_own_machines() -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": "DoesNotExist"} for key in (labels.POOL, labels.TEMPLATE)]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


class Values(_Values):
    cluster_name: Annotated[str, described("Marks whose machines are whose in the cloud. Must be set.")] = ""
    cloud_provider: Annotated[
        Literal["aws", "fake"], described("fake pretends: to try Stratos without paying for machines.")
    ] = "aws"
    region: Annotated[str, described("Of node classes that name none.")] = ""
    cluster_endpoint: Annotated[
        str, described("Where machines reach the API server, https://… Empty: as EKS says.")
    ] = ""
    cluster_ca: Annotated[
        str, described("The API server's authority, PEM in base64. Empty: as EKS says, or the pods' one.")
    ] = msgspec.field(default="", name="clusterCA")
    cluster_cidr: Annotated[str, described("The network of services. Empty: found by one of them.")] = msgspec.field(
        default="", name="clusterCIDR"
    )
    interruption_queue: Annotated[
        str, described("The SQS queue that EventBridge tells of interruptions. Its name has the cluster's name in it.")
    ] = ""
    standby_node: Annotated[
        Literal["Keep", "Remove"], described("What becomes of Nodes whose machine stands by, where no pool says it.")
    ] = "Keep"
    image: Image = Image()
    image_pull_secrets: Annotated[tuple[dict[str, str], ...], described("Such as [{name: registry}].")] = ()
    replica_count: Annotated[int, described("Of the controllers; one of them leads.", ge=0)] = 1
    service_account: AccountValues = AccountValues()
    resources: Annotated[
        dict[str, Any],
        described("150 MiB when idle, more with the cluster. No limit of CPU: pods wait while it is held back."),
    ] = msgspec.field(
        default_factory=lambda: {"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
    )
    leader_elect: Annotated[bool, described("Needed with several replicas, and while one replaces another.")] = True
    sync_period: Annotated[Duration, described("How often all machines are compared with the cloud.")] = "30s"
    graceful_shutdown_timeout: Annotated[Duration, described("For what is under way; a pod has 60 s in all.")] = "30s"
    metrics_bind_address: str = ":8080"
    health_probe_bind_address: str = ":8081"
    qps: Annotated[float, described("Calls to the cloud a second.", gt=0)] = 50.0
    burst: Annotated[int, described("So many may go out at once.", ge=1)] = 100
    cluster_cost_limit: Annotated[
        Price | None, described("The most that machines of all templates may cost, in $/h.")
    ] = None
    cluster_gpu_limit: Annotated[Count | None, described("The most GPUs that machines of all templates may have.")] = (
        msgspec.field(default=None, name="clusterGPULimit")
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "json"
    extra_env: Annotated[tuple[dict[str, Any], ...], described("More environment of the controllers.")] = ()
    extra_args: Annotated[tuple[str, ...], described("More flags of stratos controller; they win.")] = ()
    namespace: NamespaceValues = NamespaceValues()
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: Annotated[
        dict[str, Any], described("Of controllers and doorman. By default not on machines that Stratos may end.")
    ] = msgspec.field(default_factory=_not_on_our_own_machines)
    priority_class_name: str = "system-cluster-critical"
    webhook: WebhookValues = WebhookValues()
    pod_disruption_budget: PodDisruptionBudgetValues = PodDisruptionBudgetValues()
    network_policy: NetworkPolicyValues = NetworkPolicyValues()
    service_monitor: ServiceMonitorValues = ServiceMonitorValues()
    prometheus_rule: PrometheusRuleValues = PrometheusRuleValues()
    dashboard: DashboardValues = DashboardValues()
    agent: AgentValues = AgentValues()
    doorman: DoormanValues = DoormanValues()
    luna: LunaValues = LunaValues()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that can be set."""

    path: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()  # what it may be, where that is a matter of few words


def leaves(section: _Values | None = None, prefix: str = "") -> Iterator[Leaf]:
    """All values, in order, with their defaults."""
    section = Values() if section is None else section
    hints = get_type_hints(type(section), include_extras=True)
    for field in msgspec.structs.fields(section):
        value, path = getattr(section, field.name), f"{prefix}{field.encode_name}"
        if isinstance(value, _Values):
            yield from leaves(value, f"{path}.")
        else:
            hint = hints[field.name]
            metas = [each for each in get_args(hint) if isinstance(each, msgspec.Meta)]
            kind = get_args(hint)[0] if metas else hint
            default = list(value) if isinstance(value, tuple) else value
            description = metas[-1].description or "" if metas else ""
            yield Leaf(path, default, description, get_args(kind) if get_origin(kind) is Literal else ())
