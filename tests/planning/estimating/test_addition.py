"""Which pods come when a manifest is applied where an older one is already."""

from __future__ import annotations

from typing import Any

from stratos.planning.estimating.addition import new_pods, plan_addition
from stratos.planning.estimating.workloads import Workload, read_workload
from stratos.testing.provisioning_builders import a_look, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop((a_type("s.small", 2, 4), 0.05), (a_type("s.large", 8, 16), 0.20))


def a_workload(kind: str = "Deployment", replicas: int = 1, cpu: str = "1") -> Workload:
    pod = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}}
    spec: dict[str, Any] = {"replicas": replicas, "template": pod}
    if kind == "CronJob":
        spec = {"schedule": "@daily", "jobTemplate": {"spec": {"template": pod}}}
    group = "batch/v1" if kind == "CronJob" else "apps/v1"
    workload = read_workload({"apiVersion": group, "kind": kind, "metadata": {"name": "web"}, "spec": spec})
    assert workload is not None
    return workload


def test_only_the_pods_that_are_not_there_yet_come() -> None:
    """The others have their places."""
    pods, notes = new_pods(a_workload(replicas=5), a_workload(replicas=3))
    assert [pod.metadata.key for pod in pods] == ["default/web-new-0", "default/web-new-1"]
    assert notes == ()


def test_pods_that_ask_for_something_else_replace_all() -> None:
    """In a rollout new ones come before old ones go."""
    pods, notes = new_pods(a_workload(replicas=3, cpu="2"), a_workload(replicas=3, cpu="1"))
    assert len(pods) == 3
    assert notes == ("its 3 pods are replaced by others; what they leave is not counted as room",)


def test_fewer_pods_bring_none_and_a_word_about_those_that_go() -> None:
    """What becomes free is for consolidation to see, not for this plan."""
    assert new_pods(a_workload(replicas=1), a_workload(replicas=3)) == (
        (),
        ("2 pods go; the room they leave is not counted",),
    )


def test_a_cron_job_brings_pods_when_its_time_comes() -> None:
    """A machine bought now would stand idle until then."""
    assert new_pods(a_workload("CronJob"), None) == (
        (),
        ("its pods come on schedule, and their machines with them",),
    )


def test_every_added_pod_is_told_of_once() -> None:
    """On a node, by a pool, on a new machine, or waiting with a reason."""
    template = a_template("any", isDefault=True, constraints={"maxCpu": 2})
    pods = [a_waiting_pod("fits", cpu="1"), a_waiting_pod("pooled", cpu="1"), a_waiting_pod("huge", cpu="64")]
    answer = plan_addition(a_look(template, shop=SHOP), pods, served_by_pools=lambda _: ("default/pooled",))
    assert answer.on_machines == ("default/fits",)
    assert answer.by_pools == ("default/pooled",)
    assert list(answer.waiting) == ["default/huge"]
    assert answer.on_nodes == {}
    assert answer.cost_added_usd_per_hour == 0.05
