"""LimitRanges: the requests and limits of containers that name none, and the bounds for those that do."""

from __future__ import annotations

from collections.abc import Iterator

from stratos.apiserver.admission.contract import AdmissionRequest, Operation
from stratos.apiserver.admission.plugins import Plugin, concerns, refuse
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.resource import Obj
from stratos.base.quantity import parse_quantity


class LimitRanger(Plugin):
    def __init__(self, objects: ObservedObjects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "pods", Operation.CREATE):
            return
        for item in self._container_limits(request.namespace):
            for container in _containers(request):
                resources = container.setdefault("resources", {})
                for part, defaults in (("limits", item.get("default")), ("requests", item.get("defaultRequest"))):
                    if defaults:
                        resources[part] = {**defaults, **(resources.get(part) or {})}

    async def validate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "pods", Operation.CREATE):
            return
        for item in self._container_limits(request.namespace):
            for container in _containers(request):
                if why := _out_of_bounds(container.get("resources") or {}, item):
                    raise refuse(request, why)

    def _container_limits(self, namespace: str) -> Iterator[Obj]:
        for limit_range in self._objects.all("limitranges"):
            if limit_range["metadata"].get("namespace") == namespace:
                for item in (limit_range.get("spec") or {}).get("limits") or ():
                    if item.get("type") == "Container":
                        yield item


def _containers(request: AdmissionRequest) -> list[Obj]:
    assert request.obj is not None
    spec = request.obj["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _out_of_bounds(resources: Obj, item: Obj) -> str | None:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, least in sorted((item.get("min") or {}).items()):
        asked = requests.get(name)
        if asked is None:
            return f"minimum {name} usage per Container is {least}.  No request is specified"
        if parse_quantity(asked) < parse_quantity(least):
            return f"minimum {name} usage per Container is {least}, but request is {asked}"
    for name, most in sorted((item.get("max") or {}).items()):
        allowed = limits.get(name)
        if allowed is None:
            return f"maximum {name} usage per Container is {most}.  No limit is specified"
        if parse_quantity(allowed) > parse_quantity(most):
            return f"maximum {name} usage per Container is {most}, but limit is {allowed}"
    return None
