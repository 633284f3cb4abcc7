"""The ``eviction`` subresource: deleting a pod, if its PodDisruptionBudget can spare it.

The budget is charged before the pod is deleted, in one compare-and-swap on the budget's status; whoever loses that race
looks at the budget again.
"""

from __future__ import annotations

from stratos.apiserver.admission.contract import Admission, Operation
from stratos.apiserver.registry.admitting import admission_request, admit
from stratos.apiserver.registry.codec import decode_as, timestamp
from stratos.apiserver.registry.deleting import Deleter
from stratos.apiserver.registry.reading import Reader
from stratos.apiserver.registry.registry import Registry
from stratos.apiserver.registry.requests import DeleteOptions, ListOptions, Target, WriteOptions
from stratos.apiserver.registry.resource import Obj
from stratos.apiserver.registry.status import ApiError, forbidden
from stratos.apiserver.registry.writing import Writer
from stratos.base.clock import Clock
from stratos.base.selectors import from_label_selector

_MOST_DISRUPTED = 2000
_REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."


class Evictor:
    def __init__(
        self, registry: Registry, reader: Reader, writer: Writer, deleter: Deleter, clock: Clock, admission: Admission
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._writer = writer
        self._deleter = deleter
        self._clock = clock
        self._admission = admission

    async def evict(self, target: Target, eviction: Obj, delete: DeleteOptions, options: WriteOptions) -> Obj:
        pod = decode_as(target.resource, await self._reader.get(target))
        await admit(self._admission, admission_request(Operation.CREATE, target, eviction, None, options))
        budget = None if _needs_no_budget(pod) else await self._budget_of(target, pod)
        if budget is not None and not _may_ignore(budget, pod):
            await self._charge(target, budget, options)
        await self._deleter.delete(target, delete, options)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    async def _budget_of(self, target: Target, pod: Obj) -> Obj | None:
        """The one budget that covers the pod."""
        resource = self._registry.find("policy", "v1", "poddisruptionbudgets")
        if resource is None:
            return None
        page = await self._reader.list(Target(resource, target.namespace), ListOptions())
        budgets = [decode_as(resource, stored) for stored in page.items]
        labels = pod["metadata"].get("labels") or {}
        covering = [budget for budget in budgets if _covers(budget, labels)]
        if len(covering) > 1:
            raise ApiError(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )
        return covering[0] if covering else None

    async def _charge(self, target: Target, budget: Obj, options: WriteOptions) -> None:
        resource = self._registry.find("policy", "v1", "poddisruptionbudgets")
        assert resource is not None
        name = budget["metadata"]["name"]

        def charge(live: Obj) -> None:
            status = live.setdefault("status", {})
            disrupted = status.get("disruptedPods") or {}
            if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
                raise _too_many(f"The disruption budget {name} is still being processed by the server.", wait=10)
            allowed = status.get("disruptionsAllowed", 0)
            if allowed < 0:
                raise forbidden(resource, name, "pdb disruptions allowed is negative")
            if len(disrupted) > _MOST_DISRUPTED:
                raise forbidden(resource, name, "DisruptedPods map too big - too many evictions not confirmed by PDB")
            if allowed == 0:
                healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
                raise _too_many(f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently")
            status["disruptionsAllowed"] = allowed - 1
            status["disruptedPods"] = {**disrupted, target.name: timestamp(self._clock.now())}

        await self._writer.amend(Target(resource, target.namespace, name, "status"), charge, options)


def _needs_no_budget(pod: Obj) -> bool:
    """Nothing is disrupted by the end of a pod that does not run, or is ending anyway."""
    phase = pod.get("status", {}).get("phase", "Pending")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _may_ignore(budget: Obj, pod: Obj) -> bool:
    """Whether a pod that is not ready may go without being counted."""
    conditions = pod.get("status", {}).get("conditions") or []
    if any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status", {})
    desired: int = status.get("desiredHealthy", 0)
    healthy: int = status.get("currentHealthy", 0)
    return 0 < desired <= healthy


def _covers(budget: Obj, labels: dict[str, str]) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and from_label_selector(selector).matches(labels)


def _too_many(why: str, *, wait: int | None = None) -> ApiError:
    cause = {"reason": "DisruptionBudget", "message": why}
    return ApiError(429, "TooManyRequests", _REFUSAL, details={"causes": [cause]}, retry_after_seconds=wait)
