"""Whatever is planned, the rules as told slowly must allow: bound in the stated order, each pod fits where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.scheduling.scheduling_strategies import NAMESPACES, nodes, pods
from stratos.apis.node import Node
from stratos.apis.pod import Pod
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import Candidate, ExistingNode, OfferingName, Packing, PackingProblem, PodToPlace
from stratos.planning.scheduling.nodes import describe_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.slow_scheduling import World, why_not

HOSTNAME = "kubernetes.io/hostname"
SOME_NODES = st.tuples(*(nodes(f"node-{index}") for index in range(2)))
SOME_CANDIDATES = st.tuples(*(nodes(f"candidate-{index}") for index in range(4)))
SOME_PODS = st.tuples(*(pods(f"pod-{index}") for index in range(8)))
PLACED_BEFORE = st.lists(st.sampled_from(["node-0", "node-1", "", "", ""]), min_size=8, max_size=8)
PRICES = st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0]), min_size=4, max_size=4)


def alive(pod: Pod) -> Pod:
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, deletion_timestamp=None))


def bound(pod: Pod, node_name: str) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=node_name))


def without_name(node: Node) -> Node:
    labels = {key: value for key, value in node.metadata.labels.items() if key != HOSTNAME}
    return msgspec.structs.replace(node, metadata=msgspec.structs.replace(node.metadata, name="", labels=labels))


def named(node: Node, name: str) -> Node:
    labels = {**node.metadata.labels, HOSTNAME: name}
    return msgspec.structs.replace(node, metadata=msgspec.structs.replace(node.metadata, name=name, labels=labels))


class Question:
    """A packing problem together with the objects that it was made of."""

    def __init__(
        self,
        there: Sequence[Node],
        sold: Sequence[Node],
        all_pods: Sequence[Pod],
        before: list[str],
        prices: list[float],
    ) -> None:
        self.there = there
        self.sold = {f"type-{index}": without_name(node) for index, node in enumerate(sold)}
        self.prices = dict(zip(self.sold, prices, strict=True))
        self.running = [bound(pod, name) for pod, name in zip(all_pods, before, strict=True) if name]
        self.waiting = {pod.metadata.key: alive(pod) for pod, name in zip(all_pods, before, strict=True) if not name}

    def problem(self, random: Random | None = None) -> PackingProblem:
        to_place = [PodToPlace(key, requirements_of(pod)) for key, pod in self.waiting.items()]
        candidates = [
            Candidate(OfferingName(name, "", CapacityType.ON_DEMAND), describe_node(node), self.prices[name])
            for name, node in self.sold.items()
        ]
        existing = [ExistingNode(describe_node(node), self._placed_on(node)) for node in self.there]
        if random is not None:
            for things in (to_place, candidates, existing):
                random.shuffle(things)
        return PackingProblem(tuple(to_place), tuple(candidates), tuple(existing), NAMESPACES, False)

    def _placed_on(self, node: Node) -> tuple[PlacedPod, ...]:
        return tuple(
            PlacedPod(pod.metadata.key, requirements_of(pod), terminating=pod.metadata.deletion_timestamp is not None)
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


QUESTIONS = st.builds(Question, SOME_NODES, SOME_CANDIDATES, SOME_PODS, PLACED_BEFORE, PRICES)


@settings(max_examples=150)
@given(QUESTIONS)
def test_bound_in_the_stated_order_every_pod_fits_where_it_was_planned(question: Question) -> None:
    """A plan that the scheduler refuses is money spent on machines that stay empty."""
    packing = pack(question.problem(), effort=Effort.FAST)

    world, places = question.world(packing)
    settled = list(world.pods)
    by_name = {node.metadata.name: node for node in world.nodes}
    for key in packing.order:
        now = World(world.nodes, settled, NAMESPACES)
        assert why_not(question.waiting[key], by_name[places[key]], now) == []
        settled.append(bound(question.waiting[key], places[key]))


@settings(max_examples=60)
@given(QUESTIONS)
def test_every_pod_is_in_exactly_one_place(question: Question) -> None:
    packing = pack(question.problem(), effort=Effort.FAST)

    listed = [*packing.assignments, *(key for machine in packing.machines for key in machine.pods)]
    assert sorted(listed) == sorted(packing.order)
    assert sorted([*listed, *(each.pod for each in packing.unplaced)]) == sorted(question.waiting)
    assert all(machine.pods for machine in packing.machines)


@settings(max_examples=60)
@given(QUESTIONS)
def test_what_is_left_over_fits_nowhere(question: Question) -> None:
    """Neither where there is a node nor on one machine more: else the reason given would be untrue."""
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


@settings(max_examples=60)
@given(QUESTIONS, st.integers(0, 1000))
def test_the_answer_does_not_depend_on_the_order_of_the_question(question: Question, seed: int) -> None:
    """Watches deliver in any order; a plan that changes with it would be carried out twice."""
    assert pack(question.problem(), effort=Effort.FAST) == pack(question.problem(Random(seed)), effort=Effort.FAST)
