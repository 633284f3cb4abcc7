"""Why a pod was left over: each candidate and each node is counted under the constraint that keeps the pod off it.

They are counted as things stand at the end of the packing, so that every count is true: nodes and machines as full as
they are, and candidates as the one machine more that could be bought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stratos.apis import labels
from stratos.base.selectors import Operator, Requirement
from stratos.base.words import counted
from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import PodClass, Scale, Vector
from stratos.planning.packing.problem import Unplaced
from stratos.planning.packing.settling import Settling
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling import rejection
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.rejection import Rejection, Rule
from stratos.planning.scheduling.requirements import NodeRules, PodRequirements
from stratos.planning.scheduling.rules import reject_by_rules, reject_by_volumes

# In the order in which the scheduler asks them: whoever fails at a later one came further.
_ORDER = (
    Rule.NODE_UNSCHEDULABLE,
    Rule.TAINT_TOLERATION,
    Rule.NODE_AFFINITY,
    Rule.NODE_PORTS,
    Rule.NODE_RESOURCES_FIT,
    Rule.NODE_VOLUME_LIMITS,
    Rule.VOLUME_BINDING,
    Rule.VOLUME_ZONE,
    Rule.POD_TOPOLOGY_SPREAD,
    Rule.INTER_POD_AFFINITY,
)


class _Reason(NamedTuple):
    rule: Rule
    words: str


_Counts = Counter[_Reason]


def explain_left_over(settling: Settling, sites: Sites, scale: Scale, left_over: Sequence[PodClass]) -> list[Unplaced]:
    explaining = _Explaining(settling, sites, scale)
    found = []
    for each in left_over:
        rule, message = explaining.explain(each.requirements)
        found += [Unplaced(key, rule, message) for key in each.keys]
    return sorted(found, key=lambda each: each.pod)


class _Explaining:
    def __init__(self, settling: Settling, sites: Sites, scale: Scale) -> None:
        self._settling = settling
        self._bins: Bins = settling.bins
        self._sites = sites
        self._scale = scale
        self._capacity = settling.bins.capacity[: len(scale.resources)]

    def explain(self, requirements: PodRequirements) -> tuple[Rule, str]:
        wanted = self._scale.wanted(requirements)
        wanted = wanted[: len(self._scale.resources)]
        candidates, nodes = self._judge_candidates(requirements, wanted), self._judge_bins(requirements, wanted)
        reasons = [*candidates, *nodes]
        rule = max((reason.rule for reason in reasons), key=_ORDER.index, default=Rule.NODE_RESOURCES_FIT)
        parts = [_told("candidate", candidates), _told("node", nodes)]
        return rule, "; ".join(part for part in parts if part) or "there are neither nodes nor candidates"

    def _judge_candidates(self, requirements: PodRequirements, wanted: Vector) -> _Counts:
        counts: _Counts = Counter()
        for index, lot in enumerate(self._bins.lots):
            verdict = _by_rules(requirements.node_rules, lot.candidates[0].node)
            if verdict is not None:
                counts[verdict] += len(lot.candidates)
                continue
            capacity = lot.capacity[:, : wanted.size].T
            large_enough = np.all(capacity >= wanted[:, None], axis=0)
            for reason, number in self._by_amounts(wanted, capacity, capacity, ~large_enough, "too small"):
                counts[reason] += number
            gone = int((large_enough & (lot.left <= 0)).sum())
            if gone:
                counts[_Reason(Rule.NODE_RESOURCES_FIT, "not to be had any more")] += gone
            there = int(large_enough.sum()) - gone
            if there:
                cheapest = int((large_enough & (lot.left > 0)).argmax())
                counts[_in_words(self._settling.refusal_on_one_more(requirements, index, cheapest))] += there
        return counts

    def _judge_bins(self, requirements: PodRequirements, wanted: Vector) -> _Counts:
        counts: _Counts = Counter()
        bins = self._bins
        admitted = self._sites.admitting(requirements.node_rules)
        refusing = np.bincount(bins.site[~admitted[bins.site]], minlength=1)
        for site in refusing.nonzero()[0].tolist():
            verdict = _by_rules(requirements.node_rules, self._sites.nodes[site])
            if verdict is not None:
                counts[verdict] += int(refusing[site])
        room = bins.room[: wanted.size]
        roomy = (room >= wanted[:, None]).all(axis=0)
        full = admitted[bins.site] & ~roomy
        for reason, number in self._by_amounts(wanted, room, self._capacity, full, "too full"):
            counts[reason] += number
        for index in (admitted[bins.site] & roomy).nonzero()[0].tolist():
            counts[_in_words(self._settling.refusal(requirements, index))] += 1
        return counts

    def _by_amounts(
        self, wanted: Vector, room: NDArray[np.int64], capacity: NDArray[np.int64], among: NDArray[np.bool_], how: str
    ) -> Iterable[tuple[_Reason, int]]:
        """Those ``among`` which lack something, by what they lack."""
        lacking = (room < wanted[:, None])[:, among]
        without = lacking & (capacity[:, among] == 0)
        kinds, numbers = np.unique(np.vstack([lacking, without]), axis=1, return_counts=True)
        resources = self._scale.resources
        for kind, number in zip(kinds.T.tolist(), numbers.tolist(), strict=True):
            missing = [name for name, misses in zip(resources, kind[len(resources) :], strict=True) if misses]
            short = [name for name, misses in zip(resources, kind, strict=False) if misses]
            words = f"without {', '.join(missing)}" if missing else f"{how} ({', '.join(short)})"
            yield _Reason(Rule.NODE_RESOURCES_FIT, words), number


def _told(noun: str, counts: _Counts) -> str:
    if not counts:
        return ""
    parts = sorted(counts.items(), key=lambda part: (-part[1], part[0].words))
    listed = ", ".join(f"{number} {reason.words}" for reason, number in parts)
    return f"{counted(sum(counts.values()), noun)}: {listed}"


def _by_rules(rules: NodeRules, node: NodeDescription) -> _Reason | None:
    refusal = reject_by_rules(rules, node)
    if refusal is rejection.AFFINITY:
        return _Reason(Rule.NODE_AFFINITY, _unmet(rules, node))
    refusal = refusal or reject_by_volumes(rules, node)
    return None if refusal is None else _in_words(refusal)


def _unmet(rules: NodeRules, node: NodeDescription) -> str:
    """The first condition of the node selector or affinity that the node does not meet."""
    conditions = rules.selector.requirements
    if rules.required is not None and len(rules.required) == 1:
        conditions += rules.required[0].labels.requirements
    for condition in conditions:
        if not condition.matches(node.labels):
            return _not(condition)
    return "outside its node affinity"


def _not(condition: Requirement) -> str:
    if condition.key == labels.ZONE and condition.operator is Operator.IN:
        return f"not in zone {' or '.join(sorted(condition.values))}"
    return f"not {condition}"


_WORDS = {
    rejection.UNSCHEDULABLE: "cordoned",
    rejection.NOT_PINNED: "not the node that it names",
    rejection.PORTS: "where a port of its is taken",
    rejection.VOLUME_LIMIT: "with too many volumes attached",
    rejection.VOLUME_AFFINITY: "out of reach of its volumes",
    rejection.VOLUME_ZONE: "not in the zone of its volumes",
    rejection.SPREAD: "against its topology spread",
    rejection.SPREAD_LABEL_MISSING: "without the label of its topology spread",
    rejection.POD_AFFINITY: "without the pods it has to be near",
    rejection.POD_ANTI_AFFINITY: "with pods it keeps away from",
    rejection.EXISTING_ANTI_AFFINITY: "with pods that keep away from it",
}


def _in_words(refusal: Rejection) -> _Reason:
    words = _WORDS.get(refusal)
    if words is None:  # a taint or an amount: the scheduler's own words name it
        words = f"with {', '.join(refusal.reasons)}".replace("node(s) had ", "")
    return _Reason(refusal.rule, words)
