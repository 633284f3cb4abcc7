"""Carry out the plans for DaemonSets."""

from __future__ import annotations

import asyncio

from stratos.apis.daemonset import DAEMON_SET, DaemonSet
from stratos.apis.node import NODE, Node
from stratos.apis.pod import Pod
from stratos.apis.workload import CONTROLLER_REVISION_HASH
from stratos.base.selectors import LabelSelector
from stratos.kube.backoff import Backoff
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.daemonset.plan import plan_daemon_set, target_node
from stratos.workloads.history import History
from stratos.workloads.pods import earliest
from stratos.workloads.shared import Shared, again, keys_of_controller, keys_of_suitors

_FAILED_POD_BACKOFF = Backoff(first_seconds=1.0, max_seconds=900.0)


def _selector(daemon_set: DaemonSet) -> LabelSelector | None:
    return compile_label_selector(daemon_set.spec.selector, "spec.selector")


class DaemonSetLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._daemon_sets = shared.cache_of_suitors(DAEMON_SET, _selector)
        self._nodes = shared.cache(NODE)
        self._history = History(shared)
        self._failures: dict[tuple[str, str], _Failing] = {}

    def controller(self) -> Controller:
        controller = self._shared.controller("daemonset", self.reconcile)
        controller.watch(self._daemon_sets)
        controller.watch(self._shared.pods, keys_of_controller(DAEMON_SET))
        controller.watch(self._shared.pods, keys_of_suitors(self._daemon_sets, _selector))

        def node_changed(event: CacheEvent[Node]) -> None:
            # Nodes report all the time; only what decides placement concerns every DaemonSet.
            if event.change is Change.UPDATED and event.old is not None and _same_place(event.old, event.object):
                return
            for daemon_set in self._daemon_sets:
                controller.enqueue(daemon_set.metadata.key)

        self._nodes.subscribe(node_changed)
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        daemon_set = self._daemon_sets.get(key)
        if daemon_set is None:
            self._failures = {place: each for place, each in self._failures.items() if place[0] != key}
            return None
        selector = _selector(daemon_set)
        pods = await self._shared.claim_pods(DAEMON_SET, daemon_set, selector)
        labels = {pod.metadata.labels.get(CONTROLLER_REVISION_HASH, "") for pod in pods}
        revisions = await self._history.keep(
            DAEMON_SET,
            daemon_set,
            selector,
            daemon_set.spec.template,
            in_use=frozenset(f"{daemon_set.metadata.name}-{label}" for label in labels),
            limit=daemon_set.spec.revision_history_limit,
            collision_count=daemon_set.status.collision_count,
        )
        plan = plan_daemon_set(daemon_set, self._nodes.list(), pods, revisions.update, self._shared.clock.now())
        await self._shared.delete_pods(DAEMON_SET, daemon_set, plan.delete)
        wait = await self._replace_failed(daemon_set, plan.failed)
        await self._shared.create_pods(DAEMON_SET, daemon_set, plan.create)
        await self._shared.write_status(self._daemon_sets, daemon_set, daemon_set.status, plan.status)
        return again(earliest(plan.check_again_seconds, wait))

    async def _replace_failed(self, daemon_set: DaemonSet, failed: tuple[Pod, ...]) -> float | None:
        """Delete failed pods, each time later on the same node. Returns when the next one is due."""
        now = asyncio.get_running_loop().time()
        waits: list[float] = []
        for pod in failed:
            place = (daemon_set.metadata.key, target_node(pod) or "")
            failing = self._failures.setdefault(place, _Failing())
            if failing.uid != pod.metadata.uid:
                failing.count_again(pod.metadata.uid, now)
            if failing.due > now:
                waits.append(failing.due - now)
                continue
            message = f"Found failed daemon pod {pod.metadata.key} on node {place[1]}, will try to kill it"
            self._shared.recorder.warning(DAEMON_SET, daemon_set, "FailedDaemonPod", message)
            await self._shared.delete_pod(pod)
        return earliest(*waits)


class _Failing:
    """How often the pods of one DaemonSet failed on one node, and when the last of them may be replaced."""

    def __init__(self) -> None:
        self.uid = ""
        self.due = 0.0
        self._times = 0

    def count_again(self, uid: str, now: float) -> None:
        self.uid = uid
        # A node that went without failures for twice the longest pause starts afresh.
        self._times = 1 if now - self.due > 2 * _FAILED_POD_BACKOFF.max_seconds else self._times + 1
        self.due = now + _FAILED_POD_BACKOFF.seconds(self._times)


def _same_place(old: Node, new: Node) -> bool:
    return old.metadata.labels == new.metadata.labels and old.spec.taints == new.spec.taints
