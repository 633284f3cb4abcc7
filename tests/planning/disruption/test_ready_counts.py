"""The law of evacuation, attacked: whatever happens in whatever order, no workload falls below what it asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.disruption.disruption_builders import a_budget, a_departure, a_look, a_machine, a_pod, a_workload
from stratos.apis import labels
from stratos.apis.meta import Condition, is_condition_true
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.planning.disruption.evacuation import (
    Close,
    EndSurge,
    EvacuationStep,
    Evict,
    Finish,
    GiveUp,
    StartSurge,
    plan_evacuation,
)
from stratos.snapshot.disruption import DisruptionSnapshot, Workload
from stratos.workloads.replicaset.plan import deletion_order

OLD_NODES = ("a", "b")


@dataclass
class Group:
    """A Deployment in small: what it asks for, its surge, and its pods by name, each with its node."""

    name: str
    asked: int
    most_missing: int | None  # of its budget; None: it has none
    surge: int = 0
    pods: dict[str, Pod] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def start(self, node: str, *, ready: bool) -> None:
        name = f"{self.name}-{self.made}"
        self.made += 1
        self.pods[name] = a_pod(name, of=self.workload(0), ready=ready)
        self.nodes[name] = node

    def ready(self) -> int:
        return sum(is_condition_true(pod.status.conditions, "Ready") for pod in self.pods.values())

    def workload(self, ready: int | None = None) -> Workload:
        return a_workload(
            self.name,
            self.asked,
            ready=self.ready() if ready is None else ready,
            surge=self.surge,
            changing=len(self.pods) != self.asked + self.surge,
        )

    def budget(self) -> PodDisruptionBudget | None:
        if self.most_missing is None:
            return None
        spec = {"max_unavailable": self.most_missing}
        allowed = max(0, self.ready() - (self.asked + self.surge - self.most_missing))
        return a_budget(self.name, healthy=self.ready(), expected=self.asked + self.surge, allowed=allowed, **spec)

    def reconcile(self) -> None:
        """As the controller of a ReplicaSet does: start what is missing, give up what is too much."""
        pods = [
            msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=self.nodes[name]))
            for name, pod in self.pods.items()
        ]
        surplus = len(pods) - self.asked - self.surge
        for _ in range(-surplus):
            self.start("new", ready=False)
        for pod in deletion_order(pods)[: max(0, surplus)]:
            del self.pods[pod.metadata.name]

    def get_ready(self, which: int) -> None:
        unready = sorted(
            name for name, pod in self.pods.items() if not is_condition_true(pod.status.conditions, "Ready")
        )
        if unready:
            name = unready[which % len(unready)]
            ready = (Condition(type="Ready", status="True"),)
            status = msgspec.structs.replace(self.pods[name].status, conditions=ready)
            self.pods[name] = msgspec.structs.replace(self.pods[name], status=status)


class Model:
    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups
        self.closed: set[str] = set()
        self.finished: set[str] = set()

    def look(self) -> DisruptionSnapshot:
        machines = [
            a_machine(
                node,
                *(pod for group in self.groups for name, pod in group.pods.items() if group.nodes[name] == node),
                departure=a_departure("Underutilized"),
                closed=node in self.closed,
            )
            for node in OLD_NODES
            if node not in self.finished
        ]
        budgets = [budget for group in self.groups if (budget := group.budget()) is not None]
        return a_look(*machines, workloads=[group.workload() for group in self.groups], budgets=budgets)

    def evacuate(self) -> None:
        for step in plan_evacuation(self.look()).steps:
            self.take(step)
            self.check()

    def take(self, step: EvacuationStep) -> None:
        by_uid = {f"uid-default/{group.name}": group for group in self.groups}
        match step:
            case Close(claim, _):
                self.closed.add(claim)
            case StartSurge(uid, pods):
                group = by_uid[uid]
                for key in pods:
                    name = key.partition("/")[2]
                    metadata = group.pods[name].metadata
                    marked = msgspec.structs.replace(metadata, annotations={labels.DELETION_COST: "-2147483647"})
                    group.pods[name] = msgspec.structs.replace(group.pods[name], metadata=marked)
                group.surge = len(pods)
            case EndSurge(uid):
                by_uid[uid].surge = 0
            case Finish(claim):
                self.finished.add(claim)
            case Evict() | GiveUp():
                raise AssertionError(f"these pods can all be started twice: {step}")

    def check(self) -> None:
        for group in self.groups:
            assert group.ready() >= group.asked, f"{group.name} fell below {group.asked}"
            if group.most_missing is not None:
                expected = group.asked + group.surge
                assert group.ready() >= expected - group.most_missing, f"the budget of {group.name} is broken"
        for node in self.finished:
            assert not any(node in group.nodes[name] for group in self.groups for name in group.pods)


groups = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([None, 1, 2]), st.lists(st.sampled_from([*OLD_NODES, "new"]))),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(drawn=groups, moves=st.lists(st.integers(0, 99), max_size=60))
def test_no_workload_ever_has_fewer_ready_pods_than_it_asked_for(
    drawn: list[tuple[int, int | None, list[str]]], moves: list[int]
) -> None:
    """Nor is a budget broken, nor a machine given up while such a pod is on it; and in the end both nodes are gone."""
    made = []
    for number, (asked, most_missing, nodes) in enumerate(drawn):
        group = Group(f"g{number}", asked, most_missing)
        for index in range(asked):
            group.start(nodes[index] if index < len(nodes) else "a", ready=True)
        made.append(group)
    model = Model(made)
    for move in moves:
        match move % 3:
            case 0:
                model.evacuate()
            case 1:
                made[move // 3 % len(made)].reconcile()
            case 2:
                made[move // 3 % len(made)].get_ready(move)
        model.check()
    for _ in range(5 * 5):  # afterwards everybody gets a turn often enough for all to end well
        model.evacuate()
        for group in made:
            group.reconcile()
            while group.ready() < len(group.pods):
                group.get_ready(0)
        model.check()
    assert model.finished == set(OLD_NODES)
