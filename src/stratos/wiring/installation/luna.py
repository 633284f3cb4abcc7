"""A NodeTemplate that decides as Luna would: each of Luna's options, and the field that means the same."""

from __future__ import annotations

from typing import Any

from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.wiring.installation.pods import given
from stratos.wiring.installation.values import Values

NAME = "luna"


def node_template(values: Values) -> dict[str, Any]:
    luna = values.luna
    spec = {
        "nodeClassRef": {"kind": luna.node_class_kind, "name": luna.node_class_name},
        "strategy": "thresholds",
        "pods": {
            **given("labels", luna.labels),
            **given("annotations", luna.pod_annotations),
            **given("pendingReasonRegexp", luna.pending_pod_reason_regexp),
        },
        "constraints": {
            "maxSpotPriceRatio": luna.aws.max_spot_price_ratio,
            "maxSpotInterruptBucket": luna.aws.max_spot_interrupt_bucket,
        },
        "binSelection": {
            "podCpuThreshold": luna.bin_select_pod_cpu_threshold,
            "podMemoryThreshold": luna.bin_select_pod_memory_threshold,
            "podGPUThreshold": luna.bin_select_pod_gpu_threshold,
        },
        "binPacking": {
            "nodeCpu": luna.bin_packing_node_cpu,
            "nodeMemory": luna.bin_packing_node_memory,
            "nodeGPU": luna.bin_packing_node_gpu,
            "nodeMinPodCount": luna.bin_packing_node_min_pod_count,
            **given("nodeTypeRegexp", luna.bin_packing_node_type_regexp),
            "nodePricing": luna.bin_packing_node_pricing,
        },
        "nvidiaGPUTimeSlices": luna.nvidia_gpu_time_slices,
        "spotPriceRatioEstimate": luna.spot_price_ratio_estimate,
        "scaleUpTimeout": luna.scale_up_timeout,
        "disruption": {
            **given("nodeTTL", luna.node_ttl),
            "nodeUnneededDuration": luna.scale_down.node_unneeded_duration,
            "binPackUtilizationThreshold": luna.scale_down.bin_pack_node_utilization_threshold,
            "binSelectUtilizationThreshold": luna.scale_down.bin_select_node_utilization_threshold,
        },
    }
    return {
        "apiVersion": NODE_TEMPLATE.api_version,
        "kind": NODE_TEMPLATE.kind,
        "metadata": {"name": NAME},
        "spec": spec,
    }
