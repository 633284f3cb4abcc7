"""Laws of every packing, the improved ones above all: true bounds, kept rules, costs that only freedom lowers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planning.packing.packing_aftermath import state_after
from planning.packing.packing_builders import GIB, HOSTNAME, ZONE, a_candidate, a_pod, apart, near, spread_by, to_place
from planning.packing.test_packing_against_slow_reference import Question
from stratos.apis.pod import Affinity, Pod
from stratos.base.selectors import LabelSelector, Operator, Requirement
from stratos.planning.packing.constraints import constraints_of
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import Candidate, ExistingNode, Packing, PackingProblem, PodToPlace
from stratos.planning.packing.settling import machine_node
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.rejection import Rejection, Rule
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.planning.scheduling.volumes import Attachment, VolumeNeeds

SEEDS = st.integers(0, 1_000_000)
DISK = "disk.csi.example.com"


def best(problem: PackingProblem) -> Packing:
    return pack(problem, effort=Effort.BEST, allowance_seconds=1.0)


class Shop:
    """A few workloads and a few offerings, most of which fit each other."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.pods = tuple(pod for number in range(random.choice([1, 3, 5])) for pod in self._workload(number))
        self.candidates = tuple(self.a_candidate(number) for number in range(random.choice([2, 5, 9])))

    def a_candidate(self, number: int) -> Candidate:
        random = self.random
        cpu, gib = random.choice([2, 4, 8, 16]), random.choice([4, 8, 16, 64])
        price = round(random.uniform(0.7, 1.4) * (0.03 * cpu + 0.004 * gib), 4)
        extended = {"example.com/gpu": 2} if random.random() < 0.3 else None
        return a_candidate(
            f"type-{number}", price, cpu=1000 * cpu, gib=gib, pods=30, zone=random.choice("ab"), extended=extended
        )

    def _workload(self, number: int) -> list[PodToPlace]:
        random = self.random
        labels = {"app": f"app-{number}"}
        # Spread over zones stands alone: with anything that ties pods to one zone, each zone that others open is one
        # more that it would have to be spread to, and what is possible depends on who is there first.
        spread = (spread_by(ZONE, labels),) if random.random() < 0.2 else ()
        affinity: Affinity | None = random.choice([None, None, apart(HOSTNAME, labels), near(ZONE, labels)])
        asks = {"cpu": random.choice(["250m", "1", "1500m"]), "memory": random.choice(["256Mi", "2Gi", "3Gi"])}
        if random.random() < 0.15 and not spread:
            asks["example.com/gpu"] = "1"
        selector = {ZONE: random.choice("ab")} if random.random() < 0.3 and not spread else {}
        return [
            to_place(
                a_pod(
                    f"{labels['app']}-{replica}",
                    labels=labels,
                    requests=asks,
                    affinity=None if spread else affinity,
                    node_selector=selector,
                    spread=spread,
                )
            )
            for replica in range(random.choice([1, 2, 6]))
        ]

    @property
    def problem(self) -> PackingProblem:
        return PackingProblem(self.pods, self.candidates)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_bound_is_below_the_cost_and_effort_never_costs_more(seed: int) -> None:
    """Whoever thinks longer may not come back with a dearer answer, nor with fewer pods placed."""
    problem = Shop(seed).problem

    first, improved = pack(problem, effort=Effort.FAST), best(problem)

    for packing in (first, improved):
        assert packing.lower_bound_usd_per_hour <= packing.cost_usd_per_hour + 1e-9
    assert len(improved.unplaced) <= len(first.unplaced)
    if len(improved.unplaced) == len(first.unplaced):
        assert improved.cost_usd_per_hour <= first.cost_usd_per_hour + 1e-9


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_a_workload_that_gives_up_a_constraint_costs_no_more_than_the_stated_gap_allows(seed: int) -> None:
    """Every answer to the question before is one to the question after, so its bound has to be below that cost."""
    shop = Shop(seed)
    constrained = sorted({pod.requirements for pod in shop.pods if constraints_of(pod.requirements, ())}, key=repr)
    assume(constrained)
    chosen = shop.random.choice(constrained)
    given_up = shop.random.choice(constraints_of(chosen, ()))
    freer = tuple(
        replace(pod, requirements=given_up.without(chosen)) if pod.requirements == chosen else pod for pod in shop.pods
    )

    before, after = best(shop.problem), best(replace(shop.problem, pods=freer))

    assert len(after.unplaced) <= len(before.unplaced)
    assume(not before.unplaced)
    assert after.cost_usd_per_hour <= before.cost_usd_per_hour * (1 + after.gap) + 1e-9


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_one_offering_more_costs_no_more_than_the_stated_gap_allows(seed: int) -> None:
    """A new type in the catalog must not make anything dearer."""
    shop = Shop(seed)
    more = (*shop.candidates, shop.a_candidate(99))

    before, after = best(shop.problem), best(replace(shop.problem, candidates=more))

    assert len(after.unplaced) <= len(before.unplaced)
    assume(not before.unplaced)
    assert after.cost_usd_per_hour <= before.cost_usd_per_hour * (1 + after.gap) + 1e-9


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_improved_answers_keep_every_rule_of_the_slow_reference(seed: int) -> None:
    """Pods are put elsewhere to save money: none may come to where the scheduler would not bind it."""
    question = Question(seed)

    question.check(best(question.problem()))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(0, 1000))
def test_improved_answers_do_not_depend_on_the_order_of_the_question(seed: int, shuffle: int) -> None:
    """Plans that change with the order of events would be carried out twice."""
    question = Question(seed)

    assert best(question.problem()) == best(question.problem(Random(shuffle)))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_every_pod_left_over_is_refused_everywhere_and_by_the_rule_that_is_named(seed: int) -> None:
    """A reason that is not true sends people to change what does not matter."""
    problem = Question(seed).problem()
    packing = best(problem)
    state = state_after(problem, packing)
    asked = {pod.key: pod.requirements for pod in problem.pods}

    for left in packing.unplaced:
        check = state.check(asked[left.pod])
        refusals = [check.reject(node) for node in state.nodes.values()]
        refusals += [refusal_on(candidate, asked[left.pod], state) for candidate in problem.candidates]
        assert None not in refusals
        # A node may be full, and have the port taken as well.
        told = {refusal.rule for refusal in refusals if refusal is not None}
        assert left.rule in told or (left.rule is Rule.NODE_RESOURCES_FIT and any_is_full(state, asked[left.pod]))


def any_is_full(state: ClusterState, requirements: PodRequirements) -> bool:
    return any(
        node.free.get(name, 0) < amount for node in state.nodes.values() for name, amount in requirements.requests
    )


def refusal_on(candidate: Candidate, requirements: PodRequirements, state: ClusterState) -> Rejection | None:
    state.set_node(machine_node(candidate, "one-more"))
    try:
        return state.check(requirements).reject(state.nodes["one-more"])
    finally:
        state.remove_node("one-more")


# Volumes, which the slow reference does not know


def with_volumes(pod: Pod, *handles: str, zone: str = "") -> PodToPlace:
    zones = LabelSelector((Requirement(ZONE, Operator.IN, frozenset({zone})),) if zone else ())
    needs = VolumeNeeds(zones=zones, attachments=tuple(Attachment(DISK, handle) for handle in sorted(handles)))
    return PodToPlace(pod.metadata.key, requirements_of(pod, volumes=needs))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_volumes_are_in_reach_and_no_node_attaches_more_than_it_can(seed: int) -> None:
    """A pod whose volume cannot be attached is bound, and never starts."""
    random = Random(seed)
    most = random.choice([1, 2, 3])
    sold = tuple(
        replace(candidate, node=replace(candidate.node, attach_limits={DISK: most}))
        for zone in "ab"
        for candidate in (a_candidate(f"small-{zone}", 0.2, cpu=4000, gib=16, zone=zone),)
    )
    there = NodeDescription(
        "there",
        labels={HOSTNAME: "there", ZONE: "a"},
        allocatable={"cpu": 4000, "memory": 16 * GIB, "pods": 5},
        attach_limits={DISK: most},
    )
    running = with_volumes(a_pod("running"), "shared")
    zone_of = {f"disk-{number}": random.choice("ab") for number in range(4)} | {"shared": "a"}
    pods = []
    for number in range(random.choice([3, 9])):
        handles = random.sample(sorted(zone_of), random.choice([0, 1, 1, 2]))
        handles = [handle for handle in handles if zone_of[handle] == zone_of[handles[0]]]
        zone = zone_of[handles[0]] if handles else ""
        pods.append(with_volumes(a_pod(f"pod-{number}", cpu="500m"), *handles, zone=zone))
    existing = ExistingNode(there, (PlacedPod(running.key, running.requirements),))
    problem = PackingProblem(tuple(pods), sold, (existing,))

    packing = best(problem)

    attached: dict[str, set[str]] = {"there": {"shared"}}
    zones = {"there": "a"}
    places = dict(packing.assignments)
    for number, machine in enumerate(packing.machines):
        places |= dict.fromkeys(machine.pods, f"machine-{number}")
        zones[f"machine-{number}"] = machine.candidate.offering.zone
    for pod in pods:
        for attachment in pod.requirements.node_rules.volumes.attachments if pod.key in places else ():
            assert zone_of[attachment.volume] == zones[places[pod.key]]
            attached.setdefault(places[pod.key], set()).add(attachment.volume)
    assert all(len(volumes) <= most for volumes in attached.values())
    assert all(len(pod.requirements.node_rules.volumes.attachments) > most for pod in pods if pod.key not in places)
