"""A day of two GPU queues with limits: machines come only for pods that may run, and in the evening none is left.

The scheduler of the queues is played by a few lines here. It binds pods to free GPUs as long as their queue is within
its limit, those of the better queue first, and tells all others why they wait, in the words of the real one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from controllers.pool_stories import Story, tell
from controllers.template_stories import add_template, pods
from rows.template_world import SPARING, add_pod, wait_no_machines
from stratos.apis.meta import is_condition_true
from stratos.apis.pod import POD, Pod

QUEUE = "kai.scheduler/queue"
LIMITS: Mapping[str, int] = {"production": 12, "research": 8}  # GPUs; the better queue comes first
PENDING = r"(.*[Nn]o.*resources.*|^0/([0-9]+) nodes are available)"
NO_ROOM = "no nodes with enough resources were found: {nodes} node(s) didn't have enough resources: GPUs."
OVER_LIMIT = (
    "OverLimit: {queue} quota has reached the allowable limit of GPUs."
    " Limit is {limit} GPUs, currently {limit} GPUs allocated and workload requested 1 GPU"
)


async def schedule_queues(story: Story) -> None:
    """A round every five seconds, for ever."""
    while True:
        await schedule_once(story)
        await asyncio.sleep(5)


async def schedule_once(story: Story) -> None:
    mine = [pod for pod in await pods(story) if QUEUE in pod.metadata.labels and not pod.finished]
    nodes = [node for node in await story.nodes() if not node.spec.unschedulable and not node.spec.taints]
    ready = [node for node in nodes if is_condition_true(node.status.conditions, "Ready")]
    used = Counter(pod.spec.node_name for pod in mine if pod.spec.node_name)
    free = {node.metadata.name: int(node.status.allocatable.get("nvidia.com/gpu", 0)) for node in ready}
    allocated = Counter(pod.metadata.labels[QUEUE] for pod in mine if pod.spec.node_name)
    for queue, limit in LIMITS.items():
        eligible = allocated[queue]
        for pod in mine:
            if pod.metadata.labels[QUEUE] != queue or pod.spec.node_name:
                continue
            if eligible >= limit:
                await tell_waiting(story, pod, OVER_LIMIT.format(queue=queue, limit=limit))
                continue
            eligible += 1
            name = next((name for name in sorted(free) if free[name] > used[name]), None)
            if name is None:
                await tell_waiting(story, pod, NO_ROOM.format(nodes=len(ready)))
            else:
                used[name] += 1
                await story.client.bind(pod.metadata.key, name)


async def tell_waiting(story: Story, pod: Pod, message: str) -> None:
    if any(condition.message == message for condition in pod.status.conditions):
        return
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    await story.client.patch(POD, pod.metadata.key, {"status": {"conditions": [condition]}}, subresource="status")


async def submit(story: Story, queue: str, number: int, minutes: float) -> None:
    first = len(await pods(story))
    for index in range(first, first + number):
        await add_pod(
            story,
            f"{queue}-{index:02}",
            labels={QUEUE: queue},
            schedulerName="kai-scheduler",
            cpu="1",
            gpus=1,
            seconds=minutes * 60,
        )


async def running_by_queue(story: Story) -> dict[str, int]:
    found = Counter(pod.metadata.labels[QUEUE] for pod in await pods(story) if pod.status.phase == "Running")
    return dict(found)


def test_b40_b39_over_a_day_of_queues_gpus_are_added_only_for_pods_that_may_run() -> None:
    """Production up to its limit, research up to its own, and nobody pays for a GPU that a limit keeps idle."""

    async def plot(story: Story) -> None:
        await add_template(
            story,
            isDefault=True,
            constraints={"instanceFamilies": {"include": ["g4dn"]}, "azs": ["us-east-1a"], "maxCpu": 4},
            pods={"pendingReasonRegexp": PENDING},
        )
        kai = asyncio.create_task(schedule_queues(story))

        async def settled(**expected: int) -> None:
            async def so() -> bool:
                return await running_by_queue(story) == expected

            await story.wait(so, 1200, every=5)
            await asyncio.sleep(20)

        await submit(story, "production", 6, minutes=12)
        await settled(production=6)
        assert len(story.machines()) == 6

        await submit(story, "research", 10, minutes=15)
        await settled(production=6, research=8)
        assert len(story.machines()) == 14, "two are over their limit and get none"

        await submit(story, "production", 8, minutes=6)
        await settled(production=12, research=8)
        assert len(story.machines()) == 20, "again two wait for their limit"

        async def evening() -> bool:
            return all(pod.finished for pod in await pods(story))

        await story.wait(evening, 7200, every=10)
        assert story.calls()["launch"] == 20, "pods over a limit ran on what others had left"
        await wait_no_machines(story, 1800)
        kai.cancel()

    tell(plot, kubelets=SPARING)
