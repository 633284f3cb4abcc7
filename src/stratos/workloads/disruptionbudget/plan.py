"""Work out the status of a PodDisruptionBudget.

The API server takes disruptions off ``disruptionsAllowed`` as it grants evictions, and remembers each evicted pod in
``disruptedPods`` until it is seen to go; here the count is made anew, with those pods held to be gone already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stratos.apis.meta import with_condition
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetStatus
from stratos.workloads.bounds import scaled
from stratos.workloads.pods import earliest, is_ready

_EVICTION_TAKES_SECONDS = 120  # an eviction that was granted but did not happen is forgotten after this


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    status: PodDisruptionBudgetStatus
    check_again_seconds: float | None


def plan_budget(
    budget: PodDisruptionBudget, pods: Sequence[Pod], expected_by_controllers: int | None, now: datetime
) -> BudgetPlan:
    """``pods`` are those it selects.

    ``expected_by_controllers`` is how many their controllers want in all; ``None`` when one of them is unknown or has
    no scale, and then a budget that depends on it allows nothing.
    """
    disrupted, wait = _still_going(budget, pods, now)
    healthy = sum(
        is_ready(pod) and pod.metadata.deletion_timestamp is None and pod.metadata.name not in disrupted for pod in pods
    )
    counts = _expected_and_desired(budget, len(pods), expected_by_controllers)
    expected, desired = counts or (len(pods), healthy)
    allowed = max(0, healthy - desired) if expected > 0 and counts else 0
    if counts is None:
        reason = "SyncFailed"
        message = "the pods have no controller with a scale, which maxUnavailable and percentages need"
    else:
        reason = "SufficientPods" if allowed else "InsufficientPods"
        message = ""
    conditions = with_condition(
        budget.status.conditions,
        "DisruptionAllowed",
        allowed > 0,
        reason=reason,
        message=message,
        now=now,
        observed_generation=budget.metadata.generation,
    )
    status = PodDisruptionBudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=disrupted,
        disruptions_allowed=allowed,
        current_healthy=healthy,
        desired_healthy=desired,
        expected_pods=expected,
        conditions=conditions,
    )
    return BudgetPlan(status, wait)


def _still_going(
    budget: PodDisruptionBudget, pods: Sequence[Pod], now: datetime
) -> tuple[dict[str, datetime], float | None]:
    """Evictions granted and not seen to happen yet, and when the first of them will be given up."""
    present = {pod.metadata.name for pod in pods if pod.metadata.deletion_timestamp is None}
    limit = timedelta(seconds=_EVICTION_TAKES_SECONDS)
    going = {
        name: since
        for name, since in sorted(budget.status.disrupted_pods.items())
        if name in present and since + limit > now
    }
    return going, earliest(*((since + limit - now).total_seconds() for since in going.values()))


def _expected_and_desired(
    budget: PodDisruptionBudget, present: int, expected_by_controllers: int | None
) -> tuple[int, int] | None:
    spec = budget.spec
    if spec.max_unavailable is not None:
        if expected_by_controllers is None:
            return None
        unavailable = scaled(spec.max_unavailable, expected_by_controllers, round_up=True)
        return expected_by_controllers, max(0, expected_by_controllers - unavailable)
    if spec.min_available is None:
        return present, 0
    if isinstance(spec.min_available, int):
        return present, spec.min_available
    if expected_by_controllers is None:
        return None
    return expected_by_controllers, scaled(spec.min_available, expected_by_controllers, round_up=True)
