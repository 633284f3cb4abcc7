"""Whatever is planned, the rules as told slowly must allow: bound in the stated order, each pod fits where it goes."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.packing.packing_worlds import HOSTNAME, NAMESPACES, a_random_node, a_random_pod
from stratos.apis.node import Node
from stratos.apis.pod import Pod
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import Candidate, ExistingNode, OfferingName, Packing, PackingProblem, PodToPlace
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.slow_scheduling import World, why_not


def bound(pod: Pod, node_name: str) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=node_name))


def renamed(pod: Pod, name: str) -> Pod:
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, name=name))


def named(node: Node, name: str) -> Node:
    labels = {**node.metadata.labels, HOSTNAME: name}
    return msgspec.structs.replace(node, metadata=msgspec.structs.replace(node.metadata, name=name, labels=labels))


class Question:
    """A packing problem together with the objects that it was made of."""

    def __init__(self, seed: int, *, prefers: bool = False) -> None:
        random = Random(seed)
        self.prefers = prefers
        self.there = [a_random_node(random, f"node-{index}") for index in range(random.choice([0, 2, 3]))]
        self.sold = {f"type-{index}": a_random_node(random, "") for index in range(random.choice([1, 4, 6]))}
        self.prices = {name: random.choice([0.5, 1.0, 1.0, 2.0]) for name in self.sold}
        pods = [a_random_pod(random, f"pod-{index}", prefers=prefers) for index in range(random.choice([4, 10]))]
        # Several of a kind, as workloads make them.
        pods += [
            msgspec.structs.replace(
                pod, metadata=msgspec.structs.replace(pod.metadata, name=f"{pod.metadata.name}-{copy}")
            )
            for pod in pods[:3]
            for copy in range(random.choice([0, 1, 4]))
        ]
        self.running: list[Pod] = []
        self.waiting: dict[str, Pod] = {}
        for pod in pods:
            if self.there and random.random() < 0.3:
                self.running.append(bound(pod, random.choice(self.there).metadata.name))
            else:
                self.waiting[pod.metadata.key] = pod

    def problem(self, random: Random | None = None) -> PackingProblem:
        to_place = [PodToPlace(key, requirements_of(pod)) for key, pod in self.waiting.items()]
        candidates = [
            Candidate(OfferingName(name, "", CapacityType.ON_DEMAND), describe_node(node), self.prices[name])
            for name, node in self.sold.items()
        ]
        existing = [ExistingNode(describe_node(node), self._placed_on(node)) for node in self.there]
        if random is not None:
            random.shuffle(to_place)
            random.shuffle(candidates)
            random.shuffle(existing)
        return PackingProblem(tuple(to_place), tuple(candidates), tuple(existing), NAMESPACES, self.prefers)

    def _placed_on(self, node: Node) -> tuple[PlacedPod, ...]:
        return tuple(
            PlacedPod(pod.metadata.key, requirements_of(pod))
            for pod in self.running
            if pod.spec.node_name == node.metadata.name
        )

    def world(self, packing: Packing) -> tuple[World, dict[str, str]]:
        """All nodes and machines, and where each pod is to go."""
        places = dict(packing.assignments)
        everywhere = list(self.there)
        for number, machine in enumerate(packing.machines):
            name = f"machine-{number}"
            everywhere.append(named(self.sold[machine.candidate.offering.instance_type], name))
            places |= dict.fromkeys(machine.pods, name)
        return World(everywhere, self.running, NAMESPACES), places

    def check(self, packing: Packing) -> None:
        """Bound in the stated order, does every pod fit where it was planned?"""
        world, places = self.world(packing)
        settled = list(world.pods)
        by_name = {node.metadata.name: node for node in world.nodes}
        for key in packing.order:
            now = World(world.nodes, settled, NAMESPACES)
            assert why_not(self.waiting[key], by_name[places[key]], now) == []
            settled.append(bound(self.waiting[key], places[key]))


SEEDS = st.integers(0, 100_000)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_bound_in_the_stated_order_every_pod_fits_where_it_was_planned(seed: int) -> None:
    """A plan that the scheduler refuses is money spent on machines that stay empty."""
    question = Question(seed)

    question.check(pack(question.problem(), effort=Effort.FAST))


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_improved_answer_keeps_the_rules_and_costs_no_more(seed: int) -> None:
    """Patterns know little of pods on other machines; what they propose is asked of the rules like anything else."""
    question = Question(seed, prefers=True)

    best = pack(question.problem(), effort=Effort.BEST)

    question.check(best)
    first = pack(question.problem(), effort=Effort.FAST)
    assert len(best.unplaced) < len(first.unplaced) or best.cost_usd_per_hour <= first.cost_usd_per_hour + 1e-9
    assert best.lower_bound_usd_per_hour <= best.cost_usd_per_hour


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_every_pod_is_in_exactly_one_place(seed: int) -> None:
    """A pod that is planned twice, or not at all, is a machine too many or a pod forgotten."""
    question = Question(seed)

    packing = pack(question.problem(), effort=Effort.FAST)

    listed = [*packing.assignments, *(key for machine in packing.machines for key in machine.pods)]
    assert sorted(listed) == sorted(packing.order)
    assert sorted([*listed, *(each.pod for each in packing.unplaced)]) == sorted(question.waiting)
    assert all(machine.pods for machine in packing.machines)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_what_is_left_over_fits_nowhere(seed: int) -> None:
    """Neither where there is a node nor on one machine more: else the reason given would be untrue."""
    question = Question(seed)

    packing = pack(question.problem(), effort=Effort.FAST)

    world, places = question.world(packing)
    settled = [*world.pods, *(bound(question.waiting[key], places[key]) for key in packing.order)]
    for each in packing.unplaced:
        pod = question.waiting[each.pod]
        for node in world.nodes:
            assert why_not(pod, node, World(world.nodes, settled, NAMESPACES))
        for node in question.sold.values():
            more = named(node, "one-more")
            assert why_not(pod, more, World([*world.nodes, more], settled, NAMESPACES))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(0, 1000))
def test_the_answer_does_not_depend_on_the_order_of_the_question(seed: int, shuffle: int) -> None:
    """Watches deliver in any order; a plan that changes with it would be carried out twice."""
    question = Question(seed)

    shuffled = question.problem(Random(shuffle))

    assert pack(question.problem(), effort=Effort.FAST) == pack(shuffled, effort=Effort.FAST)
