"""Delete pods that may not stay on their tainted node, when their time is up."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stratos.apis.node import NODE, Node, Taint
from stratos.apis.pod import POD, Pod
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.shared import BY_NODE, Shared
from stratos.workloads.tolerations import eviction_due


class TaintEvictionLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._nodes = shared.cache(NODE)
        # The NoExecute taints of each node that has any, each with the moment it was added or first seen.
        self._taints: dict[str, tuple[Taint, ...]] = {}

    def controller(self) -> Controller:
        controller = self._shared.controller("taint-eviction", self.reconcile)

        def node_changed(event: CacheEvent[Node]) -> None:
            if self._taints_changed(event):
                for pod in self._shared.pods.by_index(BY_NODE, event.object.metadata.name):
                    controller.enqueue(pod.metadata.key)

        self._nodes.subscribe(node_changed)
        controller.watch(self._shared.pods, self._if_on_tainted_node)
        return controller

    def _taints_changed(self, event: CacheEvent[Node]) -> bool:
        name = event.object.metadata.name
        before = self._taints.pop(name, ())
        if event.change is Change.DELETED:
            return False
        seen = {(taint.key, taint.value): taint.time_added for taint in before}
        now = self._shared.clock.now()
        taints = tuple(
            msgspec.structs.replace(taint, time_added=taint.time_added or seen.get((taint.key, taint.value)) or now)
            for taint in event.object.spec.taints or ()
            if taint.effect == "NoExecute"
        )
        if taints:
            self._taints[name] = taints
        return taints != before

    def _if_on_tainted_node(self, pod: Pod) -> Iterable[str]:
        return (pod.metadata.key,) if pod.spec.node_name in self._taints and not pod.finished else ()

    async def reconcile(self, key: str) -> Requeue | None:
        pod = self._shared.pods.get(key)
        if pod is None or pod.finished or self._shared.as_seen(pod).metadata.deletion_timestamp is not None:
            return None
        now = self._shared.clock.now()
        due = eviction_due(self._taints.get(pod.spec.node_name, ()), pod.spec.tolerations or (), now)
        if due is None:
            return None
        if due > now:
            return Requeue((due - now).total_seconds())
        self._shared.recorder.normal(POD, pod, "TaintManagerEviction", f"Marking for deletion Pod {key}")
        # Jobs ask why a pod was ended before they count it as failed.
        await self._shared.mark_disrupted(pod, "DeletionByTaintManager", "its node has a taint it does not tolerate")
        await self._shared.delete_pod(pod)
        return None
