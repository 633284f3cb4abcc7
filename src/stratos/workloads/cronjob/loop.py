"""Carry out the plans for CronJobs."""

from __future__ import annotations

from typing import Any

from stratos.apis.cronjob import CRON_JOB, CronJob
from stratos.apis.job import JOB
from stratos.base.errors import AlreadyExists, Invalid
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.cronjob.plan import plan_cron_job
from stratos.workloads.shared import BY_CONTROLLER, Shared, again, keys_of_controller


class CronJobLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._cron_jobs = shared.cache(CRON_JOB)
        self._jobs = shared.cache(JOB)

    def controller(self) -> Controller:
        controller = self._shared.controller("cronjob", self.reconcile)
        controller.watch(self._cron_jobs)
        controller.watch(self._jobs, keys_of_controller(CRON_JOB))
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        cron_job = self._cron_jobs.get(key)
        if cron_job is None:
            return None
        jobs = self._jobs.by_index(BY_CONTROLLER, cron_job.metadata.uid)
        try:
            plan = plan_cron_job(cron_job, jobs, self._shared.clock.now())
        except Invalid as error:
            # Only a change of the CronJob can help, and that brings us here again.
            self._shared.recorder.warning(CRON_JOB, cron_job, "InvalidSchedule", error.message)
            return None
        for line in plan.report:
            self._shared.recorder.warning(CRON_JOB, cron_job, "MissSchedule", line)
        for job in plan.delete:
            if await self._shared.delete(JOB, job, propagation="Background"):
                self._shared.recorder.normal(CRON_JOB, cron_job, "SuccessfulDelete", f"Deleted job {job.metadata.name}")
        if plan.create is not None:
            await self._start(cron_job, plan.create)
        await self._shared.write_status(self._cron_jobs, cron_job, cron_job.status, plan.status)
        return again(plan.check_again_seconds)

    async def _start(self, cron_job: CronJob, body: dict[str, Any]) -> None:
        try:
            job = await self._shared.create(self._jobs, body)
        except AlreadyExists:
            return  # started before, and the answer or the note of it was lost
        self._shared.recorder.normal(CRON_JOB, cron_job, "SuccessfulCreate", f"Created job {job.metadata.name}")
