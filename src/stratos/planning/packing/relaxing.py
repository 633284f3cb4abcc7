"""What it would take: the fewest constraints a pod that was left over has to give up, and the price of a machine then.

It is worked out for the end of a packing: what was assigned is in its place, and one machine more may be bought. Which
constraints stand in the way of each place is read off all places at once; that a pod without them may really go there
is then asked of the rules themselves. Whoever plans for pods that wait does not need this, whoever explains does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from stratos.planning.packing.constraints import Constraint, constraints_of, cut_in_words, is_out_of_the_question
from stratos.planning.packing.counting import topology_keys
from stratos.planning.packing.problem import Candidate, ExistingNode, Relaxation
from stratos.planning.packing.settling import machine_node
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import NodeState
from stratos.planning.scheduling.rejection import EXISTING_ANTI_AFFINITY, Rejection
from stratos.planning.scheduling.requirements import AffinityTerm, PodRequirements

MOST_CONSTRAINTS = 3  # what takes more than that is another pod
MOST_WAYS = 3  # that are told

_PLACES_TRIED = 50  # with the same hurdles, for sets that are as small as the smallest known
_NEW = "new/machine"  # a slash: no node that is there is called so


def state_of(nodes: Iterable[ExistingNode], namespace_labels: Mapping[str, Mapping[str, str]]) -> ClusterState:
    state = ClusterState(namespace_labels)
    for node in nodes:
        state.set_node(node.description)
        for pod in node.pods:
            state.add_pod(pod, node.description.name)
    return state


@dataclass(frozen=True, slots=True)
class _Place:
    node: NodeDescription
    candidate: Candidate | None  # None: it is there, or planned
    appearance: Hashable  # what rules about other pods see of it


@dataclass(frozen=True, slots=True)
class _Way:
    """What to give up, and the best place then."""

    constraints: tuple[Constraint, ...]
    cuts: tuple[tuple[str, int], ...]  # requests, and what may be left of each
    kept: float  # the least share of a request that is left
    candidate: Candidate | None

    @property
    def price(self) -> float:
        return self.candidate.price_usd_per_hour if self.candidate is not None else 0.0

    @property
    def rank(self) -> tuple[float, float, list[str]]:
        return -self.kept, self.price, [each.words for each in self.constraints]

    def told(self, requirements: PodRequirements) -> Relaxation:
        asked = dict(requirements.requests)
        words = [constraint.words for constraint in self.constraints]
        words += [cut_in_words(resource, asked[resource], left) for resource, left in self.cuts]
        offering = self.candidate.offering if self.candidate is not None else None
        return Relaxation(tuple(words), offering, self.price, self.kept)


_Hurdles = tuple[tuple[Constraint, ...], tuple[str, ...]]  # what stands in the way: constraints, and requests too large


class WaysOut:
    """The places that are there, or to be had, held against kinds of pods that fit none of them."""

    def __init__(self, state: ClusterState, candidates: Sequence[Candidate], kinds: Sequence[PodRequirements]) -> None:
        self._state = state
        self._sites = Sites(kinds)
        keys = topology_keys(
            [*kinds, *(pod.requirements for node in state.nodes.values() for pod in node.pods.values())]
        )
        self._places = [_Place(node.description, None, name) for name, node in sorted(state.nodes.items())]
        for each in sorted(candidates, key=_cheapest_first):
            domains = tuple(each.node.labels.get(key) for key in keys)
            limits = tuple(sorted(each.node.attach_limits.items()))
            self._places.append(_Place(each.node, each, (self._sites.number(each.node), domains, limits)))
        self._site = np.array([self._sites.number(place.node) for place in self._places], dtype=np.int64)
        self._resources = tuple(sorted({resource for each in kinds for resource, _ in each.requests}))
        free = [self._free(place) for place in self._places]
        self._room = np.array(free, dtype=np.int64).reshape(len(free), len(self._resources))
        self._apart: dict[PodRequirements, list[NodeState]] = {}  # where those are that keep away from others
        for node in state.nodes.values():
            for pod in node.pods.values():
                if pod.requirements.anti_affinity:
                    self._apart.setdefault(pod.requirements, []).append(node)
        self._memory: dict[tuple[PodRequirements, tuple[Constraint, ...]], PodRequirements] = {}
        self._taints = tuple({taint: None for node in self._sites.nodes for taint in node.taints})

    def _free(self, place: _Place) -> list[int]:
        free = self._state.nodes[place.node.name].free if place.candidate is None else place.node.allocatable
        return [free.get(resource, 0) for resource in self._resources]

    def of(self, requirements: PodRequirements) -> tuple[Relaxation, ...]:
        """The smallest sets: first those that leave all requests whole, then by price. Bounded in size and number."""
        constraints = constraints_of(requirements, self._taints)
        kin = self._kin(requirements)
        found: dict[_Hurdles, _Way] = {}
        fewest = MOST_CONSTRAINTS
        for (known, resources), places in self._by_hurdles(requirements, constraints):
            size = len(known) + len(resources)
            if size > fewest:
                break
            seen: set[Hashable] = set()
            for index, kept in places:
                place = self._places[index]
                if place.appearance in seen:
                    continue  # the same, and not as good
                seen.add(place.appearance)
                # Past the first few only what is smaller is of interest: other sets of that size are rare.
                most = fewest - size - (len(seen) > _PLACES_TRIED and bool(found))
                if most < 0:
                    break
                cuts = tuple((name, int(self._room[index, self._resources.index(name)])) for name in resources)
                others = [each for each in constraints if each not in known]
                more = self._remaining(_relaxed(requirements, known, cuts), kin, others, place, most)
                if more is None:
                    continue
                way = _Way((*known, *more), cuts, kept, place.candidate)
                if size + len(more) < fewest:
                    fewest = size + len(more)
                    found.clear()
                hurdles = (way.constraints, resources)
                if hurdles not in found or way.rank < found[hurdles].rank:
                    found[hurdles] = way
                if not more:
                    break  # no other of these places is better
        ways = sorted(found.values(), key=lambda way: way.rank)
        return tuple(way.told(requirements) for way in ways[:MOST_WAYS])

    def _by_hurdles(
        self, requirements: PodRequirements, constraints: Sequence[Constraint]
    ) -> list[tuple[_Hurdles, list[tuple[int, float]]]]:
        """Places by what keeps the pod off them, other pods aside; the fewest hurdles first.

        Of each place the share of the requests that it has room for. The best come first.
        """
        asked = dict(requirements.requests)
        wanted = np.array([asked.get(resource, 0) for resource in self._resources], dtype=np.int64)
        short = (self._room < wanted) & (wanted > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(short, np.maximum(self._room, 0) / wanted, 1.0).min(axis=1, initial=1.0)
        broken = [self._broken(requirements, constraints, node) for node in self._sites.nodes]
        groups: dict[_Hurdles, list[tuple[int, float]]] = {}
        lacking = {pattern: self._lacking(pattern) for pattern in map(tuple, np.unique(short, axis=0).tolist())}
        rows = zip(short.tolist(), self._site.tolist(), shares.tolist(), strict=True)
        for index, (row, site, share) in enumerate(rows):
            hurdles, resources = broken[site], lacking[tuple(row)]
            if hurdles is None or resources is None or len(hurdles) + len(resources) > MOST_CONSTRAINTS:
                continue
            if share == 0 and any(resource in _INDISPENSABLE for resource in resources):
                continue
            groups.setdefault((hurdles, resources), []).append((index, share))
        order = {each: number for number, each in enumerate(constraints)}
        ranked = sorted(
            groups.items(),
            key=lambda group: (len(group[0][0]) + len(group[0][1]), [order[each] for each in group[0][0]], group[0][1]),
        )
        # Places are in order of price: a stable sort keeps it where as much of the requests is left.
        return [(hurdles, sorted(places, key=lambda each: -each[1])) for hurdles, places in ranked]

    def _broken(
        self, requirements: PodRequirements, constraints: Sequence[Constraint], node: NodeDescription
    ) -> tuple[Constraint, ...] | None:
        if is_out_of_the_question(requirements.node_rules, node):
            return None
        return tuple(each for each in constraints if each.breaks is not None and each.breaks(node))

    def _lacking(self, pattern: Sequence[bool]) -> tuple[str, ...] | None:
        resources = tuple(name for name, short in zip(self._resources, pattern, strict=True) if short)
        return None if "pods" in resources else resources

    def _kin(self, requirements: PodRequirements) -> _Kin:
        """Who gives up a rule gives it up for all of its kind: those that are placed keep it off no more, either."""
        places = Counter[tuple[AffinityTerm, str | None]]()
        for node in self._apart.get(requirements, ()):
            for term in requirements.anti_affinity:
                places[term, node.labels.get(term.topology_key)] += 1
        return _Kin(requirements.anti_affinity, places)

    def _remaining(
        self, pod: PodRequirements, kin: _Kin, constraints: Sequence[Constraint], place: _Place, most: int
    ) -> tuple[Constraint, ...] | None:
        """What else stands in the way there, of ``constraints``. None when giving up ``most`` of them does not help."""
        if place.candidate is None:
            return self._give_way(pod, kin, constraints, place.node.name, most)
        self._state.set_node(machine_node(place.candidate, _NEW))
        try:
            return self._give_way(pod, kin, constraints, _NEW, most)
        finally:
            self._state.remove_node(_NEW)

    def _give_way(
        self, pod: PodRequirements, kin: _Kin, constraints: Sequence[Constraint], node: str, most: int
    ) -> tuple[Constraint, ...] | None:
        """Rule by rule, the fewest constraints that get past it."""
        given_up: tuple[Constraint, ...] = ()
        while (rejection := self._rejection(pod, kin, node)) is not None:
            concerned = [each for each in constraints if each.rule is rejection.rule and each not in given_up]
            step = next(
                (
                    some
                    for size in range(1, most - len(given_up) + 1)
                    for some in combinations(concerned, size)
                    if self._gets_past(rejection, self._without(pod, some), kin, node)
                ),
                None,
            )
            if step is None:
                return None
            given_up += step
            pod = self._without(pod, step)
        return given_up

    def _without(self, pod: PodRequirements, some: tuple[Constraint, ...]) -> PodRequirements:
        known = self._memory.get((pod, some))  # asked again for every place
        if known is None:
            known = self._memory[pod, some] = _relaxed(pod, some)
        return known

    def _gets_past(self, rejection: Rejection, pod: PodRequirements, kin: _Kin, node: str) -> bool:
        now = self._rejection(pod, kin, node)
        return now is None or now.rule is not rejection.rule

    def _rejection(self, pod: PodRequirements, kin: _Kin, name: str) -> Rejection | None:
        node = self._state.nodes[name]
        rejection = self._state.check(pod).reject(node)
        if rejection is not EXISTING_ANTI_AFFINITY:
            return rejection
        for held, holders in self._state.repelling.about(pod, self._state.namespace_labels(pod.namespace)):
            domain = node.labels.get(held.term.topology_key)
            if domain in holders:
                given_up = held.term in kin.terms and held.term not in pod.anti_affinity
                if not given_up or holders[domain] > kin.places[held.term, domain]:
                    return rejection
        return None  # that rule is asked last


@dataclass(frozen=True, slots=True)
class _Kin:
    """Pods of the same kind that are placed: how many hold each of its anti-affinity terms in each domain."""

    terms: tuple[AffinityTerm, ...]
    places: Counter[tuple[AffinityTerm, str | None]]


_INDISPENSABLE = ("cpu", "memory")  # none of it at all is no way out


def _relaxed(
    pod: PodRequirements, given_up: Iterable[Constraint], cuts: Sequence[tuple[str, int]] = ()
) -> PodRequirements:
    for constraint in given_up:
        pod = constraint.without(pod)
    if not cuts:
        return pod
    requests = {**dict(pod.requests), **dict(cuts)}
    return replace(pod, requests=tuple((name, amount) for name, amount in requests.items() if amount > 0))


def _cheapest_first(candidate: Candidate) -> tuple[float, str, str, str, str]:
    name = candidate.offering
    return candidate.price_usd_per_hour, name.instance_type, name.zone, name.capacity_type, candidate.template
