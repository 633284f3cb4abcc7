"""Remove pods that nobody else will: of nodes that are gone, unscheduled and leaving, and finished beyond a number."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from stratos.apis.node import NODE, Node
from stratos.apis.pod import Pod
from stratos.base.errors import NotFound
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.shared import BY_NODE, Shared

FINISHED_PODS_MAX = 12_500
_SWEEP_SECONDS = 60.0
_PATROL_SECONDS = 20.0
_FINISHED = "finished"
_SWEEP = "finished pods"  # no pod's key: keys have a slash
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class PodGarbageLoop:
    def __init__(self, shared: Shared, finished_max: int = FINISHED_PODS_MAX) -> None:
        self._shared = shared
        self._finished_max = finished_max
        self._nodes = shared.cache(NODE)
        shared.pods.add_index(_FINISHED, _if_finished)

    def controller(self) -> Controller:
        # Looked for again and again: a node that went while nobody watched is never heard of.
        controller = self._shared.controller("pod-garbage", self.reconcile, resync_seconds=_PATROL_SECONDS)

        def node_changed(event: CacheEvent[Node]) -> None:
            if event.change is Change.DELETED:
                for pod in self._shared.pods.by_index(BY_NODE, event.object.metadata.name):
                    controller.enqueue(pod.metadata.key)

        def pod_changed(event: CacheEvent[Pod]) -> None:
            if event.object.finished and event.change is not Change.DELETED:
                controller.enqueue(_SWEEP, _SWEEP_SECONDS)

        self._nodes.subscribe(node_changed)
        self._shared.pods.subscribe(pod_changed)
        controller.watch(self._shared.pods, self._if_forlorn)
        return controller

    def _if_forlorn(self, pod: Pod) -> Iterable[str]:
        return (pod.metadata.key,) if _never_ran(pod) or self._on_unknown_node(pod) else ()

    def _on_unknown_node(self, pod: Pod) -> bool:
        return self._nodes.synced and bool(pod.spec.node_name) and self._nodes.get(pod.spec.node_name) is None

    async def reconcile(self, key: str) -> Requeue | None:
        if key == _SWEEP:
            await self._sweep_finished()
            return None
        pod = self._shared.pods.get(key)
        if pod is None:
            return None
        if _never_ran(pod):
            await self._shared.delete_pod(pod, grace_seconds=0)
        elif self._on_unknown_node(pod) and await self._is_gone(pod.spec.node_name):
            if not pod.finished:
                await self._shared.mark_disrupted(
                    pod, "DeletionByPodGC", "PodGC: node no longer exists", phase="Failed"
                )
            await self._shared.delete_pod(pod, grace_seconds=0)
        return None

    async def _is_gone(self, node: str) -> bool:
        """Our sight of nodes may be older than that of pods: ask before force is used."""
        try:
            await self._shared.client.get(NODE, node)
        except NotFound:
            return True
        return False

    async def _sweep_finished(self) -> None:
        finished = self._shared.pods.by_index(_FINISHED, _FINISHED)
        surplus = len(finished) - self._finished_max
        if surplus > 0:
            for pod in sorted(finished, key=_age)[:surplus]:
                await self._shared.delete_pod(pod, grace_seconds=0)


def _never_ran(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None and not pod.spec.node_name


def _if_finished(pod: Pod) -> Iterable[str]:
    return (_FINISHED,) if pod.finished else ()


def _age(pod: Pod) -> tuple[datetime, str]:
    return (pod.metadata.creation_timestamp or _LONG_AGO, pod.metadata.key)
