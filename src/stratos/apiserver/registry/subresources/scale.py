"""The ``scale`` subresource: how many replicas, without knowing the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stratos.apiserver.admission.contract import Admission, Operation
from stratos.apiserver.registry.admitting import admission_request, admit
from stratos.apiserver.registry.codec import decode_as
from stratos.apiserver.registry.json_values import copy_json
from stratos.apiserver.registry.metadata import check_body
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj, ScalePaths
from stratos.apiserver.registry.status import conflict, invalid
from stratos.apiserver.registry.writing import Writer
from stratos.base.errors import FieldProblem
from stratos.base.selectors import from_label_selector

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Scaler:
    def __init__(self, reader: Reader, writer: Writer, admission: Admission) -> None:
        self._reader = reader
        self._writer = writer
        self._admission = admission

    async def get(self, target: Target) -> Obj:
        obj = decode_as(target.resource, await self._reader.get(replace(target, subresource="")))
        return _scale_of(obj, _paths(target))

    async def change(self, target: Target, change: Callable[[Obj], Any], options: WriteOptions) -> Obj:
        """Replace the Scale by what ``change`` makes of it, and the object's replicas with it."""
        before = await self.get(target)
        after = check_body(target, change(copy_json(before)), "autoscaling", "v1", "Scale")
        metadata = after.get("metadata") or {}
        uid = metadata.get("uid")
        if uid and uid != before["metadata"]["uid"]:
            raise conflict(target.resource, target.name, f"Precondition failed: UID in precondition: {uid}")
        request = admission_request(Operation.UPDATE, target, after, before, options)
        await admit(self._admission, request)
        wanted = _replicas_of(request.obj or {})
        expected = metadata.get("resourceVersion") or ""

        def set_replicas(obj: Obj) -> None:
            if expected and expected != obj["metadata"]["resourceVersion"]:
                raise conflict(target.resource, target.name)
            _put(obj, _paths(target).spec_replicas, wanted)

        written = await self._writer.amend(target, set_replicas, options)
        return _scale_of(decode_as(target.resource, written.stored), _paths(target))


def _paths(target: Target) -> ScalePaths:
    paths = target.resource.scale
    assert paths is not None, f"{target.resource.group_resource} lists scale without saying where its fields are"
    return paths


def _replicas_of(scale: Obj) -> int:
    """The replicas asked for. Raises 422 when that is no count."""
    spec = scale.get("spec")
    replicas = (spec if isinstance(spec, dict) else {}).get("replicas", 0)
    if isinstance(replicas, int) and not isinstance(replicas, bool) and 0 <= replicas < 2**31:
        return replicas
    message = f"Invalid value: {replicas!r}: must be an integer greater than or equal to 0"
    name = str((scale.get("metadata") or {}).get("name", ""))
    raise invalid("autoscaling", "Scale", name, [FieldProblem("spec.replicas", "FieldValueInvalid", message)])


def _scale_of(obj: Obj, paths: ScalePaths) -> Obj:
    metadata = {key: obj["metadata"][key] for key in _KEPT if key in obj["metadata"]}
    status: Obj = {"replicas": _get(obj, paths.status_replicas) or 0}
    selector = _get(obj, paths.label_selector) if paths.label_selector else None
    if selector is None and not paths.label_selector:
        selector = _get(obj, ".spec.selector")
    if selector:
        status["selector"] = str(from_label_selector(selector)) if isinstance(selector, dict) else selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": _get(obj, paths.spec_replicas) or 0},
        "status": status,
    }


def _get(obj: Obj, path: str) -> Any:
    found: Any = obj
    for key in path.strip(".").split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _put(obj: Obj, path: str, value: int) -> None:
    *parents, last = path.strip(".").split(".")
    for key in parents:
        obj = obj.setdefault(key, {})
    obj[last] = value
