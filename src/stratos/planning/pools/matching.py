"""Which pool serves a waiting pod. Several may match; exactly one acts, and all of them agree which.

A pool matches when the scheduler would accept one of its nodes, empty but for its DaemonSets: node selector, required
affinity and taints are held against the labels and taints its nodes carry, requests against what they offer. Of those
that match, the first wins that

1. has machines under way for this very pod,
2. can serve it soonest: something under way or standing by, then something to launch, then nothing at all,
3. carries more of the labels the pod asks for itself, rather than being let through on well-known ones,
4. costs less by the hour,
5. comes first by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from stratos.base.quantity import format_amount
from stratos.base.selectors import LabelSelector, Operator
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import NodeRules, PodRequirements
from stratos.planning.scheduling.rules import matches_node, untolerated_taint

_TOLERATED_PREFIXES = ("kubernetes.io/", "node.kubernetes.io/", "topology.kubernetes.io/", "node-role.kubernetes.io/")


class Speed(IntEnum):
    """How soon a pool can give a machine for a pod."""

    AT_HAND = 0  # one under way has room for it, or one stands by
    TO_LAUNCH = 1
    NOTHING_LEFT = 2


@dataclass(frozen=True, slots=True)
class PoolOffer:
    """What a pool's nodes look like, and how soon there can be one more."""

    pool: str
    nodes: tuple[NodeDescription, ...]  # in service; allocatable is what DaemonSets leave; they may differ by zone
    own_labels: frozenset[str]  # the keys that the pool's template puts on them
    standing_by: bool = False
    launchable: bool = False  # or returning, or being prepared
    under_way: tuple[Mapping[str, int], ...] = ()  # what is free on each node that is coming into service
    price_usd_per_hour: float = 0.0
    promised: frozenset[str] = frozenset()  # pods (namespace/name) that machines are under way for
    certain: bool = False  # the nodes are there: labels they do not show, they do not have

    def speed(self, asks: PodRequirements) -> Speed:
        if self.standing_by or any(_fits(asks, free) for free in self.under_way):
            return Speed.AT_HAND
        return Speed.TO_LAUNCH if self.launchable else Speed.NOTHING_LEFT


@dataclass(frozen=True, slots=True)
class Verdict:
    pool: str | None
    report: tuple[str, ...]  # why the others were not chosen
    at_hand: bool = False  # it need not launch anything: one stands by, or is under way


def why_not(asks: PodRequirements, offer: PoolOffer) -> str:
    """Why no node of the pool would do for such pods. Empty when one would."""
    reason = "it has no nodes to offer"
    for node in offer.nodes:
        rules = asks.node_rules if offer.certain else _without_unknown(asks.node_rules, node)
        reason = _why_not_node(rules, node) or _too_small(asks, node)
        if not reason:
            return ""
    return reason


_Rank = tuple[Speed, int, float, str]


class PoolChoice:
    """Chooses among the same offers for many pods; what holds for one kind of pod is worked out once."""

    def __init__(self, offers: Sequence[PoolOffer]) -> None:
        self._offers = offers
        self._known: dict[PodRequirements, tuple[list[tuple[_Rank, PoolOffer]], dict[str, str]]] = {}

    def choose(self, pod: str, asks: PodRequirements) -> Verdict:
        """The one pool that acts for ``pod``; the same for whoever asks with the same offers."""
        ranked, refused = self._judge(asks)
        no = tuple(f"pool {pool}: {reason}" for pool, reason in sorted(refused.items()))
        if not ranked:
            return Verdict(None, no)
        (rank, first), *others = sorted(ranked, key=lambda pair: (pod not in pair[1].promised, pair[0]))
        lost = tuple(
            f"pool {offer.pool}: matches too, but {_loses(first, offer, pod, rank, other)}" for other, offer in others
        )
        at_hand = rank[0] is Speed.AT_HAND or pod in first.promised
        return Verdict(first.pool, (*lost, *no), at_hand)

    def _judge(self, asks: PodRequirements) -> tuple[list[tuple[_Rank, PoolOffer]], dict[str, str]]:
        known = self._known.get(asks)
        if known is None:
            reasons = {offer.pool: why_not(asks, offer) for offer in self._offers}
            keys = _keys(asks.node_rules)
            ranked = [
                ((offer.speed(asks), -len(keys & offer.own_labels), offer.price_usd_per_hour, offer.pool), offer)
                for offer in self._offers
                if not reasons[offer.pool]
            ]
            known = self._known[asks] = ranked, {pool: reason for pool, reason in reasons.items() if reason}
        return known


def _loses(winner: PoolOffer, loser: PoolOffer, pod: str, best: _Rank, rank: _Rank) -> str:
    if pod in winner.promised and pod not in loser.promised:
        return f"{winner.pool} has a machine under way for it"
    reasons = (
        f"{winner.pool} can serve it sooner",
        f"{winner.pool} is what the pod asks for more exactly",
        f"{winner.pool} costs less by the hour",
        f"{winner.pool} comes first by name",
    )
    return next(reason for mine, theirs, reason in zip(best, rank, reasons, strict=True) if mine != theirs)


def _fits(asks: PodRequirements, free: Mapping[str, int]) -> bool:
    return all(amount <= free.get(resource, 0) for resource, amount in asks.requests)


def _why_not_node(rules: NodeRules, node: NodeDescription) -> str:
    taint = untolerated_taint(rules, node)
    if taint is not None:
        return f"the pod does not tolerate its taint {taint.key}={taint.value}:{taint.effect}"
    for requirement in rules.selector.requirements:
        if not requirement.matches(node.labels):
            value = node.labels.get(requirement.key)
            have = f"have {requirement.key}={value}" if value is not None else f"carry no label {requirement.key}"
            return f"the pod selects {requirement}, its nodes {have}"
    return "" if matches_node(rules, node) else "the pod's required node affinity selects none of its nodes"


def _too_small(asks: PodRequirements, node: NodeDescription) -> str:
    for resource, amount in asks.requests:
        offered = node.allocatable.get(resource, 0)
        if amount > offered:
            asked, given = format_amount(resource, amount), format_amount(resource, max(0, offered))
            return f"the pod asks for {asked} {resource}, an empty node of it offers {given}"
    return ""


def _without_unknown(rules: NodeRules, node: NodeDescription) -> NodeRules:
    """``rules`` without the well-known labels that nobody can foretell for a node that is not there yet."""
    kept = tuple(
        requirement
        for requirement in rules.selector.requirements
        if requirement.key in node.labels or not requirement.key.startswith(_TOLERATED_PREFIXES)
    )
    return replace(rules, selector=LabelSelector(kept))


def _keys(rules: NodeRules) -> frozenset[str]:
    """The labels a pod asks to be there."""
    return frozenset(_demanded(rules.selector)).union(
        *(_demanded(term.labels) for term in rules.required or ()),
    )


def _demanded(selector: LabelSelector) -> Iterable[str]:
    asking = (Operator.IN, Operator.EXISTS, Operator.GT, Operator.LT)
    return (requirement.key for requirement in selector.requirements if requirement.operator in asking)
