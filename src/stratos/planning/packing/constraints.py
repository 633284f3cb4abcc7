"""The constraints of a pod one by one, as a user finds them in the manifest, each with what the pod is without it.

What others demand of the pod (the anti-affinity of pods that are there) and what only says how a node is at the moment
(closed, not ready) is not the pod's to change, and has no place here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from stratos.apis.node import Taint
from stratos.apis.pod import Toleration
from stratos.base.quantity import GIBIBYTE, MEBIBYTE, format_amount
from stratos.base.selectors import LabelSelector, Requirement
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.rejection import Rule
from stratos.planning.scheduling.requirements import (
    ANY_IP,
    AffinityTerm,
    HostPort,
    NodeRules,
    PodRequirements,
    SpreadConstraint,
)
from stratos.planning.scheduling.rules import REPELLING_EFFECTS
from stratos.planning.scheduling.selection import NODE_NAME_FIELD, NodeTerm, NodeTerms, matches_any, tolerates

# Taints of these owners say how a node is at the moment; to tolerate them would be bad advice.
_OF_THE_MOMENT = ("kubernetes.io", "stratos.sh")


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    words: str
    rule: Rule
    without: Callable[[PodRequirements], PodRequirements]
    breaks: Callable[[NodeDescription], bool] | None = None  # None: it depends on the pods that are there


def constraints_of(requirements: PodRequirements, taints: Iterable[Taint]) -> tuple[Constraint, ...]:
    """All but the requests, which may give way in part. ``taints`` are those of the nodes in question."""
    rules = requirements.node_rules
    return (
        *(_selector(each) for each in rules.selector.requirements),
        *_node_affinity(rules),
        *(_taint(taint) for taint in sorted(set(taints), key=_order) if _is_in_the_way(rules, taint)),
        *_volumes(rules),
        *(_host_port(port) for port in requirements.host_ports),
        *_about_other_pods(requirements),
    )


def is_out_of_the_question(rules: NodeRules, node: NodeDescription) -> bool:
    """Is the node closed to such pods, whatever they gave up?"""
    return node.unschedulable or any(
        taint.effect in REPELLING_EFFECTS and _is_of_the_moment(taint) and not tolerates(rules.tolerations, taint)
        for taint in node.taints
    )


def cut_in_words(resource: str, asked: int, left: int) -> str:
    """Of a request of which only so much may be left."""
    at_most = f"at most {_words(resource, left)}" if left > 0 else "none"
    return f"requests {resource} {_words(resource, asked)} → {at_most}"


def _words(resource: str, amount: int) -> str:
    """As people write it, and never more than it is."""
    match resource:
        case "cpu":
            return f"{amount / 1000:.12g}"
        case "memory" | "ephemeral-storage" if amount >= MEBIBYTE:
            hundredths = amount * 100 // GIBIBYTE
            return f"{hundredths / 100:.12g}Gi" if hundredths >= 100 else f"{amount // MEBIBYTE}Mi"
        case _:
            return format_amount(resource, amount)


def _selector(stated: Requirement) -> Constraint:
    def without(pod: PodRequirements) -> PodRequirements:
        return _with_rules(pod, selector=LabelSelector(_less(pod.node_rules.selector.requirements, stated)))

    return Constraint(
        f"nodeSelector {stated}", Rule.NODE_AFFINITY, without, lambda node: not stated.matches(node.labels)
    )


def _node_affinity(rules: NodeRules) -> Iterator[Constraint]:
    terms = rules.required
    if terms is None:
        return
    if len(terms) != 1 or not _states_something(terms[0]):  # alternatives stand and fall together

        def breaks(node: NodeDescription) -> bool:
            return not matches_any(terms, node.name, node.labels)

        words = f"nodeAffinity {_terms_words(terms)}"
        yield Constraint(words, Rule.NODE_AFFINITY, lambda pod: _with_rules(pod, required=None), breaks)
        return
    for stated in terms[0].labels.requirements:
        yield _affinity_to_label(stated)
    for stated in terms[0].name.requirements:
        yield _affinity_to_name(stated)


def _affinity_to_label(stated: Requirement) -> Constraint:
    def without(pod: PodRequirements) -> PodRequirements:
        (term,) = pod.node_rules.required or ()
        return _with_required(pod, replace(term, labels=LabelSelector(_less(term.labels.requirements, stated))))

    return Constraint(
        f"nodeAffinity {stated}", Rule.NODE_AFFINITY, without, lambda node: not stated.matches(node.labels)
    )


def _affinity_to_name(stated: Requirement) -> Constraint:
    def without(pod: PodRequirements) -> PodRequirements:
        (term,) = pod.node_rules.required or ()
        return _with_required(pod, replace(term, name=LabelSelector(_less(term.name.requirements, stated))))

    def breaks(node: NodeDescription) -> bool:
        return not stated.matches({NODE_NAME_FIELD: node.name})

    return Constraint(f"nodeAffinity {stated}", Rule.NODE_AFFINITY, without, breaks)


def _with_required(pod: PodRequirements, term: NodeTerm) -> PodRequirements:
    # A term that states nothing any more would select nothing.
    return _with_rules(pod, required=(term,) if _states_something(term) else None)


def _states_something(term: NodeTerm) -> bool:
    return bool(term.labels.requirements or term.name.requirements)


def _taint(taint: Taint) -> Constraint:
    added = Toleration(key=taint.key, value=taint.value, effect=taint.effect)

    def without(pod: PodRequirements) -> PodRequirements:
        return _with_rules(pod, tolerations=(*pod.node_rules.tolerations, added))

    value = f"={taint.value}" if taint.value else ""
    words = f"toleration missing for taint {taint.key}{value}:{taint.effect}"
    return Constraint(words, Rule.TAINT_TOLERATION, without, lambda node: taint in node.taints)


def _is_in_the_way(rules: NodeRules, taint: Taint) -> bool:
    return (
        taint.effect in REPELLING_EFFECTS and not _is_of_the_moment(taint) and not tolerates(rules.tolerations, taint)
    )


def _is_of_the_moment(taint: Taint) -> bool:
    owner = taint.key.partition("/")[0]
    return any(owner == each or owner.endswith(f".{each}") for each in _OF_THE_MOMENT)


def _order(taint: Taint) -> tuple[str, str, str]:
    return taint.key, taint.value, taint.effect


def _volumes(rules: NodeRules) -> Iterator[Constraint]:
    yield from (_volume_reach(terms) for terms in rules.volumes.reachable)
    yield from (_volume_zone(stated) for stated in rules.volumes.zones.requirements)


def _volume_reach(terms: NodeTerms) -> Constraint:
    def without(pod: PodRequirements) -> PodRequirements:
        volumes = pod.node_rules.volumes
        return _with_rules(pod, volumes=replace(volumes, reachable=_less(volumes.reachable, terms)))

    words = f"volume reachable only from {_terms_words(terms)}"
    return Constraint(words, Rule.VOLUME_BINDING, without, lambda node: not matches_any(terms, node.name, node.labels))


def _volume_zone(stated: Requirement) -> Constraint:
    def without(pod: PodRequirements) -> PodRequirements:
        volumes = pod.node_rules.volumes
        zones = LabelSelector(_less(volumes.zones.requirements, stated))
        return _with_rules(pod, volumes=replace(volumes, zones=zones))

    return Constraint(f"volume in {stated}", Rule.VOLUME_ZONE, without, lambda node: not stated.matches(node.labels))


def _host_port(port: HostPort) -> Constraint:
    address = "" if port.ip == ANY_IP else f"{port.ip}:"
    return Constraint(
        f"hostPort {address}{port.port}/{port.protocol}",
        Rule.NODE_PORTS,
        lambda pod: replace(pod, host_ports=_less(pod.host_ports, port)),
    )


def _about_other_pods(requirements: PodRequirements) -> Iterator[Constraint]:
    yield from (_spread(each) for each in requirements.spread)
    yield from (_together(each) for each in requirements.affinity)
    yield from (_apart(each) for each in requirements.anti_affinity)


def _spread(stated: SpreadConstraint) -> Constraint:
    return Constraint(
        f"topologySpreadConstraint on {stated.topology_key}",
        Rule.POD_TOPOLOGY_SPREAD,
        lambda pod: replace(pod, spread=_less(pod.spread, stated)),
    )


def _together(stated: AffinityTerm) -> Constraint:
    return Constraint(
        f"podAffinity on {stated.topology_key}",
        Rule.INTER_POD_AFFINITY,
        lambda pod: replace(pod, affinity=_less(pod.affinity, stated)),
    )


def _apart(stated: AffinityTerm) -> Constraint:
    return Constraint(
        f"podAntiAffinity on {stated.topology_key}",
        Rule.INTER_POD_AFFINITY,
        lambda pod: replace(pod, anti_affinity=_less(pod.anti_affinity, stated)),
    )


def _with_rules(pod: PodRequirements, **changes: object) -> PodRequirements:
    return replace(pod, node_rules=replace(pod.node_rules, **changes))  # type: ignore[arg-type]


def _terms_words(terms: NodeTerms) -> str:
    alternatives = (
        " and ".join(str(requirement) for requirement in (*term.labels.requirements, *term.name.requirements))
        for term in terms
    )
    return " or ".join(words or "nothing" for words in alternatives) or "nothing"


T = TypeVar("T")


def _less(stated: tuple[T, ...], one: T) -> tuple[T, ...]:
    """Without the first that is like ``one``."""
    return tuple(each for index, each in enumerate(stated) if index != stated.index(one))
