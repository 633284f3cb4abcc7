"""The workloads of the cluster, for what their pod templates say about machines that are still to be prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from stratos.apis.cronjob import CRON_JOB
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.job import JOB
from stratos.apis.pod import PodSpec
from stratos.apis.statefulset import STATEFUL_SET
from stratos.kube.controller import Manager
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class Workloads:
    """Deployments, StatefulSets, Jobs and CronJobs: what can put pods on a pool, now or later."""

    def __init__(self, manager: Manager) -> None:
        self._deployments = manager.cache(DEPLOYMENT)
        self._stateful_sets = manager.cache(STATEFUL_SET)
        self._jobs = manager.cache(JOB)
        self._cron_jobs = manager.cache(CRON_JOB)

    def pod_specs(self) -> Iterator[PodSpec]:
        for template in self._templates():
            try:
                yield msgspec.convert(template.get("spec") or {}, PodSpec)
            except msgspec.ValidationError as error:
                log.debug("a pod template is not understood", reason=str(error))

    def _templates(self) -> Iterable[dict[str, Any]]:
        for workload in (*self._deployments, *self._stateful_sets, *self._jobs):
            yield workload.spec.template
        for cron_job in self._cron_jobs:
            yield (cron_job.spec.job_template.get("spec") or {}).get("template") or {}
