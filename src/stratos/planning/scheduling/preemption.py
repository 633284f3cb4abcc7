"""Make room for a pod by removing less important ones: where, and which.

As in kube-scheduler: on each node that could do, everything less important is taken away in thought and given back,
most important first, as long as the pod still fits; what could not be given back are the victims. The node whose
victims hurt least is chosen. Disruption budgets are respected where possible, not always: priority outranks them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from stratos.base.selectors import LabelSelector
from stratos.planning.scheduling.choice import Choice
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.filters import FitCheck
from stratos.planning.scheduling.messages import describe_counts
from stratos.planning.scheduling.placement import NodeState, PlacedPod
from stratos.planning.scheduling.requirements import PodRequirements

_NOT_HELPFUL = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"
_NEVER = datetime.max.replace(tzinfo=UTC)
_FEWEST_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """What a PodDisruptionBudget still allows."""

    namespace: str
    selector: LabelSelector | None
    allowed: int
    disrupted: frozenset[str] = frozenset()  # names of pods whose disruption is counted already

    def covers(self, pod: PlacedPod) -> bool:
        namespace, _, name = pod.key.partition("/")
        # Preemption reads an empty selector as one that covers nothing.
        if namespace != self.namespace or self.selector is None or not self.selector.requirements:
            return False
        return name not in self.disrupted and self.selector.matches(dict(pod.requirements.labels))


@dataclass(frozen=True, slots=True)
class Preemption:
    """Remove ``victims`` and the pod fits on ``node``; or ``node`` is None, and ``message`` says why."""

    node: str | None
    victims: tuple[PlacedPod, ...] = ()  # most important first
    budgets_violated: int = 0
    message: str = ""
    victims_leaving: bool = False  # room was made before, and only has to become free


def plan_preemption(
    cluster: ClusterState,
    requirements: PodRequirements,
    pod_key: str,
    choice: Choice,
    budgets: Sequence[DisruptionBudget] = (),
    *,
    nominated: str = "",
) -> Preemption:
    """Find room for a pod that, by ``choice``, fits nowhere."""
    if not requirements.may_preempt:
        return Preemption(None, message="preemption: not eligible due to preemptionPolicy=Never.")
    if _waits_for_victims(cluster, requirements, nominated):
        message = "preemption: not eligible due to a terminating pod on the nominated node."
        return Preemption(None, message=message, victims_leaving=True)
    check = cluster.check(requirements)
    candidates: list[Preemption] = []
    reasons: Counter[str] = Counter()
    candidates_wanted = max(_FEWEST_CANDIDATES, choice.nodes // 10)
    for name in sorted(name for name, rejection in choice.rejections.items() if rejection.preemption_may_help):
        found = _select_victims(cluster, check, cluster.nodes[name], pod_key, budgets)
        if isinstance(found, Preemption):
            candidates.append(found)
            if len(candidates) == candidates_wanted:
                break
        else:
            reasons.update(found)
    if candidates:
        return min(candidates, key=_harm)
    not_helpful = choice.unnamed + sum(not rejection.preemption_may_help for rejection in choice.rejections.values())
    if not_helpful:
        reasons[_NOT_HELPFUL] += not_helpful
    return Preemption(None, message=f"preemption: {describe_counts(choice.nodes, reasons)}")


def _waits_for_victims(cluster: ClusterState, requirements: PodRequirements, nominated: str) -> bool:
    node = cluster.nodes.get(nominated)
    if node is None:
        return False
    return any(pod.terminating and pod.requirements.priority < requirements.priority for pod in node.pods.values())


def _select_victims(
    cluster: ClusterState, check: FitCheck, node: NodeState, pod_key: str, budgets: Sequence[DisruptionBudget]
) -> Preemption | tuple[str, ...]:
    """The fewest and least important pods whose absence lets the pod in, or the reasons why even that would not do."""
    priority = check.requirements.priority
    lesser = sorted((pod for pod in node.pods.values() if pod.requirements.priority < priority), key=_importance)
    if not lesser:
        return (_NO_VICTIMS,)
    with cluster.supposing(node, left=lesser):
        rejection = cluster.reject(check, node, pod_key)
        if rejection is not None:
            return rejection.reasons
        violating, harmless = _split_by_budget(lesser, budgets)
        victims: list[PlacedPod] = []
        with ExitStack() as spared:
            for pod in (*violating, *harmless):
                given_back = ExitStack()
                given_back.enter_context(cluster.supposing(node, arrived=[pod]))
                if cluster.reject(check, node, pod_key) is None:
                    spared.push(given_back)
                else:
                    given_back.close()
                    victims.append(pod)
    violated = sum(pod in violating for pod in victims)
    return Preemption(node.name, tuple(sorted(victims, key=_importance)), violated)


def _split_by_budget(
    pods: Sequence[PlacedPod], budgets: Sequence[DisruptionBudget]
) -> tuple[list[PlacedPod], list[PlacedPod]]:
    """Pods whose removal would break a budget, and the others, if all are removed in this order."""
    violating: list[PlacedPod] = []
    harmless: list[PlacedPod] = []
    left = [budget.allowed for budget in budgets]
    for pod in pods:
        breaks = False
        for index, budget in enumerate(budgets):
            if budget.covers(pod):
                left[index] -= 1
                breaks = breaks or left[index] < 0
        (violating if breaks else harmless).append(pod)
    return violating, harmless


def _importance(pod: PlacedPod) -> tuple[int, datetime, str]:
    """Sorts the most important first: higher priority, then running for longer."""
    return -pod.requirements.priority, pod.started_at or _NEVER, pod.key


def _harm(candidate: Preemption) -> tuple[int, int, int, int, float, str]:
    """Sorts the candidate that hurts least first."""
    priorities = [pod.requirements.priority for pod in candidate.victims]
    highest = max(priorities)
    earliest = min(pod.started_at or _NEVER for pod in candidate.victims if pod.requirements.priority == highest)
    # Priorities may be negative: without the offset, more victims could sum up to less.
    total = sum(priority + 2**31 for priority in priorities)
    return candidate.budgets_violated, highest, total, len(priorities), -earliest.timestamp(), candidate.node or ""
