"""Which pod failures count against a Job, which end it at once, and which are nobody's fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stratos.apis.job import ExitCodesRule, Job, PodFailureRule
from stratos.apis.meta import find_condition
from stratos.apis.pod import Pod


@dataclass(frozen=True, slots=True)
class Failures:
    """``count`` is held against ``backoffLimit``; ``fatal`` says why the Job must fail now."""

    count: int
    failed_pods: int
    in_a_row: int
    last_at: datetime | None
    fatal: str | None


def judge_failures(job: Job, pods: Sequence[Pod]) -> Failures:
    counted: list[Pod] = []
    fatal = None
    for pod in sorted((pod for pod in pods if pod.status.phase == "Failed"), key=lambda each: each.metadata.name):
        rule = _first_match(job, pod)
        action = rule.action if rule else "Count"
        if action == "FailJob" and fatal is None:
            fatal = f"Pod {pod.metadata.key} failed and matched a FailJob rule of the pod failure policy"
        if action != "Ignore":
            counted.append(pod)
    # A pod that restarts its containers itself never fails as a whole: its restarts are what is limited.
    restarts = sum(
        container.restart_count
        for pod in pods
        if pod.spec.restart_policy == "OnFailure" and pod.status.phase in ("Pending", "Running")
        for container in pod.status.container_statuses or ()
    )
    ends = [end for pod in counted if (end := _ended_at(pod)) is not None]
    last_success = max(
        (end for pod in pods if pod.status.phase == "Succeeded" and (end := _ended_at(pod)) is not None), default=None
    )
    in_a_row = sum(last_success is None or end > last_success for end in ends)
    return Failures(
        count=max(job.status.failed, len(counted)) + restarts,
        failed_pods=len(counted),
        in_a_row=in_a_row,
        last_at=max(ends, default=None),
        fatal=fatal,
    )


def _ended_at(pod: Pod) -> datetime | None:
    """When its last container ended; for a pod that never started one, when it stopped being ready or was made."""
    ends = [
        container.state.terminated.finished_at
        for container in pod.status.container_statuses or ()
        if container.state.terminated and container.state.terminated.finished_at
    ]
    if ends:
        return max(ends)
    ready = find_condition(pod.status.conditions, "Ready")
    return (ready.last_transition_time if ready else None) or pod.metadata.creation_timestamp


def _first_match(job: Job, pod: Pod) -> PodFailureRule | None:
    policy = job.spec.pod_failure_policy
    return next((rule for rule in (policy.rules if policy else ()) if _matches(rule, pod)), None)


def _matches(rule: PodFailureRule, pod: Pod) -> bool:
    if rule.on_exit_codes is not None:
        return _exit_code_matches(rule.on_exit_codes, pod)
    return any(
        (condition := find_condition(pod.status.conditions, wanted.type)) is not None
        and condition.status == wanted.status
        for wanted in rule.on_pod_conditions or ()
    )


def _exit_code_matches(rule: ExitCodesRule, pod: Pod) -> bool:
    """A container that ended well decides nothing, whatever the operator."""
    codes = [
        container.state.terminated.exit_code
        for container in pod.status.container_statuses or ()
        if container.state.terminated and rule.container_name in (None, container.name)
    ]
    return any(code != 0 and (code in rule.values) == (rule.operator == "In") for code in codes)
