"""Demands for the tests of patterns, small enough to try out everything, and the one who does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

import numpy as np
from hypothesis import strategies as st

from stratos.planning.packing.demand import Demand, Machine

PLENTY = 10**9


def a_demand(
    *,
    requests: Sequence[Sequence[int]],
    pods: Sequence[int],
    kinds: Sequence[tuple[Sequence[int], float]],
    allowed: Sequence[Sequence[bool]] | None = None,
    most_per_machine: Sequence[int] | None = None,
    limit: Sequence[int] | None = None,
    apart: Iterable[tuple[int, int]] = (),
) -> Demand:
    """``kinds`` are pairs of capacity and price. What is not said does not restrict."""
    return Demand(
        requests=np.array(requests, dtype=np.int64).reshape(len(pods), -1),
        pods=np.array(pods, dtype=np.int64),
        capacity=np.array([capacity for capacity, _ in kinds], dtype=np.int64),
        price_usd_per_hour=np.array([price for _, price in kinds], dtype=np.float64),
        allowed=np.array(allowed if allowed is not None else [[True] * len(kinds)] * len(pods), dtype=np.bool_),
        most_per_machine=np.array(most_per_machine or [PLENTY] * len(pods), dtype=np.int64),
        limit=np.array(limit or [-1] * len(kinds), dtype=np.int64),
        apart=tuple(apart),
    )


def cost_of(demand: Demand, machines: Iterable[Machine]) -> float:
    return float(sum(demand.price_usd_per_hour[machine.kind] for machine in machines))


def one_machine_holds(demand: Demand, kind: int, counts: Sequence[int]) -> bool:
    """The rules, one after another, as one would explain them."""
    for c, pods in enumerate(counts):
        if pods and (not demand.allowed[c, kind] or pods > demand.most_per_machine[c]):
            return False
    for r, room in enumerate(demand.capacity[kind].tolist()):
        if sum(pods * int(demand.requests[c, r]) for c, pods in enumerate(counts)) > room:
            return False
    return not any(counts[a] and counts[b] for a, b in demand.apart)


def problems_of(demand: Demand, machines: Iterable[Machine]) -> list[str]:
    """What is wrong with an answer, in words."""
    machines = list(machines)
    problems = []
    for machine in machines:
        counts = [dict(machine.counts).get(c, 0) for c in range(len(demand.pods))]
        if not one_machine_holds(demand, machine.kind, counts):
            problems.append(f"kind {machine.kind} cannot hold {machine.counts}")
    for c, pods in enumerate(demand.pods.tolist()):
        placed = sum(dict(machine.counts).get(c, 0) for machine in machines)
        if placed != pods:
            problems.append(f"{placed} of {pods} pods of class {c} are placed")
    for kind, limit in enumerate(demand.limit.tolist()):
        used = sum(machine.kind == kind for machine in machines)
        if 0 <= limit < used:
            problems.append(f"{used} machines of kind {kind}, which has {limit}")
    return problems


def cheapest_by_trying_all(demand: Demand) -> tuple[Machine, ...] | None:
    """The cheapest machines of all there are; None when the pods cannot be held."""
    classes, kinds = range(len(demand.pods)), range(len(demand.limit))

    @cache
    def best(waiting: tuple[int, ...], stock: tuple[int, ...]) -> tuple[float, tuple[Machine, ...]] | None:
        if not any(waiting):
            return 0.0, ()
        first = next(c for c in classes if waiting[c])
        found: tuple[float, tuple[Machine, ...]] | None = None
        for counts in product(*(range(pods + 1) for pods in waiting)):
            if not counts[first]:
                continue  # some machine holds a pod of the first class: begin with that one
            for kind in kinds:
                if stock[kind] == 0 or not one_machine_holds(demand, kind, counts):
                    continue
                left = tuple(n - (k == kind and n > 0) for k, n in enumerate(stock))
                rest = best(tuple(w - n for w, n in zip(waiting, counts, strict=True)), left)
                if rest is None:
                    continue
                cost = rest[0] + float(demand.price_usd_per_hour[kind])
                if found is None or cost < found[0]:
                    held = tuple((c, n) for c, n in enumerate(counts) if n)
                    found = cost, (Machine(kind, held), *rest[1])
        return found

    answer = best(tuple(demand.pods.tolist()), tuple(demand.limit.tolist()))
    return None if answer is None else answer[1]


def one_pod_a_machine(demand: Demand) -> tuple[Machine, ...] | None:
    """The simplest answer there is, if there are machines enough."""
    stock = demand.limit.tolist()
    machines = []
    for c, pods in enumerate(demand.pods.tolist()):
        alone = [int(other == c) for other in range(len(demand.pods))]
        for _ in range(pods):
            kind = next((k for k, n in enumerate(stock) if n != 0 and one_machine_holds(demand, k, alone)), None)
            if kind is None:
                return None
            stock[kind] -= stock[kind] > 0
            machines.append(Machine(kind, ((c, 1),)))
    return tuple(machines)


@st.composite
def small_demands(draw: st.DrawFn, *, rules: bool = True) -> Demand:
    """A handful of pods, every rule now and then, and amounts that often just fit or just do not."""
    classes = draw(st.integers(1, 3))
    kinds = draw(st.integers(1, 4))
    resources = draw(st.integers(1, 3))
    amount, room = st.integers(0, 6), st.integers(0, 12)
    number = st.integers(0, 3 if classes < 3 else 2)
    price = (
        st.sampled_from((0.1, 0.25, 0.5, 1.0, 1.1, 2.0)) if not rules else st.sampled_from((0.0, 0.1, 0.5, 1.0, 1.1))
    )

    def several(each: st.SearchStrategy[int], n: int) -> list[int]:
        return draw(st.lists(each, min_size=n, max_size=n))

    return a_demand(
        requests=[several(amount, resources) for _ in range(classes)],
        pods=several(number, classes),
        kinds=[(several(room, resources), draw(price)) for _ in range(kinds)],
        allowed=[[not rules or draw(st.integers(0, 5)) > 0 for _ in range(kinds)] for _ in range(classes)],
        most_per_machine=several(st.sampled_from((1, 2, PLENTY)), classes) if rules else None,
        limit=several(st.sampled_from((-1, -1, -1, 0, 1, 2)), kinds) if rules else None,
        apart=((0, 1),) if rules and classes > 1 and draw(st.booleans()) else (),
    )
