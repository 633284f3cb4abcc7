"""How many pods of some kind sit in each zone, host or other domain; kept current as pods and nodes come and go.

Asking "how many pods like this are in zone a?" by looking at all pods is what makes naive schedulers slow. Here each
question that was ever asked (a `TallyKey`) has a `Tally`, and every change costs only the tallies it concerns.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from stratos.planning.scheduling.placement import NodeState, PlacedPod
from stratos.planning.scheduling.requirements import Labels, NodeRules, PodRequirements, WeightedAffinityTerm
from stratos.planning.scheduling.rules import matches_node, tolerates_node
from stratos.planning.scheduling.selection import PodTerm

NamespaceLabels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class TallyKey:
    """Which pods are counted (those that all ``terms`` speak of), by which label, on which nodes."""

    terms: tuple[PodTerm, ...]
    topology_key: str
    counts_terminating: bool
    required_labels: tuple[str, ...] = ()
    matching: NodeRules | None = None  # only nodes that the selector and affinity of these rules match
    tolerating: NodeRules | None = None  # only nodes whose taints these rules tolerate

    @property
    def anchor(self) -> tuple[str, str] | None:
        return next((anchor for term in self.terms if (anchor := term.anchor) is not None), None)

    def counts_node(self, node: NodeState) -> bool:
        labels = node.labels
        return (
            self.topology_key in labels
            and all(key in labels for key in self.required_labels)
            and (self.matching is None or matches_node(self.matching, node.description))
            and (self.tolerating is None or tolerates_node(self.tolerating, node.description))
        )


class Tally:
    """The answer to one `TallyKey`: pods per domain, empty domains included."""

    __slots__ = ("_lowest", "_members", "counts", "domain_of", "key", "total")

    def __init__(self, key: TallyKey) -> None:
        self.key = key
        self.counts: dict[str, int] = {}
        self.total = 0
        self.domain_of: dict[str, str] = {}  # node → its domain, for nodes that count
        self._members: dict[str, int] = {}
        self._lowest: int | None = None

    def lowest(self, min_domains: int) -> int:
        """How many pods the emptiest domain holds; too few domains count as if one more were empty."""
        if len(self.counts) < min_domains:
            return 0
        if self._lowest is None:
            self._lowest = min(self.counts.values(), default=0)
        return self._lowest

    def admit(self, node: NodeState) -> None:
        if not self.key.counts_node(node):
            return
        domain = node.labels[self.key.topology_key]
        self.domain_of[node.name] = domain
        self._members[domain] = self._members.get(domain, 0) + 1
        if domain not in self.counts:
            self.counts[domain] = 0
            self._lowest = 0

    def dismiss(self, node: NodeState) -> None:
        """Forget a node that holds no pods any more."""
        domain = self.domain_of.pop(node.name, None)
        if domain is None:
            return
        self._members[domain] -= 1
        if not self._members[domain]:
            del self._members[domain], self.counts[domain]
            self._lowest = None

    def change(self, node_name: str, difference: int) -> None:
        domain = self.domain_of.get(node_name)
        if domain is None:
            return
        before = self.counts[domain]
        self.counts[domain] = before + difference
        self.total += difference
        if self._lowest is not None and before == self._lowest:
            self._lowest = None


T = TypeVar("T", bound=Hashable)


class _ByLabel(Generic[T]):
    """Things about pods, found by a label that those pods must carry: most terms name one, and few name the same."""

    def __init__(self) -> None:
        self._anchored: dict[tuple[str, str], dict[T, None]] = {}
        self._others: dict[T, None] = {}

    def add(self, anchor: tuple[str, str] | None, thing: T) -> None:
        (self._others if anchor is None else self._anchored.setdefault(anchor, {}))[thing] = None

    def remove(self, anchor: tuple[str, str] | None, thing: T) -> None:
        if anchor is None:
            del self._others[thing]
            return
        del self._anchored[anchor][thing]
        if not self._anchored[anchor]:
            del self._anchored[anchor]

    def candidates(self, labels: Labels) -> Iterator[T]:
        """Everything that may be about a pod with these labels."""
        yield from self._others
        for label in labels:
            yield from self._anchored.get(label, ())


_Group = tuple[str, Labels, bool]  # namespace, labels, terminating: pods that no term can tell apart


class TopologyIndex:
    """Every tally that was asked for, over one set of nodes."""

    def __init__(self, nodes: Mapping[str, NodeState], namespace_labels: NamespaceLabels) -> None:
        self._nodes = nodes
        self._namespace_labels = namespace_labels
        self._population: dict[_Group, dict[str, int]] = {}
        self._groups_with: dict[tuple[str, str], dict[_Group, None]] = {}
        self._tallies: dict[TallyKey, Tally] = {}
        self._tallies_about: _ByLabel[Tally] = _ByLabel()
        self._concerned: dict[_Group, list[Tally]] = {}

    def tally(self, key: TallyKey) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(key)
            for node in self._nodes.values():
                tally.admit(node)
            anchor = key.anchor
            self._tallies_about.add(anchor, tally)
            for group in self._population if anchor is None else self._groups_with.get(anchor, ()):
                if self._counts(key, group):
                    self._concerned[group].append(tally)
                    for node_name, number in self._population[group].items():
                        tally.change(node_name, number)
        return tally

    def forget_tallies(self) -> None:
        """Drop all answers, keep the facts: questions asked again are counted again."""
        self._tallies.clear()
        self._tallies_about = _ByLabel()
        for concerned in self._concerned.values():
            concerned.clear()

    def add_node(self, node: NodeState) -> None:
        for tally in self._tallies.values():
            tally.admit(node)

    def remove_node(self, node: NodeState) -> None:
        for tally in self._tallies.values():
            tally.dismiss(node)

    def add_pod(self, pod: PlacedPod, node_name: str) -> None:
        group = _group_of(pod)
        by_node = self._population.get(group)
        if by_node is None:
            by_node = self._population[group] = {}
            for label in group[1]:
                self._groups_with.setdefault(label, {})[group] = None
            self._concerned[group] = [
                tally for tally in self._tallies_about.candidates(group[1]) if self._counts(tally.key, group)
            ]
        by_node[node_name] = by_node.get(node_name, 0) + 1
        for tally in self._concerned[group]:
            tally.change(node_name, 1)

    def remove_pod(self, pod: PlacedPod, node_name: str) -> None:
        group = _group_of(pod)
        by_node = self._population[group]
        for tally in self._concerned[group]:
            tally.change(node_name, -1)
        by_node[node_name] -= 1
        if not by_node[node_name]:
            del by_node[node_name]
            if not by_node:
                del self._population[group], self._concerned[group]
                for label in group[1]:
                    del self._groups_with[label][group]
                    if not self._groups_with[label]:
                        del self._groups_with[label]

    def _counts(self, key: TallyKey, group: _Group) -> bool:
        namespace, labels, terminating = group
        if terminating and not key.counts_terminating:
            return False
        namespace_labels = self._namespace_labels.get(namespace, {})
        return all(term.matches(namespace, namespace_labels, dict(labels)) for term in key.terms)


def _group_of(pod: PlacedPod) -> _Group:
    return pod.requirements.namespace, pod.requirements.labels, pod.terminating


Holders = dict[str, int]  # domain → how many pods there hold the term


class HeldTerms:
    """The affinity terms that placed pods hold about others, and in which domains those pods sit."""

    def __init__(self) -> None:
        self.version = 0  # moves when a term is held for the first time, or by nobody any more
        self._holders: dict[WeightedAffinityTerm, Holders] = {}
        self._terms_about: _ByLabel[WeightedAffinityTerm] = _ByLabel()

    def add(self, terms: Iterable[WeightedAffinityTerm], node: NodeState) -> None:
        for held in terms:
            domain = node.labels.get(held.term.topology_key)
            if domain is None:
                continue
            holders = self._holders.get(held)
            if holders is None:
                holders = self._holders[held] = {}
                self._terms_about.add(held.term.pods.anchor, held)
                self.version += 1
            holders[domain] = holders.get(domain, 0) + 1

    def remove(self, terms: Iterable[WeightedAffinityTerm], node: NodeState) -> None:
        for held in terms:
            domain = node.labels.get(held.term.topology_key)
            if domain is None:
                continue
            holders = self._holders[held]
            holders[domain] -= 1
            if not holders[domain]:
                del holders[domain]
                if not holders:
                    del self._holders[held]
                    self._terms_about.remove(held.term.pods.anchor, held)
                    self.version += 1

    def about(
        self, requirements: PodRequirements, namespace_labels: Mapping[str, str]
    ) -> tuple[tuple[WeightedAffinityTerm, Holders], ...]:
        """The terms that speak of such a pod, with those who hold them; the holders stay current."""
        if not self._holders:
            return ()
        labels = dict(requirements.labels)
        namespace = requirements.namespace
        return tuple(
            (held, self._holders[held])
            for held in self._terms_about.candidates(requirements.labels)
            if held.term.pods.matches(namespace, namespace_labels, labels)
        )
