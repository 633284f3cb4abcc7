"""What a pod prefers, treated as if it required it for as long as a place can be had so, and given up bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stratos.planning.scheduling.requirements import (
    NodeRules,
    PodRequirements,
    SpreadConstraint,
    WeightedAffinityTerm,
    WeightedNodeTerm,
)
from stratos.planning.scheduling.selection import NodeTerm

_Harden = Callable[[PodRequirements], PodRequirements]


def versions_of(requirements: PodRequirements) -> tuple[PodRequirements, ...]:
    """From the pod with all it prefers required, without the lightest preference of those that are left, to itself.

    Being spread has no weight; it is what scheduling weighs for every pod alike, and given up last.
    """
    spread: list[_Harden] = [_require_spread(each) for each in requirements.preferred_spread]
    weighted: list[tuple[int, _Harden]] = [(each.weight, _require_node(each)) for each in requirements.preferred_nodes]
    weighted += [(abs(each.weight), _require_pods(each)) for each in requirements.preferred_pods]
    heaviest_first = [harden for _, harden in sorted(weighted, key=lambda each: -each[0])]
    versions = [requirements]
    for harden in (*spread, *heaviest_first):
        versions.append(harden(versions[-1]))
    return tuple(reversed(versions))


def _require_spread(constraint: SpreadConstraint) -> _Harden:
    return lambda pod: replace(pod, spread=(*pod.spread, constraint))


def _require_pods(preferred: WeightedAffinityTerm) -> _Harden:
    if preferred.weight > 0:
        return lambda pod: replace(pod, affinity=(*pod.affinity, preferred.term))
    return lambda pod: replace(pod, anti_affinity=(*pod.anti_affinity, preferred.term))


def _require_node(preferred: WeightedNodeTerm) -> _Harden:
    return lambda pod: replace(pod, node_rules=_with_term(pod.node_rules, preferred.term))


def _with_term(rules: NodeRules, term: NodeTerm) -> NodeRules:
    if rules.required is None:
        return replace(rules, required=(term,))
    return replace(rules, required=tuple(_both(each, term) for each in rules.required))


def _both(one: NodeTerm, other: NodeTerm) -> NodeTerm:
    """A term that states nothing selects nothing, and so does any term joined with it."""
    if not _states_something(one) or not _states_something(other):
        return one if not _states_something(one) else other
    return NodeTerm(
        labels=replace(one.labels, requirements=one.labels.requirements + other.labels.requirements),
        name=replace(one.name, requirements=one.name.requirements + other.name.requirements),
    )


def _states_something(term: NodeTerm) -> bool:
    return bool(term.labels.requirements or term.name.requirements)
