"""Which pods have to leave a node before its machine may stop, and how.

Pods leave through the Eviction API, which keeps PodDisruptionBudgets. When the time for that is over, what is left may
be deleted, but never a pod that a budget speaks of: such a pod is waited for, however long.

A machine that the cloud takes back is drained against a deadline. Pods get no more grace than is left of it, and
budgets are kept until shortly before: then the pods they protect are ended, too. The machine goes down in any case, and
a pod that is told so can still hand over its work, while its workload loses nothing that it would have kept.

Pods that stay: those of DaemonSets and mirror pods (they belong to the node), and finished ones. Pods with an emptyDir
do leave: the data would be lost with the machine in any case, and a machine that cannot be emptied is never returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget
from stratos.base.errors import Invalid
from stratos.planning.scheduling.selection import compile_label_selector

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

CONFIRMATION_LIMIT = timedelta(minutes=2)
"""How long after a pod's grace its node may take to confirm its end. One whose kubelet is dead never does."""


SPARE = timedelta(seconds=10)
"""How long before its deadline a machine should be empty."""

BUDGETS_GIVE_WAY = timedelta(seconds=30)
"""How long before its deadline pods are ended although a budget protects them."""

_USUAL_GRACE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class DrainPlan:
    evict: tuple[str, ...] = ()  # namespace/name, to ask the Eviction API for
    delete: tuple[str, ...] = ()  # to be deleted: their time is over
    grace_seconds: Mapping[str, int] = field(default_factory=dict)  # of those that get less than they ask for
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


def grace_of(pod: Pod) -> timedelta:
    """What it asks for between being told to end and being ended."""
    seconds = pod.spec.termination_grace_period_seconds
    return _USUAL_GRACE if seconds is None else timedelta(seconds=seconds)


def plan_drain(
    pods: Sequence[Pod],
    budgets: Sequence[PodDisruptionBudget],
    *,
    now: datetime,
    started_at: datetime,
    timeout_seconds: float,
    force_after_timeout: bool,
    deadline: datetime | None = None,
) -> DrainPlan:
    """What to do next to empty a node; ``started_at`` is when its drain began, ``deadline`` when it goes down."""
    if deadline is not None:
        return _plan_hasty_drain(pods, now, deadline)
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
    return DrainPlan(tuple(evict), tuple(delete), dict.fromkeys(delete, 0), tuple(leaving), tuple(report))


def _plan_hasty_drain(pods: Sequence[Pod], now: datetime, deadline: datetime) -> DrainPlan:
    """Nothing is waited for beyond the deadline: what is left there ends with the machine."""
    staying = sorted(workload_pods(pods), key=lambda pod: pod.metadata.key)
    told = tuple(pod.metadata.key for pod in staying if pod.metadata.deletion_timestamp is not None)
    untold = [pod for pod in staying if pod.metadata.deletion_timestamp is None]
    left = max(timedelta(seconds=1), deadline - SPARE - now)
    keys = tuple(pod.metadata.key for pod in untold)
    grace = {pod.metadata.key: int(left.total_seconds()) for pod in untold if grace_of(pod) > left}
    if now < deadline - BUDGETS_GIVE_WAY:
        return DrainPlan(evict=keys, grace_seconds=grace, leaving=told)
    if now >= deadline:
        return DrainPlan(report=tuple(f"{key} ends with its machine" for key in (*told, *keys)))
    report = tuple(f"{key} is deleted: its machine goes down at {deadline:%H:%M:%S}" for key in keys)
    return DrainPlan(delete=keys, grace_seconds=grace, leaving=told, report=report)


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
