"""What a pending pod waits for, and who decides how many machines are started."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import pytest

from controllers.pool_stories import Story, tell
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.providers.simulated.cloud import CallMoment

XLARGE = {"kind": "SimNodeClass", "name": "xlarge"}


async def add_pool_of_xlarge(story: Story, standby: int, **template: Any) -> None:
    """Machines of 4 CPUs and 16 GiB."""
    await story.client.create(
        SIM_NODE_CLASS, {"metadata": {"name": "xlarge"}, "spec": {"instanceType": "m5.xlarge", "startTime": "15s"}}
    )
    await story.add_filled_pool(standby=standby, template={"nodeClassRef": XLARGE, **template})


def test_a10_of_the_seconds_a_pod_waits_less_than_one_is_ours() -> None:
    """The cloud takes 15 s to start the machine; in real time, we take milliseconds to ask it to."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(preWarm={"images": ["app:1"]})
        asked_at: list[float] = []

        def note(moment: CallMoment, operation: str, target: str) -> None:
            if operation == "start" and moment is CallMoment.BEFORE:
                asked_at.append(perf_counter())

        story.cloud.fault_hook = note
        created_at = perf_counter()
        await story.add_pod()
        seconds = await story.wait_pod("Running")

        assert 15 < seconds <= 25
        assert len(asked_at) == 1
        assert asked_at[0] - created_at < 1

    tell(plot)


def test_a11_ten_pods_of_half_a_core_and_two_gibibytes_start_two_machines() -> None:
    """The documented example, from pending pods to starts."""

    async def plot(story: Story) -> None:
        await add_pool_of_xlarge(story, standby=4)
        resources = {"requests": {"cpu": "500m", "memory": "2Gi"}}
        containers = [{"name": "main", "image": "app:1", "resources": resources}]
        for number in range(10):
            await story.add_pod(f"job-{number}", containers=containers)

        for number in range(10):
            await story.wait_pod("Running", f"job-{number}", within=60)

        assert story.calls()["start"] == 2

    tell(plot)


def test_a12_twenty_looks_while_the_machine_boots_start_nothing_more() -> None:
    """The pod is unschedulable all that time, and each look sees it anew."""

    async def plot(story: Story) -> None:
        await story.add_filled_pool(standby=3)
        await story.add_pod()
        for number in range(20):
            await asyncio.sleep(0.5)
            annotations = {"example.com/look": str(number)}
            await story.client.patch(NODE_POOL, "ci", {"metadata": {"annotations": annotations}})
        await story.wait_pod("Running")
        await asyncio.sleep(60)

        assert story.calls()["start"] == 1

    tell(plot)


@pytest.mark.parametrize(
    ("defaults", "starts"), [({"requests": {"cpu": "1", "memory": "1Gi"}}, 1), (None, 3)], ids=["defaults", "none"]
)
def test_a13_pods_without_requests_are_as_large_as_the_pool_says_or_get_a_machine_each(
    defaults: dict[str, Any] | None, starts: int
) -> None:
    """Nobody else can know how many of them share a machine."""

    async def plot(story: Story) -> None:
        scale_up: dict[str, Any] = {"scaleUp": {"defaultPodResources": defaults}} if defaults else {}
        await story.client.create(
            SIM_NODE_CLASS, {"metadata": {"name": "xlarge"}, "spec": {"instanceType": "m5.xlarge"}}
        )
        await story.add_filled_pool(standby=4, template={"nodeClassRef": XLARGE}, **scale_up)
        for number in range(3):
            await story.add_pod(f"job-{number}", containers=[{"name": "main", "image": "app:1"}])
        for number in range(3):
            await story.wait_pod("Running", f"job-{number}", within=60)

        assert story.calls()["start"] == starts

    tell(plot)


@pytest.mark.parametrize(
    ("selector", "tolerations", "starts"),
    [
        ({"stratos.sh/pool": "ci"}, [{"key": "ci", "operator": "Exists"}], 1),
        ({"stratos.sh/pool": "ci", "kubernetes.io/arch": "amd64"}, [{"key": "ci", "operator": "Exists"}], 1),
        ({"stratos.sh/pool": "ci", "example.com/disk": "fast"}, [{"key": "ci", "operator": "Exists"}], 0),
        ({"stratos.sh/pool": "other"}, [{"key": "ci", "operator": "Exists"}], 0),
        ({"stratos.sh/pool": "ci"}, [], 0),
    ],
    ids=["matches", "well-known key", "unknown key", "other pool", "no toleration"],
)
def test_a14_only_pods_that_could_run_in_the_pool_start_its_machines(
    selector: dict[str, str], tolerations: list[dict[str, str]], starts: int
) -> None:
    """A machine started for a pod that does not fit serves nobody."""

    async def plot(story: Story) -> None:
        taint = {"key": "ci", "effect": "NoSchedule"}
        await story.add_filled_pool(template={"taints": [taint]})
        await story.add_pod(selector=selector, tolerations=tolerations)
        await asyncio.sleep(60)

        assert story.calls()["start"] == starts
        assert bool((await story.pod()).spec.node_name) is bool(starts)

    tell(plot)
