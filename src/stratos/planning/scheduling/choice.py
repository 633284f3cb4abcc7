"""Choose a node for one pod, or say of every node why it would not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stratos.planning.scheduling import messages
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.rejection import NOT_PINNED, Rejection
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.planning.scheduling.scores import best_node


@dataclass(frozen=True, slots=True)
class Choice:
    node: str | None
    nodes: int  # in the cluster
    rejections: Mapping[str, Rejection]  # by node; nodes that a pinned pod does not name are left out
    unnamed: int = 0  # how many those are

    @property
    def message(self) -> str:
        """Why no node fits, in kube-scheduler's words."""
        if not self.nodes:
            return messages.NO_NODES
        rejections = [*self.rejections.values(), *[NOT_PINNED] * self.unnamed]
        return messages.describe_rejections(self.nodes, rejections)


def choose_node(cluster: ClusterState, requirements: PodRequirements, pod_key: str, *, nominated: str = "") -> Choice:
    """The best node for a pod. Where it is ``nominated`` it goes if it can: its victims left to make room there."""
    check = cluster.check(requirements)
    expected = cluster.nodes.get(nominated)
    if expected is not None and cluster.reject(check, expected, pod_key) is None:
        return Choice(expected.name, len(cluster.nodes), {})
    pinned = check.rules.pinned
    if pinned is None:
        nodes = list(cluster.nodes.values())
    else:
        nodes = [cluster.nodes[name] for name in sorted(pinned) if name in cluster.nodes]
    fitting, rejections = [], {}
    for node in nodes:
        rejection = check.reject(node) if not node.nominated else cluster.reject(check, node, pod_key)
        if rejection is None:
            fitting.append(node)
        else:
            rejections[node.name] = rejection
    best = best_node(cluster, requirements, fitting).name if fitting else None
    return Choice(best, len(cluster.nodes), rejections, unnamed=len(cluster.nodes) - len(nodes))
