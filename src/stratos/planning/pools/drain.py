"""Which pods have to leave a node before its machine may stop, and how.

Pods leave through the Eviction API, which keeps PodDisruptionBudgets. When the time for that is over, what is left may
be deleted, but never a pod that a budget speaks of: such a pod is waited for, however long.

Pods that stay: those of DaemonSets and mirror pods (they belong to the node), and finished ones. Pods with an emptyDir
do leave: the data would be lost with the machine in any case, and a machine that cannot be emptied is never returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.base.errors import Invalid
from stratos.planning.scheduling.selection import compile_label_selector

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

CONFIRMATION_LIMIT = timedelta(minutes=2)
"""How long after a pod's grace its node may take to confirm its end. One whose kubelet is dead never does."""


@dataclass(frozen=True, slots=True)
class DrainPlan:
    evict: tuple[str, ...] = ()  # namespace/name, to ask the Eviction API for
    delete: tuple[str, ...] = ()  # to be deleted without further grace: their time is over
    leaving: tuple[str, ...] = ()  # asked to go, and not gone yet
    report: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return not (self.evict or self.delete or self.leaving)


def belongs_to_node(pod: Pod) -> bool:
    """Whether the pod is part of the node's own equipment, which no workload waits for."""
    owner = pod.metadata.controller
    return (owner is not None and owner.kind == "DaemonSet") or MIRROR_ANNOTATION in pod.metadata.annotations


def workload_pods(pods: Sequence[Pod]) -> tuple[Pod, ...]:
    """The pods that somebody wants to run: what makes a node not empty, and what a drain moves."""
    return tuple(pod for pod in pods if not pod.finished and not belongs_to_node(pod))


def plan_drain(
    pods: Sequence[Pod],
    budgets: Sequence[PodDisruptionBudget],
    *,
    now: datetime,
    started_at: datetime,
    timeout_seconds: float,
    force_after_timeout: bool,
) -> DrainPlan:
    """What to do next to empty a node; ``started_at`` is when its drain began."""
    overdue = force_after_timeout and now >= started_at + timedelta(seconds=timeout_seconds)
    evict: list[str] = []
    delete: list[str] = []
    leaving: list[str] = []
    report: list[str] = []
    for pod in sorted(workload_pods(pods), key=lambda pod: pod.metadata.key):
        key = pod.metadata.key
        protector = protecting_budget(pod, budgets)
        if pod.metadata.deletion_timestamp is not None:
            # A disruption it has been granted already, so no budget is asked again; its own grace may still run.
            ends = pod.metadata.deletion_timestamp
            if overdue and now >= ends:
                delete.append(key)
            elif now < ends + CONFIRMATION_LIMIT:
                leaving.append(key)
            else:
                report.append(f"{key} is not waited for: nobody on its node confirms that it has ended")
        elif not overdue:
            evict.append(key)
        elif protector is None:
            delete.append(key)
            report.append(f"{key} is deleted: the drain took longer than {timeout_seconds:g} s")
        else:
            evict.append(key)
            report.append(f"{key} stays until PodDisruptionBudget {protector.metadata.key} lets it go")
    return DrainPlan(tuple(evict), tuple(delete), tuple(leaving), tuple(report))


def protecting_budget(pod: Pod, budgets: Sequence[PodDisruptionBudget]) -> PodDisruptionBudget | None:
    """The budget that has a say in whether the pod may be evicted, if there is one."""
    return next((budget for budget in budgets if _speaks_of(budget, pod)), None)


def _speaks_of(budget: PodDisruptionBudget, pod: Pod) -> bool:
    if budget.metadata.namespace != pod.metadata.namespace:
        return False
    try:
        selector = compile_label_selector(budget.spec.selector, "spec.selector")
    except Invalid:
        return True  # nobody can say whom it means, so nobody is deleted against it
    return selector is not None and selector.matches(pod.metadata.labels)
