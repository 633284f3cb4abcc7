"""How many machines: held against the best there is, and against the scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.pod import Pod, ResourceRequirements
from stratos.planning.pools.rooms import Room
from stratos.planning.pools.sizing import Demand, Fit, demand_of, fit
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.pool_builders import GIB, a_pod


def a_room(name: str, *, cpu: int = 4000, memory_gib: int = 16, pods: int = 110, **amounts: int) -> Room:
    allocatable = {"cpu": cpu, "memory": memory_gib * GIB, "pods": pods, **amounts}
    return Room(name, NodeDescription(name, allocatable=allocatable), ())


def demands(pods: Sequence[Pod], defaults: dict[str, str] | None = None, promised: str = "") -> list[Demand]:
    given = ResourceRequirements(requests=dict(defaults)) if defaults else None
    return [demand_of(pod.metadata.key, requirements_of(pod), given, promised) for pod in pods]


def size(wanted: Sequence[Demand], *, under_way: Sequence[Room] = (), rooms: int = 50, **room: int) -> Fit:
    def further() -> Iterator[Room]:
        return (a_room(f"new-{n:02}", **room) for n in range(rooms))

    return fit(wanted, under_way, further)


def test_a11_the_documented_example_needs_two_nodes() -> None:
    """Ten pods of half a core and 2 GiB: memory lets eight on a node of 16 GiB."""
    found = size(demands([a_pod(f"p{n}", cpu="500m", memory="2Gi") for n in range(10)]))

    assert len(found.opened) == 2
    assert found.left_over == ()


def least_number(pods: Sequence[tuple[int, int]], cpu: int, memory: int) -> int:
    """The true optimum, by trying everything: each pod into every bin in turn."""
    best = len(pods)

    def place(index: int, bins: list[tuple[int, int]]) -> None:
        nonlocal best
        if len(bins) >= best and index < len(pods):
            return
        if index == len(pods):
            best = min(best, len(bins))
            return
        for number, (c, m) in enumerate(bins):
            if c + pods[index][0] <= cpu and m + pods[index][1] <= memory:
                bins[number] = (c + pods[index][0], m + pods[index][1])
                place(index + 1, bins)
                bins[number] = (c, m)
        place(index + 1, [*bins, pods[index]])

    place(0, [])
    return best


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 16)), min_size=1, max_size=7))
def test_a11_no_burst_gets_more_than_one_node_above_the_optimum(asked: list[tuple[int, int]]) -> None:
    """Machines cost money: the plan is held against every possible packing."""
    pods = [a_pod(f"p{n}", cpu=f"{cpu * 500}m", memory=f"{memory}Gi") for n, (cpu, memory) in enumerate(asked)]

    found = size(demands(pods))

    assert found.left_over == ()
    assert len(found.opened) <= least_number([(c * 500, m) for c, m in asked], 4000, 16) + 1


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 16)), min_size=1, max_size=12), st.integers(0, 3))
def test_every_pod_is_placed_once_or_left_over_and_no_room_overflows(asked: list[tuple[int, int]], rooms: int) -> None:
    """Nothing placed twice, nothing forgotten, nothing promised that a node cannot hold."""
    pods = [a_pod(f"p{n}", cpu=f"{cpu * 500}m", memory=f"{memory}Gi") for n, (cpu, memory) in enumerate(asked)]

    found = size(demands(pods), rooms=rooms)

    placed = [key for keys in found.placed.values() for key in keys]
    assert sorted([*placed, *found.left_over]) == sorted(pod.metadata.key for pod in pods)
    amounts = {pod.metadata.key: (cpu * 500, memory) for pod, (cpu, memory) in zip(pods, asked, strict=True)}
    for keys in found.placed.values():
        assert sum(amounts[key][0] for key in keys) <= 4000
        assert sum(amounts[key][1] for key in keys) <= 16


def test_a13_pods_that_ask_for_nothing_are_counted_with_the_defaults_of_the_pool() -> None:
    """Somebody who knows the pool has said how large such pods are."""
    pods = [a_pod(f"p{n}") for n in range(8)]

    assert len(size(demands(pods, {"cpu": "1", "memory": "1Gi"})).opened) == 2


def test_a13_without_defaults_each_of_them_gets_a_node_of_its_own() -> None:
    """Nobody can say what they need, so nobody is asked to share."""
    assert len(size(demands([a_pod(f"p{n}") for n in range(3)])).opened) == 3


def test_a_default_fills_in_only_what_a_pod_does_not_state() -> None:
    """A pod that states its CPU is believed."""
    [demand] = demands([a_pod(cpu="3")], {"cpu": "1", "memory": "2Gi"})

    assert dict(demand.requirements.requests) == {"cpu": 3000, "memory": 2 * GIB, "pods": 1}


def test_room_that_is_under_way_is_filled_before_another_machine_is_woken() -> None:
    """A machine that boots for one pod has room for the next."""
    found = size(demands([a_pod("late", cpu="1")]), under_way=[a_room("booting")])

    assert found.opened == ()
    assert found.placed == {"booting": ("default/late",)}


def test_a_pod_keeps_the_room_it_was_promised() -> None:
    """Otherwise a newcomer could take it, and the first pod would be given another machine each time."""
    first = demands([a_pod("z-first", cpu="3")], promised="booting")
    second = demands([a_pod("a-second", cpu="4")])

    found = size([*second, *first], under_way=[a_room("booting")])

    assert found.placed["booting"] == ("default/z-first",)
    assert found.opened == ("new-00",)


def test_the_number_of_pods_and_of_devices_on_a_node_is_limited() -> None:
    """CPU and memory are not all that runs out."""
    gpus = [a_pod(f"g{n}", requests={"nvidia.com/gpu": "1"}) for n in range(3)]
    small = [a_pod(f"s{n}", cpu="1m", memory="1Mi") for n in range(5)]

    one_gpu: dict[str, Any] = {"nvidia.com/gpu": 1}
    assert len(size(demands(gpus), **one_gpu).opened) == 3
    assert len(size(demands(small), pods=2).opened) == 3


def test_a_more_important_pod_gets_the_last_room() -> None:
    """When not all can be served, priority says who is."""

    low, high = a_pod("a-low", cpu="4"), a_pod("z-high", cpu="4")
    high = msgspec.structs.replace(high, spec=msgspec.structs.replace(high.spec, priority=100))

    assert size(demands([low, high]), rooms=1).left_over == ("default/a-low",)
