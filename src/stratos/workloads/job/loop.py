"""Carry out the plans for Jobs."""

from __future__ import annotations

from stratos.apis.job import JOB, Job
from stratos.base.selectors import LabelSelector
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.job.plan import is_over, plan_job
from stratos.workloads.shared import Shared, again, keys_of_controller, keys_of_suitors


def _selector(job: Job) -> LabelSelector | None:
    return compile_label_selector(job.spec.selector, "spec.selector")


class JobLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._jobs = shared.cache_of_suitors(JOB, _selector)

    def controller(self) -> Controller:
        controller = self._shared.controller("job", self.reconcile, workers=8)
        controller.watch(self._jobs)
        controller.watch(self._shared.pods, keys_of_controller(JOB))
        controller.watch(self._shared.pods, keys_of_suitors(self._jobs, _selector))
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        job = self._jobs.get(key)
        if job is None or job.metadata.deletion_timestamp is not None:
            return None
        pods = await self._shared.claim_pods(JOB, job, _selector(job))
        plan = plan_job(job, pods, self._shared.clock.now())
        if plan.delete_job:
            await self._shared.delete(JOB, job, propagation="Background")
            return None
        await self._shared.delete_pods(JOB, job, plan.delete)
        await self._shared.create_pods(JOB, job, plan.create)
        await self._shared.write_status(self._jobs, job, job.status, plan.status)
        self._say_how_it_ended(job)
        return again(plan.check_again_seconds)

    def _say_how_it_ended(self, before: Job) -> None:
        after = self._jobs.get(before.metadata.key)
        if after is None or is_over(before) or not is_over(after):
            return
        for condition in after.status.conditions:
            if condition.type == "Complete" and condition.status == "True":
                self._shared.recorder.normal(JOB, after, "Completed", "Job completed")
            elif condition.type == "Failed" and condition.status == "True":
                self._shared.recorder.warning(JOB, after, condition.reason, condition.message)
