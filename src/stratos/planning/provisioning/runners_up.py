"""What else would have done for a group of pods, and why it lost: the second half of every answer about money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratos.base.quantity import format_amount
from stratos.planning.packing.pack import Effort, pack
from stratos.planning.packing.problem import Candidate, OfferingName, PackingProblem
from stratos.planning.provisioning.asks import PodAsks
from stratos.planning.provisioning.candidates import by_price
from stratos.planning.provisioning.strategies import OPTIMAL, Group, fits, kinds
from stratos.planning.scheduling.rejection import Rule
from stratos.planning.scheduling.rules import reject_by_rules


@dataclass(frozen=True, slots=True)
class RunnerUp:
    offering: OfferingName
    price_usd_per_hour: float
    machines: int  # how many would hold the group's pods; 0 when one of them fits on none
    total_usd_per_hour: float
    why: str  # it lost


def runners_up(group: Group, *, most: int = 3) -> tuple[RunnerUp, ...]:
    """The next best kinds of machine for the pods that got new ones, by what the strategy goes by, and the cheapest
    kinds that would have won, had the pods fitted on them."""
    bought = {pod for machine in group.packing.machines for pod in machine.pods}
    pods = [pod for pod in group.pods if pod.key in bought]
    if not pods:
        return ()
    chosen = {machine.candidate.offering[::2] for machine in group.packing.machines}
    price = max(machine.candidate.price_usd_per_hour for machine in group.packing.machines)
    others = [kind for kind in kinds(group.candidates.all) if kind[0].offering[::2] not in chosen]
    alike = list({pod.requirements: pod for pod in pods}.values())
    able = [kind for kind in others if all(any(fits(pod, each) for each in kind) for pod in alike)]
    if group.strategy == OPTIMAL:
        able.sort(key=lambda kind: (_least_cost(kind[0], pods), by_price(kind[0])))
    tried = [_try(group, pods, kind) for kind in able[:most]]
    cheaper = [kind for kind in others if kind not in able and _price(kind) < price]
    return (*tried, *(_too_small(alike, kind) for kind in cheaper[-1:]))


def _try(group: Group, pods: Sequence[PodAsks], kind: Sequence[Candidate]) -> RunnerUp:
    problem = PackingProblem(pods=tuple(pod.to_place for pod in pods), candidates=tuple(kind))
    answer = pack(problem, effort=Effort.FAST)
    total, cost = answer.cost_usd_per_hour, group.packing.cost_usd_per_hour
    cheapest = min(kind, key=by_price)
    if answer.unplaced:
        why = f"it holds only {len(pods) - len(answer.unplaced)} of the {len(pods)} pods"
    elif group.strategy == OPTIMAL:
        why = f"alone it comes to ${total:.4f}/h for the same pods, ${total - cost:.4f} more"
    else:
        most = max(machine.candidate.price_usd_per_hour for machine in group.packing.machines)
        difference = cheapest.price_usd_per_hour - most
        why = f"one costs ${difference:.4f}/h more" if difference > 0 else "it costs the same and comes later by name"
    return RunnerUp(cheapest.offering, cheapest.price_usd_per_hour, len(answer.machines), total, why)


def _too_small(pods: Sequence[PodAsks], kind: Sequence[Candidate]) -> RunnerUp:
    cheapest = min(kind, key=by_price)
    reasons = (why for pod in pods if (why := why_not(pod, cheapest)))
    return RunnerUp(cheapest.offering, cheapest.price_usd_per_hour, 0, 0.0, next(reasons, "not all pods fit on it"))


def why_not(pod: PodAsks, candidate: Candidate) -> str:
    """Why an empty node of it would not do for the pod. Empty when it would."""
    verdict = reject_by_rules(pod.requirements.node_rules, candidate.node)
    if verdict is not None:
        return (
            verdict.reasons[0] if verdict.rule is not Rule.NODE_AFFINITY else "the pod's selector or affinity says no"
        )
    for resource, amount in pod.requirements.requests:
        left = candidate.node.allocatable.get(resource, 0)
        if amount > left:
            return (
                f"too small: {format_amount(resource, amount)} {resource} asked,"
                f" {format_amount(resource, left)} left after reservations"
            )
    return ""


def _price(kind: Sequence[Candidate]) -> float:
    return min(candidate.price_usd_per_hour for candidate in kind)


def _least_cost(candidate: Candidate, pods: Sequence[PodAsks]) -> float:
    """No number of such machines holds the pods for less: by the resource that runs out first."""
    asked: dict[str, int] = {}
    for pod in pods:
        for resource, amount in pod.requirements.requests:
            asked[resource] = asked.get(resource, 0) + amount
    free = candidate.node.allocatable
    machines = max(amount / max(1, free.get(resource, 0)) for resource, amount in asked.items())
    return max(1.0, machines) * candidate.price_usd_per_hour
