"""What a pod that fits nowhere would have to give up: the least that helps, and true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from time import perf_counter
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.packing.packing_aftermath import with_relaxations
from planning.packing.packing_builders import GIB, HOSTNAME, ZONE, a_candidate, a_pod, apart, near, spread_by, to_place
from planning.packing.packing_worlds import NAMESPACES
from planning.packing.test_packing_against_slow_reference import Question, bound, named
from stratos.apis.node import Taint
from stratos.apis.pod import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    SelectorRequirement,
    Toleration,
    TopologySpreadConstraint,
)
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import Candidate, ExistingNode, Packing, PackingProblem, Relaxation
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.slow_scheduling import World, why_not

GPU = "nvidia.com/gpu"


def ways_out(
    *pods: Pod, candidates: Sequence[Candidate] = (), existing: Sequence[ExistingNode] = ()
) -> tuple[Relaxation, ...]:
    """What the last of ``pods`` would have to give up."""
    problem = PackingProblem(tuple(to_place(pod) for pod in pods), tuple(candidates), tuple(existing))
    packing = with_relaxations(problem, pack(problem, effort=Effort.FAST))
    return {each.pod: each.relaxations for each in packing.unplaced}[pods[-1].metadata.key]


def told(ways: Sequence[Relaxation]) -> list[tuple[tuple[str, ...], str, float]]:
    return [
        (way.constraints, way.offering.instance_type if way.offering else "", way.price_usd_per_hour) for way in ways
    ]


def test_a_selector_that_nothing_matches_is_named_with_the_cheapest_machine_without_it() -> None:
    """The usual mistake: a zone where the cloud has no such machine."""
    sold = [
        a_candidate("small", 0.1, cpu=1000, gib=4),
        *(a_candidate(f"m{x}", 0.2 * x, cpu=4000, gib=16) for x in (2, 1)),
    ]

    ways = ways_out(a_pod(cpu="2", node_selector={ZONE: "z"}), candidates=sold)

    assert told(ways) == [((f"nodeSelector {ZONE}=z",), "m1", 0.2)]


def test_the_one_constraint_is_named_that_is_enough_not_all_that_are_broken_somewhere() -> None:
    """Who gives up a GPU type need not give up the zone as well."""
    sold = [
        a_candidate("a100", 3.0, cpu=8000, gib=64, zone="a", labels={"gpu": "a100"}),
        a_candidate("plain", 0.1, cpu=8000, gib=64, zone="b", labels={"gpu": "none"}),
        a_candidate("other", 0.2, cpu=8000, gib=64, zone="c"),
    ]

    ways = ways_out(a_pod(node_selector={ZONE: "a", "gpu": "none"}), candidates=sold)

    assert told(ways) == [((f"nodeSelector {ZONE}=a",), "plain", 0.1), (("nodeSelector gpu=none",), "a100", 3.0)]


def test_two_constraints_are_named_where_no_single_one_is_enough() -> None:
    """A set that does not help is worse than none."""
    sold = [a_candidate("m", 0.2, cpu=4000, gib=16, taints=[Taint(key="team", value="ml", effect="NoSchedule")])]

    (way,) = ways_out(a_pod(node_selector={ZONE: "b"}), candidates=sold)

    assert way.constraints == (f"nodeSelector {ZONE}=b", "toleration missing for taint team=ml:NoSchedule")


def test_what_takes_more_than_three_constraints_is_not_told() -> None:
    """That would be another pod."""
    sold = [a_candidate("m", 0.2, cpu=4000, gib=16)]

    assert ways_out(a_pod(node_selector=dict.fromkeys("abcd", "x")), candidates=sold) == ()
    assert len(ways_out(a_pod(node_selector=dict.fromkeys("abc", "x")), candidates=sold)[0].constraints) == 3


def test_a_request_that_is_too_large_is_cut_to_the_largest_machine_and_the_cheapest_such() -> None:
    """As little as possible is given up, so the cheapest machine of all is no answer here."""
    sold = [
        a_candidate("tiny", 0.1, cpu=1000, gib=4),
        a_candidate("dear", 9.5, cpu=191_900, gib=700),
        a_candidate("large", 9.0, cpu=191_900, gib=700),
    ]

    ways = ways_out(a_pod(cpu="400"), candidates=sold)

    assert told(ways) == [(("requests cpu 400 → at most 191.9",), "large", 9.0)]


def test_a_way_that_leaves_the_requests_whole_comes_before_one_that_gives_up_the_gpus() -> None:
    """A machine without GPUs is cheap, and rarely what was wanted; it is told, but last."""
    sold = [
        a_candidate("plain", 0.1, cpu=8000, gib=64, zone="a"),
        a_candidate("gpus", 30.0, cpu=96_000, gib=1000, zone="b", extended={GPU: 8}),
    ]

    ways = ways_out(a_pod(node_selector={ZONE: "a"}, requests={GPU: "8"}), candidates=sold)

    assert told(ways) == [
        ((f"nodeSelector {ZONE}=a",), "gpus", 30.0),
        ((f"requests {GPU} 8 → none",), "plain", 0.1),
    ]


def test_node_affinity_gives_way_condition_by_condition_and_alternatives_as_a_whole() -> None:
    """The words are those of the manifest, so that the place to edit is found."""
    sold = [a_candidate("m", 0.2, cpu=4000, gib=16)]

    def with_terms(*terms: tuple[SelectorRequirement, ...]) -> Pod:
        required = NodeSelector(tuple(NodeSelectorTerm(match_expressions=term) for term in terms))
        return a_pod(affinity=Affinity(node_affinity=NodeAffinity(required=required)))

    nowhere = SelectorRequirement(key=ZONE, operator="In", values=("x", "y"))
    here = SelectorRequirement(key=ZONE, operator="Exists")
    fast = SelectorRequirement(key="fast", operator="Exists")

    assert ways_out(with_terms((nowhere, here)), candidates=sold)[0].constraints == (f"nodeAffinity {ZONE} in (x,y)",)
    (either,) = ways_out(with_terms((nowhere,), (fast,)), candidates=sold)
    assert either.constraints == (f"nodeAffinity {ZONE} in (x,y) or fast",)


def test_anti_affinity_among_the_pods_of_the_plan_is_named() -> None:
    """The decisive pod is in the same plan: only its end tells what stands in the way."""
    sold = [a_candidate("m", 0.2, cpu=4000, gib=16, most=1)]
    web = {"app": "web"}
    pods = [a_pod(f"web-{n}", labels=web, affinity=apart(HOSTNAME, web)) for n in range(2)]

    (way,) = ways_out(*pods, candidates=sold)

    assert (way.constraints, way.offering) == ((f"podAntiAffinity on {HOSTNAME}",), None)


def test_company_and_spread_are_named() -> None:
    """Rules about other pods are as much in the way as any other."""
    sold = [a_candidate("m", 0.2, cpu=4000, gib=16)]
    web = {"app": "web"}

    lonely = ways_out(a_pod(affinity=near(ZONE, web)), candidates=sold)
    racked = ways_out(a_pod(labels=web, spread=[spread_by("rack", web)]), candidates=sold)

    assert told(lonely) == [((f"podAffinity on {ZONE}",), "m", 0.2)]
    assert told(racked) == [(("topologySpreadConstraint on rack",), "m", 0.2)]


def test_an_offering_of_which_no_more_can_be_had_is_no_way_out() -> None:
    """The promise would be broken at once."""
    sold = [a_candidate("m", 0.2, cpu=1000, gib=16, most=1), a_candidate("n", 0.3, cpu=1000, gib=16, zone="b")]
    pods = [a_pod("first", node_selector={ZONE: "a"}), a_pod("second", node_selector={ZONE: "a"})]

    assert told(ways_out(*pods, candidates=sold)) == [((f"nodeSelector {ZONE}=a",), "n", 0.3)]


@pytest.mark.parametrize("key", ["node.kubernetes.io/not-ready", "stratos.sh/disrupted"])
def test_nobody_is_advised_to_tolerate_a_node_in_trouble(key: str) -> None:
    """A pod that tolerates it would run where nothing runs well."""
    taints = (Taint(key=key, effect="NoSchedule"),)
    node = NodeDescription("node", taints=taints, allocatable={"cpu": 4000, "memory": 16 * GIB, "pods": 110})

    assert ways_out(a_pod(), existing=[ExistingNode(node)]) == ()


Edit = tuple[str, Callable[[Pod], Pod]]


class Manifest:
    """A pod's constraints as edits of its manifest, each under the words in which it should be told."""

    def __init__(self, pod: Pod, taints: Sequence[Taint]) -> None:
        self.pod = pod
        spec = pod.spec
        affinity = spec.affinity or Affinity()
        self.edits: list[Edit] = []
        for key, value in (spec.node_selector or {}).items():
            self._add(f"nodeSelector {key}={value}", node_selector=None)
        if affinity.node_affinity is not None and affinity.node_affinity.required is not None:
            self.edits.append(("nodeAffinity", lambda pod: with_affinity(pod, node_affinity=None)))
        for taint in taints:
            words = f"toleration missing for taint {taint.key}={taint.value}:{taint.effect}"
            tolerated = Toleration(key=taint.key, value=taint.value, effect=taint.effect)
            self._add(words, tolerations=(*(spec.tolerations or ()), tolerated))
        for port in spec.containers[0].ports or ():
            address = f"{port.host_ip}:" if port.host_ip else ""
            words = f"hostPort {address}{port.host_port}/TCP"
            self._add(words, containers=(msgspec.structs.replace(spec.containers[0], ports=None),))
        for constraint in spec.topology_spread_constraints or ():
            if constraint.when_unsatisfiable == "DoNotSchedule":
                self.edits.append((f"topologySpreadConstraint on {constraint.topology_key}", less_spread(constraint)))
        for field, kind in (("pod_affinity", "podAffinity"), ("pod_anti_affinity", "podAntiAffinity")):
            for term in stated.required if (stated := getattr(affinity, field)) else ():
                self.edits.append((f"{kind} on {term.topology_key}", less_company(field, term)))

    def _add(self, words: str, **changes: Any) -> None:
        def edit(pod: Pod) -> Pod:
            return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, **changes))

        self.edits.append((words, edit))


def with_affinity(pod: Pod, **changes: Any) -> Pod:
    affinity = msgspec.structs.replace(pod.spec.affinity or Affinity(), **changes)
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, affinity=affinity))


def less_spread(one: TopologySpreadConstraint) -> Callable[[Pod], Pod]:
    def edit(pod: Pod) -> Pod:
        left = less(pod.spec.topology_spread_constraints or (), one)
        return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, topology_spread_constraints=left))

    return edit


def less_company(field: str, one: PodAffinityTerm) -> Callable[[Pod], Pod]:
    def edit(pod: Pod) -> Pod:
        stated: PodAffinity = getattr(pod.spec.affinity, field)
        return with_affinity(pod, **{field: msgspec.structs.replace(stated, required=less(stated.required, one))})

    return edit


T = TypeVar("T")


def less(stated: Sequence[T], one: T) -> tuple[T, ...]:
    at = list(stated).index(one)
    return (*stated[:at], *stated[at + 1 :])


def fits_somewhere(pod: Pod, like: Pod, question: Question, packing: Packing) -> bool:
    """Whether the pod as edited has a place at the end of the plan, told slowly; its kind is edited with it."""
    world, places = question.world(packing)
    kind = requirements_of(like)
    settled = [*world.pods, *(bound(question.waiting[key], places[key]) for key in packing.order)]
    after = [
        with_affinity(each, pod_anti_affinity=pod.spec.affinity and pod.spec.affinity.pod_anti_affinity)
        if requirements_of(each) == kind
        else each
        for each in settled
    ]
    if any(why_not(pod, node, World(world.nodes, after, NAMESPACES)) == [] for node in world.nodes):
        return True
    more = [named(node, "one-more") for node in question.sold.values()]
    return any(why_not(pod, node, World([*world.nodes, node], after, NAMESPACES)) == [] for node in more)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_every_way_out_is_one_and_no_smaller_one_is_missed(seed: int) -> None:
    """Advice that does not help is worse than none, and so is advice to give up more than it takes."""
    question = Question(seed)
    packing = pack(question.problem(), effort=Effort.FAST)
    taints = {taint for node in question.sold.values() for taint in node.spec.taints or ()}
    taints |= {taint for node in question.there for taint in node.spec.taints or ()}

    for each in with_relaxations(question.problem(), packing).unplaced:
        pod = question.waiting[each.pod]
        edits = Manifest(pod, sorted(taints, key=str)).edits

        def helps(
            chosen: Sequence[Edit], pod: Pod = pod, question: Question = question, packing: Packing = packing
        ) -> bool:
            return fits_somewhere(edited(pod, chosen), pod, question, packing)

        for way in each.relaxations:
            if not any(words.startswith("requests") for words in way.constraints):
                alike = [[edit for edit in edits if words.startswith(edit[0])] for words in way.constraints]
                assert any(helps(chosen) for chosen in product(*alike) if len(set(chosen)) == len(chosen))
        size = min((len(way.constraints) for way in each.relaxations), default=3)
        for fewer in range(1, size):
            assert not any(helps(chosen) for chosen in combinations(edits, fewer))


def edited(pod: Pod, edits: Iterable[Edit]) -> Pod:
    for _, edit in edits:
        pod = edit(pod)
    return pod


def test_fifty_kinds_of_pods_and_a_thousand_candidates_are_told_within_a_second_or_so() -> None:
    """It is asked for by people who wait for the answer."""
    sold = [
        a_candidate(f"type-{size}", 0.05 * size, cpu=1000 * size, gib=4 * size, zone=zone, labels={"size": str(size)})
        for size in range(1, 335)
        for zone in "abc"
    ]
    pods = tuple(
        to_place(a_pod(f"pod-{n}", cpu=str(n + 1), node_selector={"size": f"none-{n}", ZONE: "abcd"[n % 4]}))
        for n in range(50)
    )
    problem = PackingProblem(pods, tuple(sold))
    packing = pack(problem, effort=Effort.FAST)

    started = perf_counter()
    told_all = with_relaxations(problem, packing)

    assert perf_counter() - started < 5  # one second on an idle machine
    assert all(each.relaxations for each in told_all.unplaced)
