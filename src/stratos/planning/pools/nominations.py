"""What a nomination means: whether a pod waits for other pods to leave a node, or for a machine.

The scheduler nominates a pod to the node where its victims are leaving: no machine is needed. We nominate pods to the
nodes that were made or woken for them; should such a pod not be bound there, it has to be looked after again.
"""

from __future__ import annotations

from stratos.apis.node import Node
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.pod import Pod


def waits_for_victims(pod: Pod, node: Node | None, claim: NodeClaim | None) -> bool:
    """``node`` is the one the pod is nominated to, ``claim`` that of its machine; None: there is none."""
    if not pod.status.nominated_node_name or node is None or node.spec.unschedulable:
        return False
    decision = claim.spec.decision if claim is not None else None
    return decision is None or pod.metadata.key not in decision.pods
