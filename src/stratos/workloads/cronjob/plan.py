"""Decide whether a CronJob starts a Job now, and when to look again.

A Job is named after the minute it was scheduled for, so that no minute is served twice however often it is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from stratos.apis.cronjob import CRON_JOB, SCHEDULED_AT_ANNOTATION, CronJob, CronJobStatus
from stratos.apis.event import ObjectReference
from stratos.apis.job import JOB, Job
from stratos.apis.meta import is_condition_true
from stratos.base.cron import SCHEDULES_BY_NAME
from stratos.base.errors import Invalid
from stratos.workloads.job.plan import is_over
from stratos.workloads.pods import controller_reference

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CronJobPlan:
    create: dict[str, Any] | None
    delete: tuple[Job, ...]  # replaced ones that still run, and history beyond its limits
    status: CronJobStatus
    check_again_seconds: float | None
    report: tuple[str, ...]  # what was left out, and why


def plan_cron_job(cron_job: CronJob, jobs: Sequence[Job], now: datetime) -> CronJobPlan:
    """``jobs`` are those it owns. Raises `Invalid` when its schedule or time zone makes no sense."""
    running = sorted((job for job in jobs if not is_over(job)), key=lambda each: each.metadata.name)
    finished = [job for job in jobs if is_over(job)]
    surplus = _surplus(finished, cron_job.spec.successful_jobs_history_limit, "Complete") + _surplus(
        finished, cron_job.spec.failed_jobs_history_limit, "Failed"
    )
    create, replaced, report = None, list[Job](), list[str]()
    last = cron_job.status.last_schedule_time
    check_again = None
    if not cron_job.spec.suspend and cron_job.metadata.deletion_timestamp is None:
        due, next_at, missed = _due(cron_job, now)
        check_again = (next_at - now).total_seconds() if next_at else None
        if missed > 1:
            report.append(f"missed {missed - 1} earlier start times")
        if due is not None and _too_late(cron_job, due, now):
            report.append(f"missed the start time {due:%Y-%m-%dT%H:%M:%SZ}: its starting deadline has passed")
        elif due is not None and running and cron_job.spec.concurrency_policy == "Forbid":
            report.append(f"did not start at {due:%Y-%m-%dT%H:%M:%SZ}: {running[0].metadata.name} is still running")
        elif due is not None:
            if cron_job.spec.concurrency_policy == "Replace":
                replaced, running = running, []
            create, last = job_for(cron_job, due), due
    return CronJobPlan(
        create=create,
        delete=tuple(replaced + surplus),
        status=CronJobStatus(
            active=tuple(_reference(job) for job in running),
            last_schedule_time=last,
            last_successful_time=max(
                (job.status.completion_time for job in finished if job.status.completion_time),
                default=cron_job.status.last_successful_time,
            ),
        ),
        check_again_seconds=check_again,
        report=tuple(report),
    )


def _due(cron_job: CronJob, now: datetime) -> tuple[datetime | None, datetime | None, int]:
    """The latest start time not served yet, the next one to come, and how many were passed over (at most 100)."""
    seen = cron_job.status.last_schedule_time or cron_job.metadata.creation_timestamp or now
    deadline = cron_job.spec.starting_deadline_seconds
    if deadline is not None:
        seen = max(seen, now - timedelta(seconds=deadline))
    zone = _zone(cron_job)
    expression = SCHEDULES_BY_NAME.get(cron_job.spec.schedule.strip(), cron_job.spec.schedule)
    try:
        latest = next(CronSim(expression, (now + timedelta(seconds=1)).astimezone(zone), reverse=True), None)
        upcoming = next(CronSim(expression, now.astimezone(zone)), None)
        passed = takewhile(lambda each: each <= now, CronSim(expression, seen.astimezone(zone)))
        missed = sum(1 for _ in islice(passed, 100))
    except CronSimError as error:
        raise Invalid(f"CronJob {cron_job.metadata.key}: spec.schedule {cron_job.spec.schedule!r}: {error}") from error
    due = latest.astimezone(UTC) if latest is not None and latest > seen else None
    return due, upcoming.astimezone(UTC) if upcoming else None, missed


def _zone(cron_job: CronJob) -> ZoneInfo:
    name = cron_job.spec.time_zone or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid(f"CronJob {cron_job.metadata.key}: spec.timeZone {name!r} is not a known time zone") from error


def _too_late(cron_job: CronJob, due: datetime, now: datetime) -> bool:
    deadline = cron_job.spec.starting_deadline_seconds
    return deadline is not None and now > due + timedelta(seconds=deadline)


def job_for(cron_job: CronJob, due: datetime) -> dict[str, Any]:
    template = deepcopy(cron_job.spec.job_template)
    metadata = template.get("metadata") or {}
    zone = _zone(cron_job)
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": f"{cron_job.metadata.name}-{int(due.timestamp()) // 60}",
            "namespace": cron_job.metadata.namespace,
            "labels": metadata.get("labels") or {},
            "annotations": {
                **(metadata.get("annotations") or {}),
                SCHEDULED_AT_ANNOTATION: due.astimezone(zone).isoformat().replace("+00:00", "Z"),
            },
            "ownerReferences": [controller_reference(CRON_JOB, cron_job)],
        },
        "spec": template.get("spec", {}),
    }


def _reference(job: Job) -> ObjectReference:
    metadata = job.metadata
    return ObjectReference(
        api_version=JOB.api_version, kind=JOB.kind, namespace=metadata.namespace, name=metadata.name, uid=metadata.uid
    )


def _surplus(finished: Sequence[Job], limit: int, condition: str) -> list[Job]:
    """All but the ``limit`` youngest that ended this way."""
    ended = [job for job in finished if is_condition_true(job.status.conditions, condition)]
    ended.sort(key=lambda job: (job.status.start_time or _LONG_AGO, job.metadata.name))
    return ended[: max(0, len(ended) - limit)]
