"""Watch over nodes: conditions turn Unknown in silence, and taints follow conditions."""

from __future__ import annotations

from datetime import datetime

import msgspec

from stratos.apis.lease import LEASE, Lease
from stratos.apis.meta import Condition, find_condition
from stratos.apis.node import NODE, Node
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.client import PatchType
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.nodelifecycle.plan import NodePlan, plan_node, pods_to_mark_unready
from stratos.workloads.shared import BY_NODE, Shared, again

_LEASE_NAMESPACE = "kube-node-lease"


class NodeMonitorLoop:
    """Remembers when each node was last heard, by this process's clock: clocks of nodes may be wrong."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._nodes = shared.cache(NODE)
        self._leases = shared.cache(LEASE)
        self._heard: dict[str, datetime] = {}

    def controller(self) -> Controller:
        self._leases.subscribe(self._lease_changed)
        self._nodes.subscribe(self._node_changed)
        controller = self._shared.controller("nodelifecycle", self.reconcile)
        controller.watch(self._nodes)
        return controller

    def _lease_changed(self, event: CacheEvent[Lease]) -> None:
        # No reconcile: the one that waits for the end of the grace period looks at this and waits on.
        if event.object.metadata.namespace == _LEASE_NAMESPACE and event.change is not Change.DELETED:
            self._heard[event.object.metadata.name] = self._shared.clock.now()

    def _node_changed(self, event: CacheEvent[Node]) -> None:
        name = event.object.metadata.name
        if event.change is Change.DELETED:
            self._heard.pop(name, None)
        elif event.change is Change.ADDED or _reported(event.old, event.object):
            self._heard[name] = self._shared.clock.now()

    async def reconcile(self, name: str) -> Requeue | None:
        node = self._nodes.get(name)
        if node is None or node.metadata.deletion_timestamp is not None:
            return None
        now = self._shared.clock.now()
        plan = plan_node(node, self._heard.get(name, now), now)
        if plan.conditions != node.status.conditions:
            await self._write_conditions(node, plan)
        if plan.taints != (node.spec.taints or ()):
            await self._write_taints(name, plan)
        await self._mark_pods_unready(name, plan.ready)
        return again(plan.check_again_seconds)

    async def _write_conditions(self, node: Node, plan: NodePlan) -> None:
        changed = [each for each in plan.conditions if each not in node.status.conditions]
        patch = {"status": {"conditions": msgspec.to_builtins(changed)}}
        answer = await self._shared.client.patch(
            NODE, node.metadata.name, patch, type=PatchType.STRATEGIC, subresource="status"
        )
        self._nodes.observe(answer)
        message = f"Node {node.metadata.name} status is now: NodeNotReady"
        self._shared.recorder.normal(NODE, node, "NodeNotReady", message)

    async def _write_taints(self, name: str, plan: NodePlan) -> None:
        """The list is written whole, so it must still be the one that was looked at."""
        node = self._nodes.get(name)
        if node is not None:
            taints = msgspec.to_builtins(plan.taints)
            version = node.metadata.resource_version
            patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": taints or None}}
            await self._shared.patch(self._nodes, node, patch)

    async def _mark_pods_unready(self, name: str, ready: bool) -> None:
        unready = Condition(type="Ready", status="False", last_transition_time=self._shared.clock.now())
        for pod in pods_to_mark_unready(ready, self._shared.pods.by_index(BY_NODE, name)):
            await self._shared.patch_pod_status(pod, {"conditions": [msgspec.to_builtins(unready)]})


def _reported(old: Node | None, new: Node) -> bool:
    """Whether a change is the kubelet's word: it says Ready anew, and Unknown is what we say."""
    before = find_condition(old.status.conditions, "Ready") if old is not None else None
    ready = find_condition(new.status.conditions, "Ready")
    return ready is not None and ready.status != "Unknown" and ready != before
