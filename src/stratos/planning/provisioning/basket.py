"""The machines chosen so far, and the nodes there are: every further group of pods is packed beside them.

Limits are enforced here, between the packing and the purchase: a machine that is refused is not in the basket, its
pods are packed again onto what still may be bought, and what is left in the end is left with the limit as its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stratos.apis import labels
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import (
    Candidate,
    ExistingNode,
    Packing,
    PackingProblem,
    PlannedMachine,
    Unplaced,
)
from stratos.planning.packing.relaxing import state_of
from stratos.planning.provisioning.asks import PodAsks, fits
from stratos.planning.provisioning.limits import Budget
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.rejection import Rule
from stratos.planning.scheduling.requirements import PodRequirements

ALLOWANCE_SECONDS = 1.0
"""What each packing may spend on a better answer: pods are waiting for this one."""

_NAME = "new machine "  # no node can be called so


@dataclass(slots=True)
class Chosen:
    """A machine to get."""

    name: str
    candidate: Candidate
    packing: str  # how it was filled, see `strategies`
    share: str  # only pods of the same share are added to it
    pods: list[PlacedPod] = field(default_factory=list)

    def as_existing(self) -> ExistingNode:
        node = self.candidate.node
        node_labels = {**node.labels, labels.HOSTNAME: self.name, labels.PACKING: self.packing}
        return ExistingNode(replace(node, name=self.name, labels=node_labels), tuple(self.pods))


@dataclass(slots=True)
class Filled:
    """What became of a group of pods. Several packings may have contributed."""

    assignments: dict[str, str] = field(default_factory=dict)  # pod → node that is there, or machine of other groups
    machines: dict[str, list[str]] = field(default_factory=dict)  # machine chosen for this group → its pods
    unplaced: tuple[Unplaced, ...] = ()
    limited: set[str] = field(default_factory=set)  # of the unplaced, those that a limit keeps waiting
    order: list[str] = field(default_factory=list)  # of the pods placed: bound in it, every one keeps every rule
    bounds: list[float] = field(default_factory=list)
    bound: str = ""
    report: list[str] = field(default_factory=list)


class Basket:
    def __init__(
        self,
        existing: Sequence[ExistingNode],
        *,
        budget: Budget,
        effort: Effort,
        allowance_seconds: float = ALLOWANCE_SECONDS,
        namespace_labels: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._existing = list(existing)
        self._budget = budget
        self._effort = effort
        self._allowance_seconds = allowance_seconds
        self._namespace_labels = namespace_labels or {}
        self._bought: dict[tuple[str, object], int] = {}
        # Whether pods keep others away: then it matters to all who is on the nodes that are closed to them.
        self._repels = any(pod.requirements.anti_affinity for node in existing for pod in node.pods)
        self.machines: dict[str, Chosen] = {}

    def place(
        self,
        pods: Sequence[PodAsks],
        candidates: Sequence[Candidate],
        into: Filled,
        *,
        packing: str,
        share: str = "",
        sees: Callable[[NodeDescription], bool] = lambda _: True,
    ) -> list[PodAsks]:
        """Pack ``pods``; the answer goes ``into``, and what is left over is returned.

        ``sees`` tells which nodes the pods may use; of the chosen machines only those of their ``share``.
        """
        by_key = {pod.key: pod for pod in pods}
        self._repels = self._repels or any(pod.requirements.anti_affinity for pod in pods)
        left, refusals = list(pods), dict[str, str]()
        open_to_buy = [each for each in candidates if not self._budget.refuses(each)]
        while left:
            answer = self._ask(left, open_to_buy, share, sees)
            self._assign(answer, by_key, into)
            accepted, refused = self._accept(answer.machines, by_key, packing, share, into)
            into.order += [key for key in answer.order if key not in refused]
            into.bounds.append(answer.lower_bound_usd_per_hour)
            into.bound = answer.bound
            into.report += answer.report
            into.unplaced = answer.unplaced
            if not refused:
                left = [by_key[each.pod] for each in answer.unplaced]
                break
            refusals |= refused
            if not accepted:
                told = [*answer.unplaced, *(_refused(key, why) for key, why in refused.items())]
                into.unplaced = tuple(sorted(told, key=lambda each: each.pod))
                left = [by_key[each.pod] for each in into.unplaced]
                break
            left = [by_key[key] for key in sorted({*refused, *(each.pod for each in answer.unplaced)})]
            open_to_buy = [each for each in open_to_buy if not self._budget.refuses(each)]
        limits = self._limits_in_the_way([by_key[each.pod] for each in into.unplaced], candidates) | refusals
        into.limited |= limits.keys()
        into.unplaced = tuple(
            replace(each, rule=Rule.NODE_RESOURCES_FIT, message=limits[each.pod]) if each.pod in limits else each
            for each in into.unplaced
        )
        return left

    def _ask(
        self,
        pods: Sequence[PodAsks],
        candidates: Sequence[Candidate],
        share: str,
        sees: Callable[[NodeDescription], bool],
    ) -> Packing:
        looks_around = self._looks_around(pods)
        there = []
        for node in self._existing:
            if sees(node.description):
                there.append(node)
            elif looks_around:
                there.append(closed(node))
        for machine in self.machines.values():
            if machine.share != share and not looks_around:
                continue
            node = machine.as_existing()
            there.append(node if machine.share == share and sees(node.description) else closed(node))
        return pack(
            PackingProblem(
                pods=tuple(pod.to_place for pod in pods),
                candidates=tuple(self._still_to_be_had(candidates)),
                existing=tuple(there),
                namespace_labels=self._namespace_labels,
            ),
            effort=self._effort,
            allowance_seconds=self._allowance_seconds,
        )

    def _looks_around(self, pods: Sequence[PodAsks]) -> bool:
        """Whether pods on nodes that are closed to these matter to them."""
        return self._repels or any(pod.requirements.looks_at_other_pods for pod in pods)

    def _still_to_be_had(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        left = []
        for candidate in candidates:
            if candidate.most is None:
                left.append(candidate)
            elif (most := candidate.most - self._bought.get((candidate.template, candidate.offering), 0)) > 0:
                left.append(replace(candidate, most=most))
        return left

    def _assign(self, answer: Packing, by_key: Mapping[str, PodAsks], into: Filled) -> None:
        nodes = (
            {node.description.name: index for index, node in enumerate(self._existing)} if answer.assignments else {}
        )
        for key, name in sorted(answer.assignments.items()):
            placed = PlacedPod(key, by_key[key].requirements)
            if name in self.machines:
                self.machines[name].pods.append(placed)
            if name in into.machines:
                into.machines[name].append(key)
                continue
            into.assignments[key] = name
            if name in nodes:
                node = self._existing[nodes[name]]
                self._existing[nodes[name]] = replace(node, pods=(*node.pods, placed))

    def _accept(
        self,
        planned: Sequence[PlannedMachine],
        by_key: Mapping[str, PodAsks],
        packing: str,
        share: str,
        into: Filled,
    ) -> tuple[int, dict[str, str]]:
        """Take what the budget allows, the most urgent pods' machines first. Says why the others' pods go without."""
        ordered = sorted(planned, key=lambda each: _urgency(each, by_key))
        whole = self._allows_all(ordered)
        accepted, refused = 0, dict[str, str]()
        for machine in ordered:
            why = self._budget.refuses(machine.candidate)
            if not why and not whole and not self._stands_alone(machine, by_key):
                why = f"limits keep out pods that it has to be near, or spread with: {next(iter(refused.values()), '')}"
            if why:
                refused.update((key, why) for key in machine.pods)
                continue
            self._budget.take(machine.candidate)
            bought = (machine.candidate.template, machine.candidate.offering)
            self._bought[bought] = self._bought.get(bought, 0) + 1
            name = f"{_NAME}{len(self.machines) + 1}"
            placed = [PlacedPod(key, by_key[key].requirements) for key in machine.pods]
            self.machines[name] = Chosen(name, replace(machine.candidate, most=None), packing, share, placed)
            into.machines[name] = list(machine.pods)
            accepted += 1
        return accepted, refused

    def _allows_all(self, planned: Sequence[PlannedMachine]) -> bool:
        taken: list[Candidate] = []
        for machine in planned:
            if self._budget.refuses(machine.candidate):
                break
            self._budget.take(machine.candidate)
            taken.append(machine.candidate)
        for candidate in taken:
            self._budget.give_back(candidate)
        return len(taken) == len(planned)

    def _stands_alone(self, machine: PlannedMachine, by_key: Mapping[str, PodAsks]) -> bool:
        """Whether its pods may run there if none of the machines yet to be judged comes."""
        pods = [by_key[key] for key in machine.pods]
        if not any(pod.requirements.looks_at_other_pods for pod in pods):
            return True
        nodes = self._all_closed()
        answer = pack(
            PackingProblem(
                pods=tuple(pod.to_place for pod in pods),
                candidates=(replace(machine.candidate, most=1),),
                existing=tuple(nodes),
                namespace_labels=self._namespace_labels,
            ),
            effort=Effort.FAST,
        )
        return not answer.unplaced

    def state(self) -> ClusterState:
        """The cluster with all that was decided, and closed: what room is left has been tried."""
        return state_of(self._all_closed(), self._namespace_labels)

    def may_buy(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Of which one more is to be had, and allowed."""
        return [each for each in self._still_to_be_had(candidates) if not self._budget.refuses(each)]

    def _all_closed(self) -> list[ExistingNode]:
        return [*map(closed, self._existing), *(closed(each.as_existing()) for each in self.machines.values())]

    def _limits_in_the_way(self, pods: Sequence[PodAsks], candidates: Sequence[Candidate]) -> dict[str, str]:
        """Which limit keeps a machine from being bought on which the pod alone would fit, for each such pod."""
        refused = [(each, why) for each in candidates if (why := self._budget.refuses(each))] if pods else []
        found: dict[PodRequirements, str] = {}
        for pod in pods:
            if pod.requirements not in found:
                found[pod.requirements] = next((why for each, why in refused if fits(pod, each)), "")
        return {pod.key: found[pod.requirements] for pod in pods if found[pod.requirements]}


def _refused(pod: str, why: str) -> Unplaced:
    return Unplaced(pod, Rule.NODE_RESOURCES_FIT, why)


def _urgency(machine: PlannedMachine, by_key: Mapping[str, PodAsks]) -> tuple[int, float, tuple[str, ...]]:
    priority = max((by_key[key].requirements.priority for key in machine.pods), default=0)
    return -priority, machine.candidate.price_usd_per_hour, machine.pods


def closed(node: ExistingNode) -> ExistingNode:
    """The pods there count for those who look at other pods; there is no room for more."""
    return replace(node, description=replace(node.description, allocatable={}))
