"""Decide what a Job does next: which pods to start or stop, and whether it is over.

Counts never shrink: what its status has once counted stays counted when the pods are cleaned away. Which failures count
at all is answered by `failures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stratos.apis.job import (
    COMPLETION_INDEX,
    CONTROLLER_UID_LABEL,
    JOB,
    JOB_NAME_LABEL,
    LEGACY_CONTROLLER_UID_LABEL,
    LEGACY_JOB_NAME_LABEL,
    Job,
    JobStatus,
)
from stratos.apis.meta import Condition, find_condition, is_condition_true, with_condition
from stratos.apis.pod import Pod
from stratos.workloads.job.failures import Failures, judge_failures
from stratos.workloads.job.indexes import format_indexes, parse_indexes
from stratos.workloads.pods import earliest, is_active, is_ready, pod_from_template
from stratos.workloads.replicaset.plan import deletion_order

_FIRST_BACKOFF_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 600.0
# The first condition says that the outcome is decided, the second that nothing runs any more.
_DECIDED = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}


@dataclass(frozen=True, slots=True)
class JobPlan:
    create: tuple[dict[str, Any], ...]
    delete: tuple[Pod, ...]
    status: JobStatus
    delete_job: bool  # its time to live after the end is over
    check_again_seconds: float | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a Job ends: the condition it gets, and why."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Progress:
    """What its pods and its earlier status add up to."""

    active: tuple[Pod, ...]
    lingering: bool  # some pod has not ended yet, be it on its way out
    succeeded: int
    failures: Failures
    completed: frozenset[int]


def is_over(job: Job) -> bool:
    return is_condition_true(job.status.conditions, "Complete") or is_condition_true(job.status.conditions, "Failed")


def plan_job(job: Job, pods: Sequence[Pod], now: datetime) -> JobPlan:
    """``pods`` are those it owns."""
    if is_over(job):
        return _plan_finished(job, pods, now)
    progress = _progress(job, pods)
    started = job.status.start_time or (None if job.spec.suspend else now)
    verdict = _verdict(job, progress, started, now)
    if verdict is not None:
        return _plan_end(job, progress, started, verdict, now)
    if job.spec.suspend:
        return _plan_suspended(job, progress, now)
    create, delete, wait = _next_pods(job, progress, now)
    deadline = _seconds_left(job, started, now)
    conditions = job.status.conditions
    if is_condition_true(conditions, "Suspended"):
        conditions = with_condition(conditions, "Suspended", False, reason="JobResumed", message="Job resumed", now=now)
    status = _status(job, progress, started, conditions, active=len(progress.active) + len(create) - len(delete))
    return JobPlan(tuple(create), tuple(delete), status, False, earliest(wait, deadline))


def _plan_finished(job: Job, pods: Sequence[Pod], now: datetime) -> JobPlan:
    """Whatever still runs is stopped; in the end the Job itself goes, if it was given a time to live."""
    active = tuple(pod for pod in pods if is_active(pod))
    over, wait = False, None
    ended = _ended_at(job)
    if job.spec.ttl_seconds_after_finished is not None and ended is not None:
        wait = (ended + timedelta(seconds=job.spec.ttl_seconds_after_finished) - now).total_seconds()
        over = wait <= 0
    return JobPlan((), active, job.status, over, None if over else wait)


def _ended_at(job: Job) -> datetime | None:
    ends = [each for each in job.status.conditions if each.type in ("Complete", "Failed") and each.status == "True"]
    return ends[0].last_transition_time if ends else None


def _progress(job: Job, pods: Sequence[Pod]) -> _Progress:
    finished = [pod for pod in pods if pod.status.phase == "Succeeded"]
    completed = frozenset[int]()
    succeeded = max(job.status.succeeded, len(finished))
    if job.spec.completion_mode == "Indexed":
        done = {index for pod in finished if (index := _index_of(pod)) is not None}
        completed = frozenset(parse_indexes(job.status.completed_indexes) | done) & frozenset(
            range(job.spec.completions or 0)
        )
        succeeded = len(completed)
    active = tuple(pod for pod in pods if is_active(pod))
    lingering = any(not pod.finished for pod in pods)
    return _Progress(active, lingering, succeeded, judge_failures(job, pods), completed)


def _index_of(pod: Pod) -> int | None:
    text = pod.metadata.annotations.get(COMPLETION_INDEX, "")
    return int(text) if text.isdigit() else None


def _verdict(job: Job, progress: _Progress, started: datetime | None, now: datetime) -> _Verdict | None:
    spec = job.spec
    for decided, type_ in _DECIDED.items():  # what was decided once stays, whatever becomes of the pods
        seen = find_condition(job.status.conditions, decided)
        if seen is not None and seen.status == "True":
            return _Verdict(type_, seen.reason, seen.message)
    if progress.failures.fatal is not None:
        return _Verdict("Failed", "PodFailurePolicy", progress.failures.fatal)
    if progress.failures.count > spec.backoff_limit:
        return _Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = _seconds_left(job, started, now)
    if left is not None and left <= 0 and not spec.suspend:
        return _Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.completions is None:
        complete = progress.succeeded > 0 and not progress.active
    else:
        complete = progress.succeeded >= spec.completions
    return _Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if complete else None


def _seconds_left(job: Job, started: datetime | None, now: datetime) -> float | None:
    if job.spec.active_deadline_seconds is None or started is None or job.spec.suspend:
        return None
    return (started + timedelta(seconds=job.spec.active_deadline_seconds) - now).total_seconds()


def _plan_end(job: Job, progress: _Progress, started: datetime | None, verdict: _Verdict, now: datetime) -> JobPlan:
    conditions = job.status.conditions
    for type_ in (next(decided for decided, end in _DECIDED.items() if end == verdict.type), verdict.type):
        if type_ == verdict.type and progress.lingering:
            break
        conditions = with_condition(conditions, type_, True, reason=verdict.reason, message=verdict.message, now=now)
    status = _status(job, progress, started, conditions, active=0)
    if is_condition_true(conditions, "Complete"):
        status = msgspec.structs.replace(status, completion_time=now)
    return JobPlan((), progress.active, status, False, None)


def _plan_suspended(job: Job, progress: _Progress, now: datetime) -> JobPlan:
    conditions = with_condition(
        job.status.conditions, "Suspended", True, reason="JobSuspended", message="Job suspended", now=now
    )
    return JobPlan((), progress.active, _status(job, progress, None, conditions, active=0), False, None)


def _status(
    job: Job, progress: _Progress, started: datetime | None, conditions: tuple[Condition, ...], *, active: int
) -> JobStatus:
    return JobStatus(
        active=active,
        ready=sum(is_ready(pod) for pod in progress.active) if active else 0,
        succeeded=progress.succeeded,
        failed=max(job.status.failed, progress.failures.failed_pods),
        start_time=started,
        completion_time=job.status.completion_time,
        completed_indexes=format_indexes(progress.completed),
        conditions=conditions,
    )


def _next_pods(job: Job, progress: _Progress, now: datetime) -> tuple[list[dict[str, Any]], list[Pod], float | None]:
    """Pods to create and to delete, and in how many seconds to try again when failures ask for patience."""
    spec, active = job.spec, progress.active
    if spec.completions is None:
        # A work queue: the first success says that the queue is empty, and the others are left to finish.
        wanted = len(active) if progress.succeeded else spec.parallelism
    else:
        wanted = min(spec.parallelism, spec.completions - progress.succeeded)
    surplus = list(deletion_order(active)[: max(0, len(active) - wanted)])
    if spec.completion_mode == "Indexed":
        surplus = _unwanted_indexes(active, progress.completed, wanted, spec.completions or 0)
    missing = wanted - (len(active) - len(surplus))
    if missing <= 0:
        return [], surplus, None
    wait = _backoff_seconds(progress.failures, now)
    if wait > 0:
        return [], surplus, wait
    if spec.completion_mode != "Indexed":
        return [_pod(job, None) for _ in range(missing)], surplus, None
    taken = progress.completed | {_index_of(pod) for pod in active if pod not in surplus}
    free = [index for index in range(spec.completions or 0) if index not in taken]
    return [_pod(job, index) for index in free[:missing]], surplus, None


def _unwanted_indexes(active: Sequence[Pod], completed: frozenset[int], wanted: int, completions: int) -> list[Pod]:
    """Pods of indexes that are done, out of range or taken twice; then the highest indexes beyond what is wanted."""
    seen, kept, unwanted = set(completed), list[tuple[int, Pod]](), list[Pod]()
    for pod in active:
        index = _index_of(pod)
        if index is None or index in seen or index >= completions:
            unwanted.append(pod)
        else:
            seen.add(index)
            kept.append((index, pod))
    kept.sort(key=lambda each: each[0])
    return unwanted + [pod for _, pod in kept[wanted:]]


def _backoff_seconds(failures: Failures, now: datetime) -> float:
    """Failures in a row make the next attempt wait: 10 s, 20 s, 40 s … from the end of the last one."""
    if not failures.in_a_row or failures.last_at is None:
        return 0.0
    pause = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(failures.in_a_row - 1, 10))
    return max(0.0, (failures.last_at + timedelta(seconds=pause) - now).total_seconds())


def _pod(job: Job, index: int | None) -> dict[str, Any]:
    labels = {
        JOB_NAME_LABEL: job.metadata.name,
        LEGACY_JOB_NAME_LABEL: job.metadata.name,
        CONTROLLER_UID_LABEL: job.metadata.uid,
        LEGACY_CONTROLLER_UID_LABEL: job.metadata.uid,
    }
    if index is None:
        return pod_from_template(job.spec.template, JOB, job, labels=labels)
    number = {COMPLETION_INDEX: str(index)}
    pod = pod_from_template(job.spec.template, JOB, job, labels=labels | number, annotations=number)
    name = f"{job.metadata.name}-{index}"
    pod["metadata"]["generateName"] = f"{name}-"
    pod["spec"].setdefault("hostname", name)
    for container in (*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())):
        variables = [each for each in container.get("env") or [] if each.get("name") != "JOB_COMPLETION_INDEX"]
        container["env"] = [*variables, {"name": "JOB_COMPLETION_INDEX", "value": str(index)}]
    return pod
