"""Say what was bought as a question to `patterns`: classes of pods, kinds of machines, and the rules arrays can hold.

Pods that rules bind to a zone, or that others count there, are asked for in the zone where the first answer has them:
the answer that comes back may move pods between machines, never between zones. Groups that keep off each other's hosts
become a resource of which every machine has as much as it may hold of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.bins import Bins
from stratos.planning.packing.classes import NO_LIMIT, Vector
from stratos.planning.packing.counting import Company, Count, Counting
from stratos.planning.packing.demand import Demand, Machine
from stratos.planning.packing.domains import Domains
from stratos.planning.packing.filling import Place
from stratos.planning.packing.patterns.reduction import reduce_demand
from stratos.planning.packing.sites import Sites
from stratos.planning.scheduling.requirements import PodRequirements

MOST_GROUPS = 24  # resources more would make the question harder than the rest of the answer is worth
MOST_PAIRS = 5_000


@dataclass(frozen=True, slots=True)
class Statement:
    demand: Demand
    start: tuple[Machine, ...]  # what was bought, in the words of the demand
    members: tuple[tuple[int, ...], ...]  # for each class, its pods: indices of places, in their order
    kinds: tuple[tuple[int, int], ...]  # for each kind, lot and choice


def hardness(demand: Demand) -> int:
    """How much there is to search through, once all that makes no difference is left out."""
    reduced = reduce_demand(demand).demand
    return int(reduced.requests.size * reduced.price_usd_per_hour.size)


@dataclass(frozen=True, slots=True)
class Group:
    """Classes of which, taken together, a machine holds only so many pods."""

    classes: tuple[int, ...]
    most: int


class Stating:
    """The pods on machines, arranged for statements about them."""

    def __init__(
        self,
        bins: Bins,
        sites: Sites,
        domains: Domains,
        counting: Counting,
        wanted: Mapping[PodRequirements, Vector],
        amounts: int,  # the first so many rows of a vector are amounts; the rest counts volumes
    ) -> None:
        self._bins = bins
        self._sites = sites
        self._domains = domains
        self._counting = counting
        self._wanted = wanted
        self._amounts = amounts

    def needs(self, places: Sequence[Place]) -> Statement:
        """What any answer must provide: rules that an answer could get around are left out, so that bounds are true."""
        members = self._members(places, pinned=False)
        groups, pairs = self._kept_apart(list(members))
        statement = self._statement(places, members, groups, [], pairs)
        requests = statement.demand.requests.copy()
        requests[:, self._amounts : self._rows] = 0  # volumes that pods share were counted twice
        return replace(statement, demand=replace(statement.demand, requests=requests))

    def splits(self, places: Sequence[Place]) -> bool:
        """Is there more to say about these pods than what they need?"""
        bought = [place for place in places if self._bins.is_machine(place.bin)]
        companies = {self._counting.company(place.version) for place in bought}
        return (
            self._rows > self._amounts
            or any(company.keys for company in companies)
            or any(place.version != place.requirements for place in bought)
        )

    def question(self, places: Sequence[Place], *, shapes: Sequence[Machine]) -> Statement:
        """What an answer may look like that keeps the rules; those on machines that have to stay are left out.

        Only kinds with the capacities of ``shapes``, or of what was bought, are asked about: the mix without those
        rules is a good guide.
        """
        staying = {place.bin for place in places if self._stays(place.version)}
        members = self._members(places, pinned=True, staying=staying)
        groups, pairs = self._kept_apart(list(members))
        statement = self._statement(places, members, groups, self._spread_over_hosts(list(members)), pairs)
        return self._only_shapes(statement, shapes)

    def _only_shapes(self, statement: Statement, shapes: Sequence[Machine]) -> Statement:
        capacity = statement.demand.capacity[:, : self._rows]
        wanted = np.unique(capacity[sorted({machine.kind for machine in (*shapes, *statement.start)})], axis=0)
        kept = np.flatnonzero((capacity[:, None, :] == wanted[None, :, :]).all(axis=2).any(axis=1))
        number_of = {int(kind): number for number, kind in enumerate(kept)}
        demand = replace(
            statement.demand,
            capacity=statement.demand.capacity[kept],
            price_usd_per_hour=statement.demand.price_usd_per_hour[kept],
            allowed=statement.demand.allowed[:, kept],
            limit=statement.demand.limit[kept],
        )
        return replace(
            statement,
            demand=demand,
            start=tuple(replace(machine, kind=number_of[machine.kind]) for machine in statement.start),
            kinds=tuple(statement.kinds[kind] for kind in kept),
        )

    def _stays(self, requirements: PodRequirements) -> bool:
        """Pods that must share a host with others cannot be told to in a question."""
        together = self._counting.company(requirements).together
        return any(self._domains.is_unique(count.key) for count in together)

    @property
    def _rows(self) -> int:
        return len(next(iter(self._wanted.values())))

    def _members(
        self, places: Sequence[Place], *, pinned: bool, staying: set[int] | None = None
    ) -> dict[_Asker, list[int]]:
        members: dict[_Asker, list[int]] = {}
        for index, place in enumerate(places):
            if not self._bins.is_machine(place.bin) or (staying and place.bin in staying):
                continue
            pins = self._pins(place) if pinned else ()
            members.setdefault((place.version if pinned else place.requirements, pins), []).append(index)
        return members

    def _pins(self, place: Place) -> tuple[tuple[str, int], ...]:
        company = self._counting.company(place.version)
        keys = sorted(key for key in company.keys if not self._domains.is_unique(key))
        lot = int(self._bins.lot[place.bin])
        return tuple((key, int(self._domains.of_lots(key)[lot])) for key in keys)

    def _statement(
        self,
        places: Sequence[Place],
        members: Mapping[_Asker, list[int]],
        groups: Sequence[Group],
        spread: Sequence[Group],
        pairs: set[tuple[int, int]],
    ) -> Statement:
        class_of = {index: number for number, indices in enumerate(members.values()) for index in indices}
        contents: dict[int, Counter[int]] = {}
        for index, number in class_of.items():
            contents.setdefault(places[index].bin, Counter())[number] += 1
        bought = [(int(self._bins.lot[index]), int(self._bins.choice[index]), each) for index, each in contents.items()]
        limits = self._limits(bought)
        # A start that breaks a statement would be no start: what was placed by the rules alone may go beyond it.
        bought += self._set_apart(bought, spread, list(members))
        kept = _kept_by([*groups, *spread], [content for _, _, content in bought])
        numbers = [len(indices) for indices in members.values()]
        rows = sorted(
            (group for group in kept if len(group.classes) > 1),
            key=lambda group: -sum(numbers[number] for number in group.classes),
        )[:MOST_GROUPS]
        kinds = [(lot, choice) for lot, each in enumerate(self._bins.lots) for choice in range(len(each.candidates))]
        number_of = {kind: number for number, kind in enumerate(kinds)}
        most = np.full(len(members), NO_LIMIT, dtype=np.int64)
        for group in kept:
            if len(group.classes) == 1:
                most[group.classes[0]] = min(int(most[group.classes[0]]), group.most)
        apart = {pair for pair in pairs if not any(set(pair) <= set(content) for _, _, content in bought)}
        requests = np.array([self._wanted[each] for each, _ in members], dtype=np.int64).reshape(-1, self._rows)
        capacity = np.concatenate([lot.capacity for lot in self._bins.lots])
        for group in rows:
            row = np.zeros((len(members), 1), dtype=np.int64)
            row[list(group.classes)] = 1
            requests = np.hstack([requests, row])
            capacity = np.hstack([capacity, np.full((len(kinds), 1), group.most, dtype=np.int64)])
        demand = Demand(
            requests=requests,
            pods=np.array(numbers, dtype=np.int64),
            capacity=capacity,
            price_usd_per_hour=np.concatenate([lot.prices for lot in self._bins.lots]),
            allowed=self._allowed(members),
            most_per_machine=most,
            limit=limits,
            apart=tuple(sorted(apart)),
        )
        start = tuple(
            Machine(number_of[lot, choice], tuple(sorted(content.items())))
            for lot, choice, content in bought
            if content
        )
        return Statement(demand, start, tuple(tuple(indices) for indices in members.values()), tuple(kinds))

    def _allowed(self, members: Mapping[_Asker, list[int]]) -> NDArray[np.bool_]:
        lots = self._bins.lots
        lot_of_kind = np.repeat(np.arange(len(lots)), [len(lot.candidates) for lot in lots])
        lot_sites = np.array([lot.site for lot in lots], dtype=np.int64)
        rows = []
        for requirements, pins in members:
            row = self._sites.admitting(requirements.node_rules)[lot_sites]
            for key, code in pins:
                row = row & (self._domains.of_lots(key) == code)
            rows.append(row[lot_of_kind])
        return np.array(rows, dtype=np.bool_).reshape(len(members), len(lot_of_kind))

    def _limits(self, bought: Sequence[_Bought]) -> NDArray[np.int64]:
        """How many of each kind there are for those that are asked about."""
        limits = np.concatenate([lot.left for lot in self._bins.lots])
        first = np.cumsum([0, *(len(lot.candidates) for lot in self._bins.lots)])
        for lot, choice, _ in bought:
            limits[first[lot] + choice] += 1
        unlimited: NDArray[np.int64] = np.where(limits >= NO_LIMIT // 2, -1, limits)
        return unlimited

    def _set_apart(self, bought: Sequence[_Bought], groups: Sequence[Group], askers: Sequence[_Asker]) -> list[_Bought]:
        """Pods that a group has too many of on a machine go to one of their own each, if it may be had at will."""
        groups_of: dict[int, list[int]] = {}
        for index, group in enumerate(groups):
            for number in group.classes:
                groups_of.setdefault(number, []).append(index)
        alone: list[_Bought] = []
        for lot, _, content in bought:
            pods: Counter[int] = Counter()
            for number in sorted(set(content) & set(groups_of)):
                choice = self._bins.lots[lot].cheapest_holding(self._wanted[askers[number][0]])
                for _ in range(content[number]):
                    pods.update(groups_of[number])
                    if all(pods[index] <= groups[index].most for index in groups_of[number]):
                        continue
                    if choice is None or self._bins.lots[lot].left[choice] < NO_LIMIT // 2:
                        continue
                    pods.subtract(groups_of[number])
                    content[number] -= 1
                    alone.append((lot, choice, Counter({number: 1})))
            for number in [number for number, amount in content.items() if not amount]:
                del content[number]
        return alone

    def _kept_apart(self, askers: Sequence[_Asker]) -> tuple[list[Group], set[tuple[int, int]]]:
        """Who keeps off whose hosts: groups that do so mutually, and the pairs that no group covers."""
        companies = [self._counting.company(requirements) for requirements, _ in askers]
        groups: list[Group] = []
        pairs: set[tuple[int, int]] = set()
        repelled = _by_count(companies, lambda company: company.away_from)
        adding = _by_count(companies, lambda company: company.adds_to)
        for count, away in repelled.items():
            added = adding.get(count, [])
            if not self._domains.is_unique(count.key) or not added:
                continue
            if away == added:
                groups.append(Group(tuple(away), 1))
                continue
            groups += [Group((number,), 1) for number in sorted(set(away) & set(added))]
            if len(away) * len(added) <= MOST_PAIRS:
                pairs |= {(min(one, other), max(one, other)) for one in away for other in added if one != other}
        return list(dict.fromkeys(groups)), pairs

    def _spread_over_hosts(self, askers: Sequence[_Asker]) -> list[Group]:
        """Of what pods that are spread over hosts count there, a machine holds as much as they bear.

        Only pods that are bound no later than they are: others come when nobody looks any more.
        """
        companies = [self._counting.company(requirements) for requirements, _ in askers]
        bearable: dict[Count, int] = {}
        last_rank = 0
        for company in companies:
            for rule in company.spread:
                if self._domains.is_unique(rule.key):
                    most = rule.constraint.max_skew
                    bearable[rule.count] = min(most, bearable.get(rule.count, most))
                    last_rank = max(last_rank, company.rank)
        early = [number for number, company in enumerate(companies) if company.rank <= last_rank]
        return [
            Group(tuple(number for number in early if count in companies[number].adds_to), most)
            for count, most in bearable.items()
        ]


_Bought = tuple[int, int, Counter[int]]  # lot, choice, and the number of pods of each class
_Asker = tuple[PodRequirements, tuple[tuple[str, int], ...]]  # a class, and the domains it is bound to


def _by_count(companies: Sequence[Company], counts: Callable[[Company], Sequence[Count]]) -> dict[Count, list[int]]:
    found: dict[Count, list[int]] = {}
    for number, company in enumerate(companies):
        for count in counts(company):
            found.setdefault(count, []).append(number)
    return found


def _kept_by(groups: Sequence[Group], contents: Iterable[Counter[int]]) -> list[Group]:
    """The groups of which no machine holds too many."""
    groups_of: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        for number in group.classes:
            groups_of.setdefault(number, []).append(index)
    broken: set[int] = set()
    for content in contents:
        pods: Counter[int] = Counter()
        for number, amount in content.items():
            for index in groups_of.get(number, ()):
                pods[index] += amount
        broken.update(index for index, amount in pods.items() if amount > groups[index].most)
    return [group for index, group in enumerate(groups) if index not in broken]
