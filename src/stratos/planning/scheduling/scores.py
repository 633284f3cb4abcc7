"""Which of the nodes that fit is best, weighed as the default profile of kube-scheduler weighs it.

Each part scores nodes from 0 to 100. Images on disk are not weighed, and the default spreading of Services is not: a
pod that wants to be spread says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stratos.apis import labels
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.filters import spread_tally_key
from stratos.planning.scheduling.placement import NodeState
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.planning.scheduling.selection import tolerates
from stratos.planning.scheduling.topology import TallyKey

_BEST = 100
_TAINTS_WEIGHT = 3
_NODE_AFFINITY_WEIGHT = 2
_SPREAD_WEIGHT = 2
_POD_AFFINITY_WEIGHT = 2


def best_node(cluster: ClusterState, requirements: PodRequirements, nodes: Sequence[NodeState]) -> NodeState:
    """The node of the highest score; among equals the first by name, so that the choice can be repeated."""
    if len(nodes) == 1:
        return nodes[0]
    scores = score_nodes(cluster, requirements, nodes)
    return min(zip(scores, nodes, strict=True), key=lambda scored: (-scored[0], scored[1].name))[1]


def score_nodes(cluster: ClusterState, requirements: PodRequirements, nodes: Sequence[NodeState]) -> list[int]:
    """The scores of ``nodes``, all of which fit, in their order."""
    scores = [_room(requirements, node) for node in nodes]
    weighed = (
        (_TAINTS_WEIGHT, _avoided_taints(requirements, nodes)),
        (_NODE_AFFINITY_WEIGHT, _preferred_nodes(requirements, nodes)),
        (_SPREAD_WEIGHT, _spread(cluster, requirements, nodes)),
        (_POD_AFFINITY_WEIGHT, _preferred_pods(cluster, requirements, nodes)),
    )
    for weight, part in weighed:
        if part is not None:
            scores = [score + weight * value for score, value in zip(scores, part, strict=True)]
    return scores


def _room(requirements: PodRequirements, node: NodeState) -> int:
    """Prefer nodes with much room, and with CPU and memory in balance once the pod is there."""
    allocatable = node.description.allocatable
    cpu, memory = allocatable.get("cpu", 0), allocatable.get("memory", 0)
    if cpu <= 0 or memory <= 0:
        return 0
    cpu_left = max(0, cpu - node.scored_cpu - requirements.scored_cpu)
    memory_left = max(0, memory - node.scored_memory - requirements.scored_memory)
    least_allocated = (cpu_left * _BEST // cpu + memory_left * _BEST // memory) // 2
    wanted_cpu = wanted_memory = 0
    for resource, amount in requirements.requests:
        if resource == "cpu":
            wanted_cpu = amount
        elif resource == "memory":
            wanted_memory = amount
    cpu_used = min(1.0, (cpu - node.free["cpu"] + wanted_cpu) / cpu)
    memory_used = min(1.0, (memory - node.free["memory"] + wanted_memory) / memory)
    return least_allocated + int((1 - abs(cpu_used - memory_used) / 2) * _BEST)


def _avoided_taints(requirements: PodRequirements, nodes: Sequence[NodeState]) -> list[int] | None:
    tolerations = requirements.node_rules.tolerations
    counts = [
        sum(
            taint.effect == "PreferNoSchedule" and not tolerates(tolerations, taint)
            for taint in node.description.taints
        )
        if node.description.taints
        else 0
        for node in nodes
    ]
    most = max(counts)
    return [_BEST - _BEST * count // most for count in counts] if most else None


def _preferred_nodes(requirements: PodRequirements, nodes: Sequence[NodeState]) -> list[int] | None:
    if not requirements.preferred_nodes:
        return None
    sums = [
        sum(weight for weight, term in requirements.preferred_nodes if term.matches(node.name, node.labels))
        for node in nodes
    ]
    most = max(sums)
    return [_BEST * value // most for value in sums] if most else None


def _spread(cluster: ClusterState, requirements: PodRequirements, nodes: Sequence[NodeState]) -> list[int] | None:
    constraints = requirements.preferred_spread
    if not constraints:
        return None
    keys = [constraint.topology_key for constraint in constraints]
    spread = [all(key in node.labels for key in keys) for node in nodes]
    sums = [0.0] * len(nodes)
    for constraint in constraints:
        tally = cluster.topology.tally(spread_tally_key(requirements, constraint, constraints))
        domains = [node.labels.get(constraint.topology_key, "") for node in nodes]
        if constraint.topology_key == labels.HOSTNAME:
            sizes = sum(spread)
        else:
            sizes = len({domain for domain, counts in zip(domains, spread, strict=True) if counts})
        # A crowd weighs more where there are many domains to choose from.
        weight = math.log(sizes + 2)
        for index, domain in enumerate(domains):
            sums[index] += tally.counts.get(domain, 0) * weight + (constraint.max_skew - 1)
    counted = [round(value) for value, counts in zip(sums, spread, strict=True) if counts]
    if not counted:
        return None
    lowest, highest = min(counted), max(counted)
    if highest == 0:
        return [_BEST if counts else 0 for counts in spread]
    return [
        _BEST * (highest + lowest - round(value)) // highest if counts else 0
        for value, counts in zip(sums, spread, strict=True)
    ]


def _preferred_pods(
    cluster: ClusterState, requirements: PodRequirements, nodes: Sequence[NodeState]
) -> list[int] | None:
    """What the pod prefers to be near, and what placed pods prefer to have near them."""
    about = cluster.attracting.about(requirements, cluster.namespace_labels(requirements.namespace))
    wanted = [
        (weight, term.topology_key, cluster.topology.tally(TallyKey((term.pods,), term.topology_key, True)).counts)
        for weight, term in requirements.preferred_pods
    ]
    wanted += [(held.weight, held.term.topology_key, holders) for held, holders in about]
    if not wanted:
        return None
    sums = [sum(weight * counts.get(node.labels.get(key, ""), 0) for weight, key, counts in wanted) for node in nodes]
    lowest, highest = min(sums), max(sums)
    return [_BEST * (value - lowest) // (highest - lowest) for value in sums] if highest > lowest else None
