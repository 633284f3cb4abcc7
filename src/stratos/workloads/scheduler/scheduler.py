"""The loop that gives pods their nodes.

One pod at a time is decided on, against the cluster as it will be once all earlier decisions are carried out: a burst
is placed without waiting for the watch to echo each binding. Carrying out happens beside the loop. Pods that ask for
the same, of a cluster that has not changed in between, get the same answer without asking again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET, PodDisruptionBudget
from stratos.base.clock import Clock
from stratos.base.errors import StratosError
from stratos.base.ids import IdSource
from stratos.kube.controller import Manager
from stratos.kube.recorder import EventRecorder
from stratos.planning.scheduling.choice import choose_node
from stratos.planning.scheduling.placement import PlacedPod
from stratos.planning.scheduling.preemption import DisruptionBudget, Preemption, plan_preemption
from stratos.planning.scheduling.requirements import PodRequirements
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.telemetry.logs import get_logger
from stratos.workloads.scheduler.mirror import GATED, ClusterMirror
from stratos.workloads.scheduler.queue import QueuedPod, SchedulingQueue
from stratos.workloads.scheduler.writes import PodWrites

DEFAULT_SCHEDULER = "default-scheduler"

_TURN_PODS = 32
_TURN_SECONDS = 0.005

log = get_logger(__name__)


class Scheduler:
    """Serves the pods whose ``schedulerName`` is its. Most callers want `add_scheduler`."""

    def __init__(self, manager: Manager, recorder: EventRecorder, clock: Clock, name: str = DEFAULT_SCHEDULER) -> None:
        self._scheduler_name = name
        self._recorder = recorder
        self._clock = clock
        self._queue = SchedulingQueue()
        self._writes = PodWrites(manager.client, recorder, clock, name)
        self._blocked: asyncio.Queue[tuple[Pod, str, str]] = asyncio.Queue()
        self._mirror = ClusterMirror(
            manager, self._queue, name, lambda pod, reason, message: self._blocked.put_nowait((pod, reason, message))
        )
        self._cluster = self._mirror.cluster
        self._pods = self._mirror.pods
        self._budgets = manager.cache(POD_DISRUPTION_BUDGET)
        self._answers: dict[PodRequirements, str] = {}
        self._answers_generation = -1

    @property
    def name(self) -> str:
        return f"scheduler {self._scheduler_name}"

    async def run(self) -> None:
        """Schedule until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell_blocked(tasks), name="tell blocked pods")
                while True:
                    await self._take_turn(tasks)
                    await asyncio.sleep(0)  # in the middle of a burst, too, writes begin and watches are heard
        finally:
            self._queue.close()

    async def _tell_blocked(self, tasks: asyncio.TaskGroup) -> None:
        """Pods that are not even tried are told so as well."""
        while True:
            pod, reason, message = await self._blocked.get()
            if pod.metadata.key in self._queue:
                continue  # what blocked it has gone since
            if self._writes.tell(tasks, pod, reason, message) and reason != GATED:
                self._recorder.warning(POD, pod, "FailedScheduling", message)

    async def _take_turn(self, tasks: asyncio.TaskGroup) -> None:
        """Decide on a few pods in a row: one at a time, each would wait for all else that shares the loop."""
        self._schedule(tasks, await self._queue.pop())
        ends = self._clock.monotonic() + _TURN_SECONDS
        for _ in range(_TURN_PODS - 1):
            if not self._queue.has_ready or self._clock.monotonic() >= ends:
                return
            self._schedule(tasks, await self._queue.pop())

    def _schedule(self, tasks: asyncio.TaskGroup, queued: QueuedPod) -> None:
        pod = self._pods.get(queued.key)
        if pod is None:
            self._queue.remove(queued.key)
            return
        nominated = self._cluster.nominated_node(queued.key)
        answer = self._known_answer(queued.requirements)
        if answer is not None and not nominated:
            self._leave_waiting(tasks, queued, pod, answer)
            return
        choice = choose_node(self._cluster, queued.requirements, queued.key, nominated=nominated)
        if choice.node is not None:
            self._place(tasks, queued, pod, choice.node)
            return
        if not choice.nodes:
            self._leave_waiting(tasks, queued, pod, choice.message)
            return
        budgets = [_budget(budget) for budget in self._budgets]
        preemption = plan_preemption(
            self._cluster, queued.requirements, queued.key, choice, budgets, nominated=nominated
        )
        if preemption.node is not None:
            self._leave_waiting(tasks, queued, pod, choice.message, nominated=preemption.node)
            self._preempt(tasks, queued, pod, preemption, preemption.node)
            return
        message = f"{choice.message} {preemption.message}"
        if preemption.victims_leaving:
            self._leave_waiting(tasks, queued, pod, message, nominated=nominated)
            return
        if self._mirror.is_promised(queued.key):
            self._leave_waiting(tasks, queued, pod, message, nominated=nominated)
            return
        self._cluster.withdraw_nomination(queued.key)
        self._remember(queued.requirements, message)
        self._leave_waiting(tasks, queued, pod, message)

    def _known_answer(self, requirements: PodRequirements) -> str | None:
        if self._answers_generation != self._cluster.generation:
            self._answers.clear()
            self._answers_generation = self._cluster.generation
        return self._answers.get(requirements)

    def _remember(self, requirements: PodRequirements, message: str) -> None:
        if self._answers_generation == self._cluster.generation:
            self._answers[requirements] = message

    def _place(self, tasks: asyncio.TaskGroup, queued: QueuedPod, pod: Pod, node: str) -> None:
        self._mirror.assume(pod, queued.requirements, node)

        def failed(error: StratosError) -> None:
            # Should the pod be gone, or have a node already, the watch will say so and end this.
            if self._mirror.take_back(pod):
                log.info("binding failed", pod=queued.key, node=node, error=error.message)
                self._queue.put_back(queued)

        self._writes.bind(tasks, pod, node, failed)

    def _leave_waiting(
        self, tasks: asyncio.TaskGroup, queued: QueuedPod, pod: Pod, message: str, *, nominated: str = ""
    ) -> None:
        self._queue.park(queued)
        if queued.told == (message, nominated):
            return  # repeating it would cost a write for every pod that waits, for days on end
        renominated = queued.told is not None and queued.told[1] != nominated
        queued.told = (message, nominated)
        self._writes.tell(
            tasks,
            pod,
            "Unschedulable",
            message,
            nominated=nominated,
            renominated=renominated,
            failed=lambda: _forget_what_was_told(queued),
        )
        self._recorder.warning(POD, pod, "FailedScheduling", message)

    def _preempt(
        self, tasks: asyncio.TaskGroup, queued: QueuedPod, pod: Pod, preemption: Preemption, node: str
    ) -> None:
        log.info("preempting", pod=queued.key, node=node, victims=",".join(each.key for each in preemption.victims))
        for waiting in list(self._cluster.nodes[node].nominated.values()):
            if waiting.requirements.priority < queued.requirements.priority:
                self._cluster.withdraw_nomination(waiting.key)  # it will find another place, or wait longer
        self._cluster.nominate(PlacedPod(queued.key, queued.requirements), node)
        for victim in preemption.victims:
            seen = self._pods.get(victim.key)
            if seen is not None and not victim.terminating:
                self._cluster.add_pod(replace(victim, terminating=True), node)
                self._writes.preempt(tasks, seen, pod, node)


def _forget_what_was_told(queued: QueuedPod) -> None:
    queued.told = None  # the next attempt says it again


def _budget(budget: PodDisruptionBudget) -> DisruptionBudget:
    return DisruptionBudget(
        namespace=budget.metadata.namespace,
        selector=compile_label_selector(budget.spec.selector, "spec.selector"),
        allowed=budget.status.disruptions_allowed,
        disrupted=frozenset(budget.status.disrupted_pods),
    )


def add_scheduler(manager: Manager, *, clock: Clock, ids: IdSource, name: str = DEFAULT_SCHEDULER) -> Scheduler:
    """Make a scheduler and add it to ``manager``, together with its event recorder."""
    recorder = EventRecorder(manager.client, name, clock=clock, ids=ids)
    scheduler = Scheduler(manager, recorder, clock, name)
    manager.add(recorder, scheduler)
    return scheduler
