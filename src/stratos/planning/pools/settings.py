"""What holds for the machine of a claim: the settings of its pool, or those that a template's claim brings along.

A template's machine lives by the same table as a pool's: it is wanted in service from the start, and never stands by.
"""

from __future__ import annotations

from stratos.apis.nodeclaim import NodeClaim, NodeSettings
from stratos.apis.nodepool import NodePoolSpec, PoolTemplate, PreWarm, ScaleDown


def settings_of_template_claim(claim: NodeClaim) -> NodePoolSpec:
    """As a pool of this one machine would have them. A machine that does not join in time is given up."""
    node = claim.spec.node or NodeSettings()
    return NodePoolSpec(
        pool_size=1,
        min_standby=0,
        template=PoolTemplate(
            node_class_ref=claim.spec.node_class_ref,
            taints=node.taints,
            startup_taints=node.startup_taints,
            startup_taint_removal="External",
            # A kubelet is ready only with a network; pools wait for more because their machines come back from a stop.
            network_readiness_strategy="None",
        ),
        pre_warm=PreWarm(timeout=node.join_timeout, timeout_action="terminate", completion_mode="ControllerStop"),
        scale_down=ScaleDown(drain_timeout=node.drain_timeout),
    )
