"""Say the same with fewer classes, kinds and resources, and translate the answer back.

Most of a cloud's price table can never be part of a cheapest mix: another kind holds as much for less. Clouds also sell
the same kind in several zones, and many pods differ in nothing that a machine can see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stratos.planning.packing.demand import Demand, Machine

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Reduction:
    """A smaller demand, and the way between its machines and those of the original."""

    original: Demand
    demand: Demand
    classes: tuple[tuple[int, ...], ...]  # original classes behind each class
    kinds: tuple[tuple[int, ...], ...]  # original kinds behind each kind: more than one only where each is limited
    stands_for: NDArray[np.int64]  # [original kinds] the kind that does what this one did, at no higher price

    def shrink(self, machines: Iterable[Machine]) -> tuple[Machine, ...]:
        """The same machines, in terms of the smaller demand."""
        class_of = {original: reduced for reduced, originals in enumerate(self.classes) for original in originals}
        shrunk = []
        for machine in machines:
            counts: dict[int, int] = defaultdict(int)
            for original, pods in machine.counts:
                counts[class_of[original]] += pods
            shrunk.append(Machine(int(self.stands_for[machine.kind]), tuple(sorted(counts.items()))))
        return tuple(shrunk)

    def expand(self, machines: Iterable[Machine]) -> tuple[Machine, ...]:
        """The same machines, in terms of the original demand: pods of merged classes are dealt out in order."""
        waiting = [[(each, int(self.original.pods[each])) for each in reversed(group)] for group in self.classes]
        free_kinds = [[(each, int(self.original.limit[each])) for each in reversed(group)] for group in self.kinds]
        return tuple(
            Machine(
                _deal(free_kinds[machine.kind], 1)[0][0],
                tuple(sorted(dealt for c, pods in machine.counts for dealt in _deal(waiting[c], pods))),
            )
            for machine in machines
        )


def _deal(stack: list[tuple[int, int]], wanted: int) -> list[tuple[int, int]]:
    """Take ``wanted`` from the top of a stack of (name, how many are there); -1 never runs out."""
    dealt = []
    while wanted:
        name, there = stack.pop()
        taken = wanted if there == UNLIMITED else min(wanted, there)
        dealt.append((name, taken))
        wanted -= taken
        if there == UNLIMITED:
            stack.append((name, there))
        elif there > taken:
            stack.append((name, there - taken))
    return dealt


def reduce_demand(demand: Demand) -> Reduction:
    """Drop what cannot matter, and merge what is equal."""
    asked = demand.requests.any(axis=0)
    requests = demand.requests[:, asked]
    # More room than all pods together fill is no advantage: machines that differ only there become comparable.
    capacity = np.clip(demand.capacity[:, asked], 0, demand.pods @ requests)
    allowed = demand.allowed & (requests[:, None, :] <= capacity[None, :, :]).all(axis=2)
    kinds, stands_for = _kinds_worth_keeping(capacity, allowed, demand.price_usd_per_hour, demand.limit)
    first_kinds = np.array([group[0] for group in kinds], dtype=np.int64)
    allowed = allowed[:, first_kinds]
    classes = _equal_classes(demand, requests, allowed)
    first = np.array([group[0] for group in classes], dtype=np.int64)
    class_of = {group[0]: reduced for reduced, group in enumerate(classes)}
    pairs = {tuple(sorted((class_of[a], class_of[b]))) for a, b in demand.apart if a in class_of and b in class_of}
    pods = np.array([demand.pods[list(group)].sum() for group in classes], dtype=np.int64)
    smaller = Demand(
        requests=requests[first],
        pods=pods,
        capacity=capacity[first_kinds],
        price_usd_per_hour=demand.price_usd_per_hour[first_kinds],
        allowed=allowed[first],
        # The members of a group of several had no cap that mattered, and so the group has none.
        most_per_machine=np.where([len(group) > 1 for group in classes], pods, demand.most_per_machine[first]),
        limit=np.array([_limit_of(demand, group) for group in kinds], dtype=np.int64),
        apart=tuple((a, b) for a, b in sorted(pairs)),
    )
    return Reduction(demand, smaller, classes, kinds, stands_for)


def _limit_of(demand: Demand, group: tuple[int, ...]) -> int:
    return UNLIMITED if demand.limit[group[0]] == UNLIMITED else int(demand.limit[list(group)].sum())


def _equal_classes(
    demand: Demand, requests: NDArray[np.int64], allowed: NDArray[np.bool_]
) -> tuple[tuple[int, ...], ...]:
    """Classes with equal rows count as one, unless a rule speaks of each of them by itself."""
    named_in_a_rule = {each for pair in demand.apart for each in pair}
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for c in np.flatnonzero(demand.pods).tolist():
        by_itself = c in named_in_a_rule or demand.most_per_machine[c] < demand.pods[c]
        own = (c, int(demand.most_per_machine[c])) if by_itself else (-1, -1)
        groups[(*own, requests[c].tobytes(), allowed[c].tobytes())].append(c)
    return tuple(tuple(group) for group in groups.values())


def _kinds_worth_keeping(
    capacity: NDArray[np.int64], allowed: NDArray[np.bool_], price: NDArray[np.float64], limit: NDArray[np.int64]
) -> tuple[tuple[tuple[int, ...], ...], NDArray[np.int64]]:
    """Groups of kinds, none of which another makes superfluous; and for each kind the group that stands for it."""
    order = np.lexsort((np.arange(len(price)), -capacity.sum(axis=1), price))
    groups: list[list[int]] = []
    stands_for = np.full(len(price), -1, dtype=np.int64)
    unlimited: list[int] = []  # indices of groups, the cheapest first
    limited: dict[tuple[object, ...], int] = {}
    for kind in order:
        if limit[kind] == 0 or not allowed[:, kind].any():
            continue
        better = _first_at_least_as_good(capacity, allowed, [groups[each][0] for each in unlimited], kind)
        if better is not None:
            stands_for[kind] = unlimited[better]
            continue
        if limit[kind] == UNLIMITED:
            unlimited.append(len(groups))
        else:
            row = (capacity[kind].tobytes(), allowed[:, kind].tobytes(), float(price[kind]))
            same = limited.setdefault(row, len(groups))
            if same < len(groups):
                groups[same].append(int(kind))
                stands_for[kind] = same
                continue
        stands_for[kind] = len(groups)
        groups.append([int(kind)])
    return tuple(tuple(group) for group in groups), stands_for


def _first_at_least_as_good(
    capacity: NDArray[np.int64], allowed: NDArray[np.bool_], others: list[int], kind: int
) -> int | None:
    if not others:
        return None
    roomy = np.flatnonzero((capacity[others] >= capacity[kind]).all(axis=1))  # few, and cheap to find
    good = roomy[(allowed[:, np.array(others)[roomy]] >= allowed[:, [kind]]).all(axis=0)]
    return int(good[0]) if good.size else None
