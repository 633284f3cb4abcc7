"""What PodDisruptionBudgets say about a pod that is to move: whether it may be evicted, and how far one may surge."""

from __future__ import annotations

from collections.abc import Iterable

from stratos.apis.meta import is_condition_true
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.base.errors import Invalid
from stratos.base.selectors import LabelSelector
from stratos.planning.scheduling.selection import compile_label_selector


class PodBudgets:
    """The budgets of a cluster, ready to be asked about pods."""

    def __init__(self, budgets: Iterable[PodDisruptionBudget]) -> None:
        self._by_namespace: dict[str, list[tuple[PodDisruptionBudget, LabelSelector | None]]] = {}
        for budget in sorted(budgets, key=lambda each: each.metadata.key):
            try:
                selector = compile_label_selector(budget.spec.selector, "spec.selector")
            except Invalid:
                continue  # it selects no pod: the API server would not let it in
            self._by_namespace.setdefault(budget.metadata.namespace, []).append((budget, selector))

    def of(self, pod: Pod) -> tuple[PodDisruptionBudget, ...]:
        return tuple(
            budget
            for budget, selector in self._by_namespace.get(pod.metadata.namespace, ())
            if selector is not None and selector.matches(pod.metadata.labels)
        )

    def reject_eviction(self, pod: Pod) -> str:
        """Why the pod may not be evicted now. Empty when it may."""
        budgets = self.of(pod)
        if len(budgets) > 1:
            names = " and ".join(budget.metadata.key for budget in budgets)
            return f"more than one PodDisruptionBudget covers it ({names}), which eviction does not support"
        for budget in budgets:
            if budget.status.disruptions_allowed < 1 and not _spares(budget, pod):
                return f"PodDisruptionBudget {budget.metadata.key} needs {_healthy(budget)}"
        return ""

    def most_surge(self, pod: Pod, wanted: int) -> int:
        """How many pods may be started beside those that are there without a budget seeming broken meanwhile.

        A budget of a percentage, or of pods that may be missing, counts the newcomers as pods that are not healthy yet.
        """
        budgets = self.of(pod)
        while wanted and not all(_bears(budget, wanted) for budget in budgets):
            wanted -= 1
        return wanted

    def reject_surge(self, pod: Pod) -> str:
        """Why the pod may not move even if another is started first. Empty when it may."""
        for budget in self.of(pod):
            if not _bears(budget, 1):
                return f"PodDisruptionBudget {budget.metadata.key} needs {_healthy(budget)}"
        return ""


def _bears(budget: PodDisruptionBudget, surge: int) -> bool:
    return desired_healthy(budget, surge=surge) <= budget.status.current_healthy


def _spares(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """Whether a pod that is not healthy anyway may go, as the API server sees it."""
    if is_condition_true(pod.status.conditions, "Ready"):
        return False
    status = budget.status
    return budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" or (
        0 < status.desired_healthy <= status.current_healthy
    )


def desired_healthy(budget: PodDisruptionBudget, *, surge: int) -> int:
    """How many healthy pods the budget would ask for with so many pods more."""
    spec, expected = budget.spec, budget.status.expected_pods + surge
    if spec.max_unavailable is not None:
        return max(0, expected - _share(spec.max_unavailable, expected))
    return _share(spec.min_available, expected) if spec.min_available is not None else 0


def _share(value: int | str, total: int) -> int:
    if isinstance(value, int):
        return value
    return -(-int(value.removesuffix("%")) * total // 100)


def _healthy(budget: PodDisruptionBudget) -> str:
    status = budget.status
    return f"{status.desired_healthy} healthy pods of {status.expected_pods} and has {status.current_healthy}"
