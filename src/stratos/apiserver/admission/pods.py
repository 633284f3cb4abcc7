"""What admission decides about pods: the account they run as, their priority, and how long they bear a lost node."""

from __future__ import annotations

import asyncio

from stratos.apiserver.admission.contract import AdmissionRequest, Operation
from stratos.apiserver.admission.plugins import Plugin, concerns, refuse
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.registry.builtin.policy import SYSTEM_PRIORITY_CLASSES
from stratos.apiserver.registry.resource import Obj

_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_DEFAULT_ACCOUNT = "default"
_ACCOUNT_TRIES = 10
_ACCOUNT_RETRY_SECONDS = 0.1


class ServiceAccountAdmission(Plugin):
    """A pod runs as the ``default`` account of its namespace unless it names one, and the account must exist."""

    def __init__(self, objects: ObservedObjects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "pods", Operation.CREATE) or _is_mirror(request):
            return
        assert request.obj is not None
        spec = request.obj["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT_ACCOUNT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(request.namespace, name)
        if account is None:
            looked_up = f"error looking up service account {request.namespace}/{name}"
            raise refuse(request, f'{looked_up}: serviceaccount "{name}" not found')
        if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def _account(self, namespace: str, name: str) -> Obj | None:
        """The account. The default one of a new namespace may still be on its way, so it is waited for."""
        for _ in range(_ACCOUNT_TRIES if name == _DEFAULT_ACCOUNT else 1):
            if (account := self._objects.get("serviceaccounts", namespace, name)) is not None:
                return account
            if name == _DEFAULT_ACCOUNT:
                await asyncio.sleep(_ACCOUNT_RETRY_SECONDS)
        return None


def _is_mirror(request: AdmissionRequest) -> bool:
    """Mirrors of a kubelet's static pods use no accounts."""
    assert request.obj is not None
    return _MIRROR_ANNOTATION in (request.obj["metadata"].get("annotations") or {})


class PriorityAdmission(Plugin):
    """Turns ``priorityClassName`` into a number, and keeps the default class unique."""

    _CLASSES = "priorityclasses.scheduling.k8s.io"

    def __init__(self, objects: ObservedObjects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "pods", Operation.CREATE, Operation.UPDATE):
            return
        assert request.obj is not None
        spec = request.obj["spec"]
        if request.operation is Operation.UPDATE:
            before = (request.old_obj or {}).get("spec", {})
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]
            return
        name, value, policy = self._resolve(request, spec.get("priorityClassName") or "")
        if name:
            spec["priorityClassName"] = name
        computed = "must not be provided in pod spec; priority admission controller computed"
        if spec.get("priority") not in (None, value):
            raise refuse(
                request,
                f"the integer value of priority ({spec['priority']}) {computed} {value} from the given "
                "PriorityClass name",
            )
        if spec.get("preemptionPolicy") not in (None, policy):
            raise refuse(
                request,
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) {computed} {policy} from "
                "the given PriorityClass name",
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _resolve(self, request: AdmissionRequest, name: str) -> tuple[str, int, str]:
        """Name, value and preemption policy of the class that applies."""
        found = self._objects.get(self._CLASSES, "", name) if name else self._default_class()
        if found is not None:
            policy = str(found.get("preemptionPolicy") or "PreemptLowerPriority")
            return found["metadata"]["name"], int(found.get("value", 0)), policy
        if name in SYSTEM_PRIORITY_CLASSES:
            return name, SYSTEM_PRIORITY_CLASSES[name], "PreemptLowerPriority"
        if name:
            raise refuse(request, f"no PriorityClass with name {name} was found")
        return "", 0, "PreemptLowerPriority"

    def _default_class(self) -> Obj | None:
        """Of several defaults, which only a race can make, the lowest counts."""
        defaults = [found for found in self._objects.all(self._CLASSES) if found.get("globalDefault") is True]
        return min(defaults, key=lambda found: int(found.get("value", 0)), default=None)

    async def validate(self, request: AdmissionRequest) -> None:
        if not concerns(request, self._CLASSES, Operation.CREATE, Operation.UPDATE):
            return
        assert request.obj is not None
        if request.obj.get("globalDefault") is not True:
            return
        for other in self._objects.all(self._CLASSES):
            name = other["metadata"]["name"]
            if other.get("globalDefault") is True and name != request.name:
                raise refuse(request, f"PriorityClass {name} is already marked as default. Only one default can exist")


class DefaultTolerationSeconds(Plugin):
    """A pod stays on a node that is not ready or out of reach for five minutes, unless it says otherwise."""

    _TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    _SECONDS = 300

    async def mutate(self, request: AdmissionRequest) -> None:
        if not concerns(request, "pods", Operation.CREATE, Operation.UPDATE):
            return
        assert request.obj is not None
        spec = request.obj["spec"]
        tolerations = spec.get("tolerations") or []
        missing = [taint for taint in self._TAINTS if not any(_speaks_of(t, taint) for t in tolerations)]
        if missing:
            added = [
                {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": self._SECONDS}
                for taint in missing
            ]
            spec["tolerations"] = [*tolerations, *added]


def _speaks_of(toleration: Obj, taint: str) -> bool:
    key, effect = toleration.get("key") or "", toleration.get("effect") or ""
    return key in ("", taint) and effect in ("", "NoExecute")
