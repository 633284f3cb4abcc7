"""Keep EndpointSlices and Endpoints as planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stratos.apis.node import NODE
from stratos.apis.pod import Pod
from stratos.apis.service import ENDPOINT_SLICE, ENDPOINTS, MANAGED_BY_LABEL, SERVICE, EndpointSlice, Service
from stratos.base.errors import AlreadyExists
from stratos.base.selectors import LabelSelector, from_match_labels
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.endpoints.plan import MANAGER, plan_endpoints, plan_slices
from stratos.workloads.matching import matching, selecting
from stratos.workloads.pods import controller_reference
from stratos.workloads.shared import BY_CONTROLLER, Shared, keys_of_controller


def _selector(service: Service) -> LabelSelector | None:
    """A Service without a selector has endpoints that others write."""
    return from_match_labels(service.spec.selector) if service.spec.selector else None


class EndpointsLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._services = shared.cache_of_suitors(SERVICE, _selector)
        self._slices = shared.cache(ENDPOINT_SLICE)
        self._endpoints = shared.cache(ENDPOINTS)
        self._nodes = shared.cache(NODE)

    def controller(self) -> Controller:
        controller = self._shared.controller("endpoints", self.reconcile)
        controller.watch(self._services)
        controller.watch(self._shared.pods, lambda pod: selecting(self._services, _selector, pod))
        controller.watch(self._slices, keys_of_controller(SERVICE))
        controller.watch(self._endpoints)
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        service = self._services.get(key)
        selector = _selector(service) if service else None
        if service is None or selector is None or service.metadata.deletion_timestamp is not None:
            return None  # what a deleted Service owned is collected with it
        selected = matching(self._shared.pods, service.metadata.namespace, selector)
        pods = [self._shared.as_seen(pod) for pod in selected]
        await self._keep_slices(service, pods)
        await self._keep_endpoints(service, pods)
        return None

    async def _keep_slices(self, service: Service, pods: list[Pod]) -> None:
        nodes = {name: node for pod in pods if (node := self._nodes.get(name := pod.spec.node_name)) is not None}
        present = {
            each.metadata.name: each
            for each in self._slices.by_index(BY_CONTROLLER, service.metadata.uid)
            if each.metadata.labels.get(MANAGED_BY_LABEL) == MANAGER
        }
        for body in plan_slices(service, pods, nodes):
            there = present.pop(body["metadata"]["name"], None)
            if there is None:
                await self._shared.create(self._slices, body)
            elif not _says(there, body):
                change = {"metadata": {"labels": body["metadata"]["labels"]}}
                change |= {field: body[field] for field in ("endpoints", "ports")}
                await self._shared.patch(self._slices, there, change)
        for name in sorted(present):
            await self._shared.delete(ENDPOINT_SLICE, present[name])

    async def _keep_endpoints(self, service: Service, pods: list[Pod]) -> None:
        subsets = plan_endpoints(service, pods)
        there = self._endpoints.get(service.metadata.key)
        if there is not None:
            if (there.subsets or ()) != subsets:
                await self._shared.patch(self._endpoints, there, {"subsets": msgspec.to_builtins(subsets)})
            return
        body = {
            "metadata": {
                "name": service.metadata.name,
                "namespace": service.metadata.namespace,
                "labels": service.metadata.labels,
                "ownerReferences": [controller_reference(SERVICE, service)],
            },
            "subsets": msgspec.to_builtins(subsets),
        }
        try:
            await self._shared.create(self._endpoints, body)
        except AlreadyExists:
            self._endpoints.observe(await self._shared.client.get(ENDPOINTS, service.metadata.key))


def _says(there: EndpointSlice, body: Mapping[str, Any]) -> bool:
    wanted = msgspec.convert(body, EndpointSlice)
    return (
        (there.endpoints or ()) == (wanted.endpoints or ())
        and (there.ports or ()) == (wanted.ports or ())
        and there.metadata.labels == wanted.metadata.labels
    )
