"""NodePool: a warm pool of machines that were prepared, then stopped, and start in seconds.

Manifests of four generations are in use and all load into this one model. The older fields are marked with the
generation they come from: G0 (the cloud's settings inline), G1 (start-up taints, completion mode), G2 (spot
replacement, ``imagesToPull``) and G3 (``images``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from stratos.apis.fields import Count, Duration, NonEmpty, described, rules
from stratos.apis.labels import GROUP
from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.node import Taint
from stratos.apis.pod import ResourceRequirements
from stratos.base.duration import parse_duration_seconds

StandbyNode = Literal["Keep", "Remove"]


class NodeClassRef(Struct):
    """Which class launches the pool's machines."""

    kind: Annotated[Literal["AWSNodeClass", "SimNodeClass"], described("The kind of the class.")]
    name: Annotated[NonEmpty, described("The name of the class.")]


class PoolTemplate(Struct):
    """What every node of the pool looks like."""

    node_class_ref: Annotated[NodeClassRef | None, described("The class that launches the machines.")] = None
    labels: Annotated[
        dict[str, str],
        described(
            "Labels of every node; pods select the pool by them. Keys under stratos.sh/ match but are not copied."
        ),
    ] = {}
    taints: Annotated[tuple[Taint, ...], described("Permanent taints; pods must tolerate them.")] = ()
    network_readiness_strategy: Annotated[
        Literal["Taint", "None"], described("Taint keeps pods away after each start until the network is up.")
    ] = "Taint"
    startup_taints: Annotated[tuple[Taint, ...], described("G1: more taints, placed at each start.")] = ()
    startup_taint_removal: Annotated[
        Literal["WhenNetworkReady", "External"], described("G1: who removes the start-up taints.")
    ] = "WhenNetworkReady"
    cloud_provider: Annotated[str | None, described("G0: the cloud of the inline settings.")] = None
    aws: Annotated[
        dict[str, Any] | None, described("G0: the settings of an AWSNodeClass, inline; a class is made from them.")
    ] = None

    @property
    def node_labels(self) -> dict[str, str]:
        """The labels that nodes get as they stand here; those under our own group tell what a node really is."""
        return {key: value for key, value in self.labels.items() if not key.startswith(f"{GROUP}/")}


class PreWarm(Struct):
    """How a machine is prepared before it stands by."""

    timeout: Annotated[Duration, described("How long preparing one machine may take.")] = "10m"
    timeout_action: Annotated[
        Literal["stop", "terminate"], described("At the timeout: stop the machine and use it, or terminate it.")
    ] = "stop"
    completion_mode: Annotated[
        Literal["SelfStop", "ControllerStop"] | None,
        described(
            "G1: who powers the machine off when it is prepared. Unset: the machine itself when its class brings raw "
            "userData, otherwise the controller."
        ),
    ] = None
    images: Annotated[tuple[NonEmpty, ...], described("Images to have on disk before the machine stands by.")] = ()
    images_to_pull: Annotated[tuple[NonEmpty, ...], described("G2: another name of images.")] = ()
    image_pull_policy: Annotated[
        Literal["Required", "BestEffort"], described("Whether an image that cannot be pulled fails the warm-up.")
    ] = "Required"

    @property
    def all_images(self) -> tuple[str, ...]:
        """Both lists, each image once, in the order written."""
        return tuple(dict.fromkeys((*self.images, *self.images_to_pull)))


class ScaleUp(Struct):
    """How waiting pods are counted."""

    default_pod_resources: Annotated[
        ResourceRequirements | None, described("Requests assumed for pods that state no CPU or no memory.")
    ] = None


class ScaleDown(Struct):
    """When and how empty nodes return to standby."""

    enabled: Annotated[bool, described("Return empty nodes to standby.")] = True
    empty_node_ttl: Annotated[Duration, described("How long a node must have been empty.")] = msgspec.field(
        default="5m", name="emptyNodeTTL"
    )
    drain_timeout: Annotated[Duration, described("How long evicting the pods of a node may take.")] = "5m"
    force_after_timeout: Annotated[
        bool,
        described(
            "Delete the pods that are left when the drain timeout is over. PodDisruptionBudgets are kept all the "
            "same: a pod they protect is waited for."
        ),
    ] = True


class SpotReplacement(Struct):
    """G2: replacing running on-demand nodes by spot ones."""

    enabled: Annotated[bool, described("Replace running on-demand nodes by spot ones.")]
    replacement_delay: Annotated[Duration, described("How long a node must have been running first.")] = "2m"


class NodePoolSpec(Struct):
    pool_size: Annotated[int, described("The most machines the pool may own, in any state.", ge=1, le=1000)]
    min_standby: Annotated[Count, described("How many prepared, stopped machines to keep.")]
    template: Annotated[
        PoolTemplate,
        rules(
            (
                "has(self.nodeClassRef) != has(self.aws)",
                "exactly one of nodeClassRef and aws (inline settings) is needed",
            )
        ),
    ]
    reconciliation_interval: Annotated[Duration, described("How often the pool is looked at when nothing happens.")] = (
        "30s"
    )
    max_node_runtime: Annotated[
        Duration | None, described("A node that has run longer is drained and its machine replaced. Unset or 0: never.")
    ] = None
    pre_warm: Annotated[PreWarm, described("How a machine is prepared before it stands by.")] = PreWarm()
    standby_node: Annotated[
        StandbyNode | None,
        described(
            "What becomes of the Node of a machine that stands by: kept, closed to all; or removed until the machine "
            "starts. Unset: what the controller is told."
        ),
    ] = None
    scale_up: Annotated[ScaleUp, described("How waiting pods are counted.")] = ScaleUp()
    scale_down: Annotated[ScaleDown, described("When and how empty nodes return to standby.")] = ScaleDown()
    spot_replacement: Annotated[
        SpotReplacement | None, described("G2: replacing running on-demand nodes by spot ones.")
    ] = None

    @property
    def max_node_runtime_seconds(self) -> float | None:
        seconds = parse_duration_seconds(self.max_node_runtime) if self.max_node_runtime else 0.0
        return seconds or None


class PodAssignment(Struct):
    """Which machine was started for which pod; valid ten minutes, while the node lives."""

    pod_name: str
    pod_namespace: str
    node_name: str
    assigned_at: datetime


class NodePoolStatus(Struct):
    conditions: tuple[Condition, ...] = ()
    observed_generation: int | None = None
    warmup: int | None = None
    standby: int | None = None
    running: int | None = None
    total: Annotated[int | None, described("Warm-up, standby, running and terminating machines together.")] = None
    spot: Annotated[int | None, described("Those of the running machines that are spot machines.")] = None
    spot_savings_usd_per_hour: Annotated[
        float | None, described("What the running spot machines cost less than on-demand ones, in US dollars per hour.")
    ] = msgspec.field(default=None, name="spotSavingsUSDPerHour")
    last_reconcile_time: datetime | None = None
    pod_assignments: tuple[PodAssignment, ...] = ()


class NodePool(KubeObject, kw_only=True):
    spec: Annotated[
        NodePoolSpec,
        rules(("self.minStandby <= self.poolSize", "minStandby must not be above poolSize")),
    ]
    status: NodePoolStatus = NodePoolStatus()


NODE_POOL = Kind(group=GROUP, version="v1alpha1", plural="nodepools", kind="NodePool", namespaced=False, type=NodePool)
