"""What the scheduler writes: bindings, conditions, nominations, the removal of victims, and the events about them.

Writes run beside the loop that decides, a bounded number at a time, and those about one pod in the order they were
asked for: a condition of yesterday must not overtake today's binding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from stratos.apis.meta import find_condition
from stratos.apis.pod import POD, Pod
from stratos.base.clock import Clock
from stratos.base.errors import NotFound, StratosError
from stratos.kube.client import Client, PatchType
from stratos.kube.recorder import EventRecorder
from stratos.telemetry.logs import get_logger

_WRITES_AT_ONCE = 64

log = get_logger(__name__)


class PodWrites:
    def __init__(self, client: Client, recorder: EventRecorder, clock: Clock, scheduler_name: str) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._scheduler_name = scheduler_name
        self._slots = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._last: dict[str, asyncio.Task[None]] = {}

    def bind(self, tasks: asyncio.TaskGroup, pod: Pod, node: str, failed: Callable[[StratosError], None]) -> None:
        self._start(tasks, pod.metadata.key, partial(self._bind, pod, node, failed))

    def tell(
        self,
        tasks: asyncio.TaskGroup,
        pod: Pod,
        reason: str,
        message: str,
        *,
        nominated: str = "",
        renominated: bool = False,
        failed: Callable[[], None] = lambda: None,
    ) -> bool:
        """Say in the pod's status why it has no node. False when it says so already.

        A nomination that did not change is not written: others nominate, too, and may have done so meanwhile.
        """
        seen = find_condition(pod.status.conditions, "PodScheduled")
        if seen is not None and (seen.reason, seen.message, pod.status.nominated_node_name) == (
            reason,
            message,
            nominated,
        ):
            return False
        # The time of transition is that of the change to False, however often the message changes after it.
        since = seen.last_transition_time if seen is not None and seen.status == "False" else None
        condition = _condition("PodScheduled", "False", reason, message, since or self._clock.now())
        status: dict[str, Any] = {"conditions": [condition]}
        if renominated or nominated != pod.status.nominated_node_name:
            status["nominatedNodeName"] = nominated or None
        self._start(tasks, pod.metadata.key, partial(self._tell, pod.metadata.key, status, failed))
        return True

    def preempt(self, tasks: asyncio.TaskGroup, victim: Pod, preemptor: Pod, node: str) -> None:
        self._start(tasks, victim.metadata.key, partial(self._preempt, victim, preemptor, node))

    def _start(self, tasks: asyncio.TaskGroup, key: str, write: Callable[[], Awaitable[None]]) -> None:
        task = tasks.create_task(self._in_order(self._last.get(key), write), name=f"write {key}")
        self._last[key] = task
        task.add_done_callback(lambda done: self._last.pop(key) if self._last.get(key) is done else None)

    async def _in_order(self, earlier: asyncio.Task[None] | None, write: Callable[[], Awaitable[None]]) -> None:
        if earlier is not None:
            await asyncio.wait((earlier,))
        async with self._slots:
            await write()

    async def _bind(self, pod: Pod, node: str, failed: Callable[[StratosError], None]) -> None:
        try:
            await self._client.bind(pod.metadata.key, node)
        except StratosError as error:
            failed(error)
        else:
            message = f"Successfully assigned {pod.metadata.key} to {node}"
            self._recorder.normal(POD, pod, "Scheduled", message)

    async def _tell(self, key: str, status: dict[str, Any], failed: Callable[[], None]) -> None:
        try:
            await self._patch_status(key, status)
        except NotFound:
            return
        except StratosError as error:
            log.warning("pod not told why it waits", pod=key, error=error.message)
            failed()

    async def _preempt(self, victim: Pod, preemptor: Pod, node: str) -> None:
        key = victim.metadata.key
        message = f"{self._scheduler_name}: preempting to accommodate a higher priority pod"
        condition = _condition("DisruptionTarget", "True", "PreemptionByScheduler", message, self._clock.now())
        try:
            await self._patch_status(key, {"conditions": [condition]})
            await self._client.delete(POD, key, uid=victim.metadata.uid)
        except NotFound:
            return
        except StratosError as error:
            log.warning("victim of preemption not deleted", pod=key, error=error.message)
            return
        self._recorder.normal(POD, victim, "Preempted", f"Preempted by pod {preemptor.metadata.uid} on node {node}")

    async def _patch_status(self, key: str, status: dict[str, Any]) -> None:
        await self._client.patch(POD, key, {"status": status}, type=PatchType.STRATEGIC, subresource="status")


def _condition(type_: str, status: str, reason: str, message: str, since: datetime) -> dict[str, str]:
    stamp = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": stamp}
