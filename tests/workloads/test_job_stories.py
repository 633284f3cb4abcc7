"""Jobs and CronJobs from end to end."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from stratos.apis.cronjob import CRON_JOB
from stratos.apis.job import JOB, Job
from stratos.apis.meta import is_condition_true
from stratos.apis.namespace import NAMESPACE
from stratos.testing.virtual_time import EPOCH, run
from workloads.small_cluster import job, small_cluster, template

WORK = "default/work"


def complete(each: Job) -> bool:
    return is_condition_true(each.status.conditions, "Complete")


def failed(each: Job) -> bool:
    return is_condition_true(each.status.conditions, "Failed")


def failing(code: int = 1, *, run_seconds: int = 1) -> dict[str, Any]:
    annotations = {"exit-code": str(code), "run-seconds": str(run_seconds)}
    return template(app="work", annotations=annotations, restartPolicy="Never")


def test_a_job_runs_as_many_pods_at_once_as_it_may_until_enough_have_succeeded() -> None:
    """Parallelism is a bound at every moment, completions the end."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(completions=5, parallelism=2))
            most = 0

            async def over() -> bool:
                nonlocal most
                most = max(most, sum(pod.status.phase in ("Pending", "Running") for pod in await cluster.pods()))
                return complete(await cluster.client.get(JOB, WORK))

            await cluster.wait_until(over)
            done = await cluster.client.get(JOB, WORK)
            assert most == 2
            assert (done.status.succeeded, done.status.failed, done.status.active) == (5, 0, 0)
            assert done.status.completion_time is not None
            assert len(await cluster.pods()) == 5

    run(story())


def test_an_indexed_job_gives_each_index_one_pod_and_says_which() -> None:
    """Workers find their share of the work by their index; none may be left out or done twice."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(completions=4, parallelism=3, completionMode="Indexed"))
            done = await cluster.wait(JOB, WORK, complete)
            assert done.status.completed_indexes == "0-3"
            pods = await cluster.pods()
            indexes = [pod.metadata.annotations["batch.kubernetes.io/job-completion-index"] for pod in pods]
            assert Counter(indexes) == {"0": 1, "1": 1, "2": 1, "3": 1}
            assert sorted(pod.spec.hostname for pod in pods) == ["work-0", "work-1", "work-2", "work-3"]

    run(story())


def test_failures_are_retried_with_growing_pauses_up_to_the_limit() -> None:
    """A job that cannot succeed must stop trying, and must not burn machines while it still tries."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(pods=failing(), backoffLimit=3))
            over = await cluster.wait(JOB, WORK, failed)
            assert over.status.failed == 4
            # 10 + 20 + 40 seconds of back-off.
            assert 70 <= cluster.clock.monotonic() <= 90

    run(story())


def test_a_job_past_its_deadline_fails_and_stops_its_pods() -> None:
    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(pods=failing(0, run_seconds=1000), activeDeadlineSeconds=30))
            over = await cluster.wait(JOB, WORK, failed)
            assert any(each.reason == "DeadlineExceeded" for each in over.status.conditions)
            assert await cluster.pods() == []

    run(story())


def test_a_failure_policy_ends_a_job_at_once_for_a_hopeless_exit_code() -> None:
    """A wrong argument does not get better by trying it six times."""
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(pods=failing(42), podFailurePolicy=policy))
            over = await cluster.wait(JOB, WORK, failed)
            assert any(each.reason == "PodFailurePolicy" for each in over.status.conditions)
            assert over.status.failed == 1

    run(story())


def test_a_suspended_job_gives_up_its_pods_and_starts_afresh_when_resumed() -> None:
    """Queueing systems hold jobs back this way."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(pods=failing(0, run_seconds=20)))
            await cluster.wait(JOB, WORK, lambda each: each.status.active == 1)
            await cluster.client.patch(JOB, WORK, {"spec": {"suspend": True}})
            held = await cluster.wait(JOB, WORK, lambda each: is_condition_true(each.status.conditions, "Suspended"))
            assert held.status.start_time is None
            await cluster.client.patch(JOB, WORK, {"spec": {"suspend": False}})
            await cluster.wait(JOB, WORK, complete)

    run(story())


def test_a_finished_job_is_removed_with_its_pods_when_its_time_is_up() -> None:
    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(job(ttlSecondsAfterFinished=100))
            await cluster.wait(JOB, WORK, complete)
            done_at = cluster.clock.monotonic()
            await cluster.wait_until(lambda: cluster.is_gone(JOB, WORK))
            assert 99 <= cluster.clock.monotonic() - done_at <= 102

            async def no_pods() -> bool:
                return await cluster.pods() == []

            await cluster.wait_until(no_pods)

    run(story())


def cron_job(schedule: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job()["spec"]}, **spec},
    }


def test_a_cron_job_starts_on_the_minute_and_keeps_a_short_history() -> None:
    """A whole hour, and no run is missed or made twice; of the past only what was asked for is kept."""

    async def story() -> None:
        async with small_cluster("a") as cluster:
            await cluster.create(cron_job("*/5 * * * *"))
            names = set[str]()

            async def an_hour() -> bool:
                names.update(each.metadata.name for each in (await cluster.client.list(JOB)).items)
                return cluster.clock.monotonic() > 3610

            await cluster.wait_until(an_hour, within=4000)
            minutes = sorted(int(name.removeprefix("tick-")) for name in names)
            first = int(EPOCH.timestamp()) // 60
            assert minutes == [first + 5 * run_number for run_number in range(1, 13)]
            seen = await cluster.client.get(CRON_JOB, "default/tick")
            assert seen.status.last_schedule_time == EPOCH + timedelta(hours=1)

            async def three_left() -> bool:
                return len((await cluster.client.list(JOB)).items) <= 4

            await cluster.wait_until(three_left)

    run(story())


def test_forbidden_concurrency_waits_for_the_run_before() -> None:
    """Two backups at once would ruin both."""
    slow = {"spec": {"template": failing(0, run_seconds=90)}}

    async def story() -> None:
        async with small_cluster("a") as cluster:
            body = cron_job("* * * * *", concurrencyPolicy="Forbid")
            body["spec"]["jobTemplate"] = slow
            await cluster.create(body)
            most = 0

            async def a_while() -> bool:
                nonlocal most
                jobs = (await cluster.client.list(JOB)).items
                most = max(most, sum(not complete(each) for each in jobs))
                return cluster.clock.monotonic() > 600

            await cluster.wait_until(a_while, within=700)
            assert most == 1
            assert len((await cluster.client.list(JOB)).items) >= 3

    run(story())


def test_every_namespace_has_its_account_and_certificate() -> None:
    """Pods cannot be created before their service account exists."""

    async def story() -> None:
        async with small_cluster() as cluster:
            await cluster.client.create(NAMESPACE, {"metadata": {"name": "team"}})

            async def given() -> bool:
                accounts = await cluster.client.request_json("GET", "/api/v1/namespaces/team/serviceaccounts")
                maps = await cluster.client.request_json("GET", "/api/v1/namespaces/team/configmaps")
                return [each["metadata"]["name"] for each in accounts["items"]] == ["default"] and [
                    each["data"] for each in maps["items"]
                ] == [{"ca.crt": "PEM"}]

            await cluster.wait_until(given)

    run(story())
