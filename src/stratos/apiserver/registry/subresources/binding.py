"""The ``binding`` subresource: a pod is given its node, once."""

from __future__ import annotations

from stratos.apiserver.admission.contract import Admission, Operation
from stratos.apiserver.registry.admitting import admission_request, admit
from stratos.apiserver.registry.codec import timestamp
from stratos.apiserver.registry.requests import Target, WriteOptions
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import ApiError, invalid
from stratos.apiserver.registry.writing import Writer
from stratos.base.clock import Clock
from stratos.base.errors import FieldProblem


class Binder:
    def __init__(self, writer: Writer, clock: Clock, admission: Admission) -> None:
        self._writer = writer
        self._clock = clock
        self._admission = admission

    async def bind(self, target: Target, binding: Obj, options: WriteOptions) -> Obj:
        node = _node_of(binding, target.name)
        metadata = binding.get("metadata") or {}
        await admit(self._admission, admission_request(Operation.CREATE, target, binding, None, options))

        def bind(pod: Obj) -> None:
            if metadata.get("uid") not in (None, "", pod["metadata"]["uid"]):
                raise _conflict(target, f"Precondition failed: UID in precondition: {metadata['uid']}")
            self._assign(pod, target, node)
            if metadata.get("annotations"):
                pod["metadata"].setdefault("annotations", {}).update(metadata["annotations"])

        await self._writer.amend(target, bind, options)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _assign(self, pod: Obj, target: Target, node: str) -> None:
        spec = pod["spec"]
        if "deletionTimestamp" in pod["metadata"]:
            raise _conflict(target, f"pod {target.name} is being deleted, cannot be assigned to a host")
        if spec.get("nodeName"):
            raise _conflict(target, f'pod {target.name} is already assigned to node "{spec["nodeName"]}"')
        if spec.get("schedulingGates"):
            raise _conflict(target, f"pod {target.name} has non-empty .spec.schedulingGates")
        spec["nodeName"] = node
        status = pod.setdefault("status", {})
        others = [one for one in status.get("conditions") or [] if one.get("type") != "PodScheduled"]
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(self._clock.now()),
        }
        status["conditions"] = [*others, scheduled]


def _node_of(binding: Obj, name: str) -> str:
    chosen = binding.get("target") or {}
    problems = []
    if chosen.get("kind") not in (None, "", "Node"):
        message = f'Unsupported value: "{chosen["kind"]}": supported values: "Node", "<empty>"'
        problems.append(FieldProblem("target.kind", "FieldValueNotSupported", message))
    if not chosen.get("name"):
        problems.append(FieldProblem("target.name", "FieldValueRequired", "Required value"))
    if problems:
        raise invalid("", "Binding", name, problems)
    node: str = chosen["name"]
    return node


def _conflict(target: Target, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on pods/binding "{target.name}": {why}'
    return ApiError(409, "Conflict", message, details={"name": target.name, "kind": "pods/binding"})
