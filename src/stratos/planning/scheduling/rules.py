"""The rules that look at a node alone: names, labels, taints. Whoever runs there makes no difference."""

from __future__ import annotations

from stratos.apis.node import Taint
from stratos.planning.scheduling import rejection
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.rejection import Rejection
from stratos.planning.scheduling.requirements import NodeRules
from stratos.planning.scheduling.selection import NODE_NAME_FIELD, matches_any, tolerates

UNSCHEDULABLE_TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
REPELLING_EFFECTS = ("NoSchedule", "NoExecute")


def reject_by_rules(rules: NodeRules, node: NodeDescription) -> Rejection | None:
    pinned = pinned_nodes(rules)
    if pinned is not None and node.name not in pinned:
        return rejection.NOT_PINNED
    if node.unschedulable and not tolerates(rules.tolerations, UNSCHEDULABLE_TAINT):
        return rejection.UNSCHEDULABLE
    taint = untolerated_taint(rules, node)
    if taint is not None:
        return rejection.untolerated_taint(taint.key, taint.value)
    if not matches_node(rules, node):
        return rejection.AFFINITY
    return None


def reject_by_volumes(rules: NodeRules, node: NodeDescription) -> Rejection | None:
    """Can the volumes that are bound already be reached from here?"""
    if not all(matches_any(terms, node.name, node.labels) for terms in rules.volumes.reachable):
        return rejection.VOLUME_AFFINITY
    if not rules.volumes.zones.matches(node.labels):
        return rejection.VOLUME_ZONE
    return None


def matches_node(rules: NodeRules, node: NodeDescription) -> bool:
    """Do the node selector and the required node affinity select this node?"""
    if not rules.selector.matches(node.labels):
        return False
    return rules.required is None or matches_any(rules.required, node.name, node.labels)


def untolerated_taint(rules: NodeRules, node: NodeDescription) -> Taint | None:
    for taint in node.taints:
        if taint.effect in REPELLING_EFFECTS and not tolerates(rules.tolerations, taint):
            return taint
    return None


def tolerates_node(rules: NodeRules, node: NodeDescription) -> bool:
    return untolerated_taint(rules, node) is None


def pinned_nodes(rules: NodeRules) -> frozenset[str] | None:
    """The only nodes that the pod names, as DaemonSet pods do; None when it names none in particular."""
    if not rules.required:
        return None
    pinned: frozenset[str] = frozenset()
    for term in rules.required:
        names: frozenset[str] | None = None
        for requirement in term.name.requirements:
            if requirement.key == NODE_NAME_FIELD and requirement.operator == "In":
                names = requirement.values if names is None else names & requirement.values
        if names is None:
            return None
        pinned |= names
    return pinned
