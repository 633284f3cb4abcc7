"""How many of a template's machines may be on their way out at once, by the budgets of its ``spec.disruption``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from stratos.apis.nodetemplate import DisruptionBudget
from stratos.base.cron import SCHEDULES_BY_NAME
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import FieldProblem, Invalid
from stratos.planning.disruption.plan import Reason

_ALWAYS = timedelta(days=36500)  # a schedule without a duration: from its first minute on


def most_leaving(budgets: Sequence[DisruptionBudget], reason: Reason, nodes: int, now: datetime) -> int:
    """The smallest of the budgets that speak of ``reason`` now; without one there is no limit.

    A percentage is of ``nodes``, rounded up: a template of three nodes with a budget of 10 % may still renew them, one
    at a time. Raises `Invalid` naming the budget whose schedule is none.
    """
    limits = [nodes]
    for index, budget in enumerate(budgets):
        if (not budget.reasons or reason in budget.reasons) and _holds(budget, now, f"budgets[{index}]"):
            limits.append(_count(budget.nodes, nodes))
    return min(limits)


def _count(text: str, nodes: int) -> int:
    return -(-int(text[:-1]) * nodes // 100) if text.endswith("%") else int(text)


def _holds(budget: DisruptionBudget, now: datetime, path: str) -> bool:
    if budget.schedule is None:
        return True
    lasts = timedelta(seconds=parse_duration_seconds(budget.duration)) if budget.duration else _ALWAYS
    try:
        # The last time it began: whether it still holds depends on that one alone.
        began = next(CronSim(SCHEDULES_BY_NAME.get(budget.schedule, budget.schedule), _before(now), reverse=True), None)
    except CronSimError as error:
        field = f"spec.disruption.{path}.schedule"
        message = f"{budget.schedule!r} is not a cron schedule: {error}"
        raise Invalid(
            f"{field}: {message}",
            problems=(FieldProblem(field, "FieldValueInvalid", message),),
            hint="five fields, in UTC: 0 9 * * mon-fri is nine o'clock on working days",
        ) from error
    return began is not None and now < began + lasts


def _before(now: datetime) -> datetime:
    """Asked backwards, cronsim leaves out the moment itself: begin a minute later, so that nine o'clock is at nine."""
    return now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
