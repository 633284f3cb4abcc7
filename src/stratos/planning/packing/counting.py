"""How many pods of which kind are in which domain, for all rules about other pods that the problem holds.

It is what `planning.scheduling.topology` does for one pod at a time, done for whole classes: a count is an array over
the domains of its key, and a rule looks at all bins at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stratos.apis import labels
from stratos.planning.packing.bins import Bins
from stratos.planning.packing.domains import BIN, Codes, Domains
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.filters import spread_tally_key
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import ANY_IP, AffinityTerm, HostPort, PodRequirements, SpreadConstraint
from stratos.planning.scheduling.rules import matches_node, tolerates_node
from stratos.planning.scheduling.topology import TallyKey

Mask = NDArray[np.bool_]


class Count:
    """Pods per domain of one key. The last row is never counted in: it answers for bins that are in no domain."""

    __slots__ = ("_pods", "bins_counted", "key", "total")

    def __init__(self, key: str, bins_counted: Callable[[Codes], Mask] | None = None) -> None:
        self.key = key
        self.bins_counted = bins_counted  # of these bins, which count; None: all that are in a domain
        self._pods = np.zeros(16, dtype=np.int64)
        self.total = 0

    def pods(self, domains: int) -> Codes:
        """For each of so many domains, and one row more."""
        if self._pods.size <= domains:
            self._pods = np.pad(self._pods, (0, 2 * domains + 1 - self._pods.size))
        return self._pods

    def seen(self, domains: Domains) -> list[int]:
        """The domains of all nodes and machines that are looked at, empty ones included."""
        codes = domains.of_bins(self.key)
        if self.bins_counted is not None:
            codes = codes[self.bins_counted(np.arange(codes.size))]
        found: list[int] = np.bincount(codes[codes >= 0], minlength=1).nonzero()[0].tolist()
        return found

    def add(self, domains: Domains, bins: Codes, numbers: Codes) -> None:
        codes = domains.of_bins(self.key)[bins]
        if bins.size == 1:  # so common that the general case below would cost most of the time
            if codes[0] >= 0 and (self.bins_counted is None or self.bins_counted(bins)[0]):
                self.pods(domains.size(self.key))[codes[0]] += numbers[0]
                self.total += int(numbers[0])
            return
        counts = codes >= 0
        if self.bins_counted is not None:
            counts &= self.bins_counted(bins)
        np.add.at(self.pods(domains.size(self.key)), codes[counts], numbers[counts])
        self.total += int(numbers[counts].sum())


@dataclass(frozen=True, slots=True)
class SpreadRule:
    count: Count
    constraint: SpreadConstraint

    @property
    def key(self) -> str:
        return self.count.key


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """All that a class says, and others say, about the pods beside it. Classes that differ in amounts share it."""

    spread: tuple[SpreadRule, ...]
    away_from: tuple[Count, ...]  # it goes into no domain that holds any of these
    alone_by: frozenset[str]  # keys by which two such pods keep off each other
    together: tuple[Count, ...]  # it goes where all of these are …
    may_start: bool  # … or anywhere, when none of these is anywhere
    adds_to: tuple[Count, ...]  # what counts it, once placed

    @property
    def rank(self) -> int:
        """Who is placed first: those that need hosts of their own, then those that are divided, then the easy ones.

        A constraint that counts other pods is kept most easily before those are there: of those that are spread over
        hosts, the ones that count themselves must meet nobody, the others may meet some.
        """
        hosts = {labels.HOSTNAME, BIN}
        over_hosts = [rule.constraint.counts_itself for rule in self.spread if rule.key in hosts]
        if hosts & self.alone_by:
            return 0
        if over_hosts:
            return 1 if any(over_hosts) else 2
        return 3 if self.spread or self.alone_by or self.away_from else 4 if self.together else 5

    @property
    def keys(self) -> set[str]:
        """The keys by which it counts pods, or is counted."""
        counts = (*(rule.count for rule in self.spread), *self.away_from, *self.together, *self.adds_to)
        return {count.key for count in counts}

    @property
    def is_plain(self) -> bool:
        return not (self.spread or self.away_from or self.alone_by or self.together)


class Counting:
    """Every count that some class looks at, with the pods that are there already counted in."""

    def __init__(
        self,
        bins: Bins,
        sites: Sites,
        domains: Domains,
        requirements: Iterable[PodRequirements],
        namespace_labels: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._bins = bins
        self._sites = sites
        self._domains = domains
        self._namespace_labels = namespace_labels
        self._tallies: dict[TallyKey, Count] = {}
        self._held: dict[AffinityTerm, Count] = {}
        self._ports: dict[HostPort, Count] = {}
        said_by = {each: _said_by(each) for each in requirements}
        distinct: dict[Hashable, PodRequirements] = {}
        for each, said in said_by.items():
            distinct.setdefault(said, each)
        there = _population(bins)
        for each in distinct.values():
            self._register(each)
        for pods in there.values():
            for term in pods.pod.requirements.anti_affinity:
                self._held.setdefault(term, Count(term.topology_key))
        self._about = _Index(self._tallies, lambda key: key.anchor)
        self._held_about = _Index(self._held, lambda term: term.pods.anchor)
        if self._tallies or self._held or self._ports:
            for pods in there.values():
                indices, numbers = np.unique(np.array(pods.bins), return_counts=True)
                for count in self._counts_of(pods.pod.requirements, terminating=pods.pod.terminating):
                    count.add(domains, indices, numbers)
        compiled = {said: self._compile(each) for said, each in distinct.items()}
        self._companies = {each: compiled[said] for each, said in said_by.items()}

    def company(self, requirements: PodRequirements) -> Company:
        return self._companies[requirements]

    def add(self, company: Company, bins: Codes, numbers: Codes) -> None:
        """Pods of a class have been put into ``bins``."""
        for count in company.adds_to:
            count.add(self._domains, bins, numbers)

    def _register(self, each: PodRequirements) -> None:
        for constraint in each.spread:
            key = spread_tally_key(each, constraint, each.spread)
            if key not in self._tallies:
                self._tallies[key] = Count(key.topology_key, self._counted_by(key))
        for key in _company_keys(each):
            self._tallies.setdefault(key, Count(key.topology_key))
        for term in each.anti_affinity:
            self._tallies.setdefault(_key_of(term), Count(term.topology_key))
            self._held.setdefault(term, Count(term.topology_key))
        for port in each.host_ports:
            self._ports.setdefault(port, Count(BIN))

    def _compile(self, each: PodRequirements) -> Company:
        namespace_labels = self._namespace_labels.get(each.namespace, {})
        own_labels = dict(each.labels)
        apart = [self._tallies[_key_of(term)] for term in each.anti_affinity]
        held = [
            self._held[term]
            for term in self._held_about.candidates(each)
            if term.pods.matches(each.namespace, namespace_labels, own_labels)
        ]
        ports = [self._ports[other] for other in sorted(self._ports) for port in each.host_ports if _clash(port, other)]
        alone = {
            term.topology_key
            for term in each.anti_affinity
            if term.pods.matches(each.namespace, namespace_labels, own_labels)
        }
        together = tuple(self._tallies[key] for key in _company_keys(each))
        return Company(
            spread=tuple(
                SpreadRule(self._tallies[spread_tally_key(each, constraint, each.spread)], constraint)
                for constraint in each.spread
            ),
            away_from=tuple(dict.fromkeys([*apart, *held, *ports])),
            alone_by=frozenset(alone | ({BIN} if each.host_ports else set())),
            together=together,
            may_start=bool(together)
            and all(term.pods.matches(each.namespace, namespace_labels, own_labels) for term in each.affinity),
            adds_to=tuple(self._counts_of(each, terminating=False)),
        )

    def _counts_of(self, each: PodRequirements, *, terminating: bool) -> list[Count]:
        namespace_labels = self._namespace_labels.get(each.namespace, {})
        own_labels = dict(each.labels)
        counts = [
            self._tallies[key]
            for key in self._about.candidates(each)
            if (key.counts_terminating or not terminating)
            and all(term.matches(each.namespace, namespace_labels, own_labels) for term in key.terms)
        ]
        counts += [self._held[term] for term in dict.fromkeys(each.anti_affinity)]
        counts += [self._ports[port] for port in each.host_ports if port in self._ports]
        return counts

    def _counted_by(self, key: TallyKey) -> Callable[[Codes], Mask]:
        """Which bins a spread constraint looks at."""
        seen = np.array(
            [
                (key.matching is None or matches_node(key.matching, node))
                and (key.tolerating is None or tolerates_node(key.tolerating, node))
                for node in self._sites.nodes
            ],
            dtype=np.bool_,
        )

        def counted(bins: Codes) -> Mask:
            mask: Mask = seen[self._bins.site[bins]]
            for label in key.required_labels:
                mask = mask & (self._domains.of_bins(label)[bins] >= 0)
            return mask

        return counted


def topology_keys(requirements: Iterable[PodRequirements]) -> tuple[str, ...]:
    """The labels by which these pods count others."""
    keys: set[str] = set()
    for each in requirements:
        keys.update(term.topology_key for term in (*each.affinity, *each.anti_affinity))
        keys.update(constraint.topology_key for constraint in each.spread)
    return tuple(sorted(keys))


def _said_by(each: PodRequirements) -> Hashable:
    return each.namespace, each.labels, each.node_rules, each.host_ports, each.affinity, each.anti_affinity, each.spread


def _company_keys(each: PodRequirements) -> tuple[TallyKey, ...]:
    """As the scheduler has it, only a pod that all the terms speak of is company."""
    terms = tuple(term.pods for term in each.affinity)
    return tuple(TallyKey(terms, term.topology_key, counts_terminating=True) for term in each.affinity)


def _key_of(term: AffinityTerm) -> TallyKey:
    return TallyKey((term.pods,), term.topology_key, counts_terminating=True)


def _clash(one: HostPort, other: HostPort) -> bool:
    same_address = one.ip == other.ip or ANY_IP in (one.ip, other.ip)
    return same_address and one.protocol == other.protocol and one.port == other.port


@dataclass(slots=True)
class _Alike:
    """Pods that are there already and that no count can tell apart."""

    pod: PlacedPod
    bins: list[int]


def _population(bins: Bins) -> dict[Hashable, _Alike]:
    alike: dict[Hashable, _Alike] = {}
    for index, node in enumerate(bins.existing):
        for pod in node.pods:
            each = pod.requirements
            said = each.namespace, each.labels, each.anti_affinity, each.host_ports, pod.terminating
            found = alike.get(said)
            if found is None:
                found = alike[said] = _Alike(pod, [])
            found.bins.append(index)
    return alike


T = TypeVar("T", bound=Hashable)


class _Index(Generic[T]):
    """Terms by a label that the pods they speak of must carry: most name one, and few name the same."""

    def __init__(self, terms: Iterable[T], anchor: Callable[[T], tuple[str, str] | None]) -> None:
        self._anchored: dict[tuple[str, str], list[T]] = {}
        self._others: list[T] = []
        for term in terms:
            found = anchor(term)
            (self._others if found is None else self._anchored.setdefault(found, [])).append(term)

    def candidates(self, each: PodRequirements) -> Iterable[T]:
        """Everything that may speak of such a pod."""
        yield from self._others
        for label in each.labels:
            yield from self._anchored.get(label, ())
