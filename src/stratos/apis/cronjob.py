"""CronJobs: Jobs on a schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stratos.apis.event import ObjectReference
from stratos.apis.meta import Kind, KubeObject, Struct

SCHEDULED_AT_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobSpec(Struct):
    schedule: str = ""
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    job_template: dict[str, Any] = {}
    successful_jobs_history_limit: int = 3
    failed_jobs_history_limit: int = 1


class CronJobStatus(Struct):
    active: tuple[ObjectReference, ...] = ()
    last_schedule_time: datetime | None = None
    last_successful_time: datetime | None = None


class CronJob(KubeObject):
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


CRON_JOB = Kind(group="batch", version="v1", plural="cronjobs", kind="CronJob", namespaced=True, type=CronJob)
