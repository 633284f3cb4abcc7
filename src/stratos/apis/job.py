"""Jobs: pods that run to completion."""

from __future__ import annotations

from datetime import datetime

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.workload import PodTemplate

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
LEGACY_JOB_NAME_LABEL = "job-name"
CONTROLLER_UID_LABEL = "batch.kubernetes.io/controller-uid"
LEGACY_CONTROLLER_UID_LABEL = "controller-uid"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"


class ExitCodesRule(Struct):
    operator: str
    values: tuple[int, ...]
    container_name: str | None = None


class PodConditionRule(Struct):
    type: str
    status: str = "True"


class PodFailureRule(Struct):
    action: str
    on_exit_codes: ExitCodesRule | None = None
    on_pod_conditions: tuple[PodConditionRule, ...] | None = None


class PodFailurePolicy(Struct):
    rules: tuple[PodFailureRule, ...] = ()


class JobSpec(Struct):
    parallelism: int = 1
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    manual_selector: bool = False
    selector: LabelSelectorSpec | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    template: PodTemplate = {}


class JobStatus(Struct):
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: datetime | None = None
    completion_time: datetime | None = None
    completed_indexes: str = ""
    conditions: tuple[Condition, ...] = ()


class Job(KubeObject):
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


JOB = Kind(group="batch", version="v1", plural="jobs", kind="Job", namespaced=True, type=Job)
