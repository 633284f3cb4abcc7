"""The laws of Jobs, and the arithmetic of schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stratos.apis.cronjob import CronJob, CronJobSpec, CronJobStatus
from stratos.apis.job import (
    COMPLETION_INDEX,
    ExitCodesRule,
    Job,
    JobSpec,
    JobStatus,
    PodConditionRule,
    PodFailurePolicy,
    PodFailureRule,
)
from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.pod import Pod
from stratos.base.errors import Invalid
from stratos.workloads.cronjob.plan import plan_cron_job
from stratos.workloads.job.failures import judge_failures
from stratos.workloads.job.indexes import format_indexes, parse_indexes
from stratos.workloads.job.plan import plan_job
from workloads.objects import NOW, a_pod, a_template, ago


def a_job(name: str = "work", *, status: JobStatus | None = None, **spec: Any) -> Job:
    spec = {"completions": 1, **spec}
    return Job(
        metadata=ObjectMeta(name=name, namespace="default", uid=name, creation_timestamp=ago(600)),
        spec=JobSpec(template=a_template(), **spec),
        status=status or JobStatus(start_time=ago(300)),
    )


def a_worker(name: str, phase: str = "Running", *, index: int | None = None, **state: Any) -> Pod:
    annotations = {COMPLETION_INDEX: str(index)} if index is not None else {}
    code = {"Succeeded": 0, "Failed": 1}.get(phase)
    return a_pod(name, phase=phase, annotations=annotations, exit_code=state.pop("exit_code", code), **state)


workers = st.lists(
    st.builds(
        a_worker,
        name=st.uuids().map(str),
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
        index=st.integers(0, 6),
        leaving=st.booleans(),
        ended_seconds=st.floats(0, 2000),
    ),
    max_size=10,
)


@given(
    pods=workers,
    parallelism=st.integers(0, 5),
    completions=st.integers(0, 6),
    mode=st.sampled_from(["Indexed", "NonIndexed"]),
)
def test_a_job_never_runs_more_than_it_may_nor_an_index_twice(
    pods: list[Pod], parallelism: int, completions: int, mode: str
) -> None:
    job = a_job(parallelism=parallelism, completions=completions, completion_mode=mode, backoff_limit=100)

    plan = plan_job(job, pods, NOW)

    active = [pod for pod in pods if not pod.finished and pod.metadata.deletion_timestamp is None]
    kept = [pod for pod in active if pod not in plan.delete]
    left = max(0, completions - plan.status.succeeded)
    assert len(kept) + len(plan.create) <= min(parallelism, left)
    if mode == "Indexed":
        indexes = [pod.metadata.annotations[COMPLETION_INDEX] for pod in kept]
        indexes += [body["metadata"]["annotations"][COMPLETION_INDEX] for body in plan.create]
        assert len(indexes) == len(set(indexes))
        assert not {int(index) for index in indexes} & parse_indexes(plan.status.completed_indexes)
        assert all(int(index) < completions for index in indexes)


@given(indexes=st.sets(st.integers(0, 300)))
def test_sets_of_indexes_are_written_and_read_back(indexes: set[int]) -> None:
    assert parse_indexes(format_indexes(indexes)) == indexes


def test_indexes_are_written_as_runs() -> None:
    assert format_indexes([5, 0, 1, 2, 9, 8]) == "0-2,5,8-9"


def test_successes_once_counted_stay_counted_when_their_pods_are_cleaned_away() -> None:
    """Somebody tidying up finished pods must not make a job run again."""
    counted = a_job(completions=3, parallelism=3, status=JobStatus(start_time=ago(60), succeeded=2))

    plan = plan_job(counted, [], NOW)

    assert plan.status.succeeded == 2
    assert len(plan.create) == 1


def test_a_work_queue_starts_nobody_new_after_the_first_success_and_ends_with_the_last_pod() -> None:
    """Without completions the first success says that the queue is empty."""
    queue = a_job(completions=None, parallelism=3)
    busy = plan_job(queue, [a_worker("a", "Succeeded"), a_worker("b")], NOW)
    over = plan_job(queue, [a_worker("a", "Succeeded"), a_worker("b", "Succeeded")], NOW)

    assert (busy.create, busy.delete, busy.status.completion_time) == ((), (), None)
    assert over.status.completion_time == NOW


@pytest.mark.parametrize(
    ("failures", "last_seconds_ago", "wait"),
    [(1, 4, 6), (2, 5, 15), (3, 0, 40), (1, 10, 0), (12, 0, 600)],
)
def test_failures_in_a_row_double_the_pause_before_the_next_attempt(
    failures: int, last_seconds_ago: float, wait: float
) -> None:
    pods = [a_worker(f"p{number}", "Failed", ended_seconds=last_seconds_ago + number) for number in range(failures)]

    plan = plan_job(a_job(backoff_limit=50), pods, NOW)

    assert (plan.check_again_seconds or 0) == wait
    assert len(plan.create) == (0 if wait else 1)


def test_the_first_rule_that_matches_decides_what_a_failure_means() -> None:
    """An interruption is nobody's fault; exit code 42 means that trying again is pointless; the rest counts."""
    disrupted = a_worker("disrupted", "Failed", exit_code=137)
    told = (Condition(type="DisruptionTarget", status="True"),)
    disrupted = replace(disrupted, status=replace(disrupted.status, conditions=told))
    policy = PodFailurePolicy(
        rules=(
            PodFailureRule(action="Ignore", on_pod_conditions=(PodConditionRule(type="DisruptionTarget"),)),
            PodFailureRule(action="FailJob", on_exit_codes=ExitCodesRule(operator="In", values=(42,))),
        )
    )
    job = a_job(pod_failure_policy=policy)

    assert judge_failures(job, [disrupted]).count == 0
    assert judge_failures(job, [a_worker("usual", "Failed", exit_code=1)]).count == 1
    assert judge_failures(job, [a_worker("usual", "Failed", exit_code=1)]).fatal is None
    assert judge_failures(job, [a_worker("hopeless", "Failed", exit_code=42)]).fatal is not None


def test_restarts_in_place_count_against_the_limit_too() -> None:
    """With OnFailure no pod ever fails, yet a job that cannot succeed must end."""
    looping = a_worker("loop", restarts=4, restart_policy="OnFailure")

    plan = plan_job(a_job(backoff_limit=3), [looping], NOW)

    assert plan.delete == (looping,)
    assert [each.type for each in plan.status.conditions] == ["FailureTarget"]


def test_the_deadline_is_looked_at_when_it_comes_and_not_before() -> None:
    job = a_job(active_deadline_seconds=400)

    plan = plan_job(job, [a_worker("a")], NOW)

    assert (plan.delete, plan.check_again_seconds) == ((), 100)


# Schedules

_AN_HOUR_AGO = ago(3600)


def a_cron_job(
    schedule: str, *, last: datetime | None = None, created: datetime = _AN_HOUR_AGO, **spec: Any
) -> CronJob:
    return CronJob(
        metadata=ObjectMeta(name="tick", namespace="default", uid="cron", creation_timestamp=created),
        spec=CronJobSpec(schedule=schedule, job_template={"spec": {"template": a_template()}}, **spec),
        status=CronJobStatus(last_schedule_time=last),
    )


def started(cron_job: CronJob, now: datetime, jobs: tuple[Job, ...] = ()) -> str | None:
    """The scheduled time of the job a plan starts."""
    create = plan_cron_job(cron_job, jobs, now).create
    return create["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] if create else None


def test_only_the_latest_of_several_missed_times_is_made_up_for() -> None:
    """After a night's outage nobody wants a hundred backups in a row."""
    cron_job = a_cron_job("*/10 * * * *", last=ago(3 * 3600))

    plan = plan_cron_job(cron_job, (), NOW + timedelta(minutes=4))

    assert plan.create is not None
    assert plan.create["metadata"]["name"] == f"tick-{int(NOW.timestamp()) // 60}"
    assert plan.status.last_schedule_time == NOW
    assert plan.check_again_seconds == 6 * 60
    assert any("missed" in line for line in plan.report)


def test_a_time_that_was_served_is_not_served_again() -> None:
    assert started(a_cron_job("*/10 * * * *", last=NOW), NOW + timedelta(seconds=30)) is None
    assert started(a_cron_job("*/10 * * * *", last=NOW), NOW + timedelta(minutes=10)) == "2026-03-01T12:10:00Z"


def test_a_start_past_its_deadline_is_left_out() -> None:
    late = NOW + timedelta(seconds=45)
    assert started(a_cron_job("0 * * * *", starting_deadline_seconds=30), late) is None
    assert started(a_cron_job("0 * * * *", starting_deadline_seconds=60), late) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("Europe/Berlin", datetime(2026, 3, 2, 2, 0, tzinfo=UTC), "2026-03-02T03:00:00+01:00"),
        ("Europe/Berlin", datetime(2026, 7, 2, 1, 0, tzinfo=UTC), "2026-07-02T03:00:00+02:00"),
        ("America/New_York", datetime(2026, 3, 2, 8, 0, tzinfo=UTC), "2026-03-02T03:00:00-05:00"),
    ],
)
def test_schedules_are_read_in_their_time_zone_summer_and_winter(zone: str, now: datetime, expected: str) -> None:
    cron_job = a_cron_job("0 3 * * *", time_zone=zone, created=now - timedelta(hours=1))

    assert started(cron_job, now) == expected


def test_replacing_ends_the_run_before() -> None:
    running = a_job("tick-1")
    plan = plan_cron_job(a_cron_job("0 * * * *", concurrency_policy="Replace"), (running,), NOW)

    assert plan.create is not None
    assert plan.delete == (running,)


def test_a_suspended_schedule_starts_nothing_and_asks_for_no_wake_up() -> None:
    plan = plan_cron_job(a_cron_job("* * * * *", suspend=True), (), NOW)

    assert (plan.create, plan.check_again_seconds) == (None, None)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"schedule": "@daily", "time_zone": "Mars/Base"}, "spec.timeZone"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_by_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=field):
        plan_cron_job(a_cron_job(**spec), (), NOW)
