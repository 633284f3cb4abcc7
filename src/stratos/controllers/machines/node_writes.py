"""Writes of nodes and their pods: labels, cordon and taints; nominations; evictions; the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratos.apis.node import NODE, Node
from stratos.apis.pod import POD, Pod
from stratos.base.errors import NotFound, Throttled
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.planning.pools.nodes import NodeShape, same_taints
from stratos.telemetry.logs import get_logger

log = get_logger(__name__)


class NodeWrites:
    def __init__(self, client: Client, nodes: Cache[Node], pods: Cache[Pod]) -> None:
        self._client = client
        self._nodes = nodes
        self._pods = pods

    async def shape(self, node: Node, shape: NodeShape) -> None:
        spec: dict[str, Any] = {}
        metadata: dict[str, Any] = {
            "labels": {key: value for key, value in shape.labels.items() if node.metadata.labels.get(key) != value},
            "annotations": {
                key: value for key, value in shape.annotations.items() if node.metadata.annotations.get(key) != value
            },
        }
        if node.spec.unschedulable != shape.unschedulable:
            spec["unschedulable"] = shape.unschedulable or None
        if not same_taints(node.spec.taints or (), shape.taints):
            # The list is written whole: nobody else's taint may get lost in between.
            spec["taints"] = msgspec.to_builtins(shape.taints)
            metadata["resourceVersion"] = node.metadata.resource_version
        written = await self._client.patch(NODE, node.metadata.name, {"metadata": metadata, "spec": spec})
        self._nodes.observe(written)

    async def delete(self, node: Node) -> None:
        try:
            await self._client.delete(NODE, node.metadata.name, uid=node.metadata.uid)
        except NotFound:
            log.debug("node was gone already", node=node.metadata.name)

    async def nominate(self, node: Node, pods: tuple[str, ...]) -> None:
        """Promise the node to those pods that still wait: the scheduler tries it first, and keeps their room there."""
        name = node.metadata.name
        waiting = [pod for key in pods if (pod := self._pods.get(key)) is not None and pod.unschedulable]
        await asyncio.gather(*(self._nominate(pod, name) for pod in waiting if pod.status.nominated_node_name != name))

    async def _nominate(self, pod: Pod, node: str) -> None:
        patch = {"status": {"nominatedNodeName": node}}
        try:
            self._pods.observe(await self._client.patch(POD, pod.metadata.key, patch, subresource="status"))
        except NotFound:
            log.debug("pod was gone already", pod=pod.metadata.key)

    async def empty(self, evict: Sequence[str], delete: Sequence[str], grace_seconds: Mapping[str, int]) -> None:
        await asyncio.gather(
            *(self._evict(key, grace_seconds.get(key)) for key in evict),
            *(self._delete_pod(key, grace_seconds.get(key)) for key in delete),
        )

    async def _evict(self, key: str, grace_seconds: int | None) -> None:
        try:
            await self._client.evict(key, grace_seconds=grace_seconds)
        except NotFound:
            log.debug("pod was gone already", pod=key)
        except Throttled as error:
            log.debug(
                "eviction must wait", pod=key, reason=error.message
            )  # a budget says no: asked again with the next plan

    async def _delete_pod(self, key: str, grace_seconds: int | None) -> None:
        try:
            await self._client.delete(POD, key, grace_seconds=grace_seconds)
        except NotFound:
            log.debug("pod was gone already", pod=key)
