"""Carry out the plans for StatefulSets."""

from __future__ import annotations

from typing import Any

from stratos.apis.meta import Kind, KubeObject
from stratos.apis.statefulset import STATEFUL_SET, StatefulSet
from stratos.apis.workload import CONTROLLER_REVISION_HASH
from stratos.base.errors import AlreadyExists
from stratos.base.selectors import LabelSelector
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.history import History
from stratos.workloads.shared import Shared, again, keys_of_controller, keys_of_suitors
from stratos.workloads.statefulset.plan import plan_stateful_set

_CLAIM = Kind(
    group="",
    version="v1",
    plural="persistentvolumeclaims",
    kind="PersistentVolumeClaim",
    namespaced=True,
    type=KubeObject,
)


def _selector(stateful_set: StatefulSet) -> LabelSelector | None:
    return compile_label_selector(stateful_set.spec.selector, "spec.selector")


class StatefulSetLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._stateful_sets = shared.cache_of_suitors(STATEFUL_SET, _selector)
        self._history = History(shared)

    def controller(self) -> Controller:
        controller = self._shared.controller("statefulset", self.reconcile)
        controller.watch(self._stateful_sets)
        controller.watch(self._shared.pods, keys_of_controller(STATEFUL_SET))
        controller.watch(self._shared.pods, keys_of_suitors(self._stateful_sets, _selector))
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        stateful_set = self._stateful_sets.get(key)
        if stateful_set is None:
            return None
        selector = _selector(stateful_set)
        pods = await self._shared.claim_pods(STATEFUL_SET, stateful_set, selector)
        revisions = await self._history.keep(
            STATEFUL_SET,
            stateful_set,
            selector,
            stateful_set.spec.template,
            current_name=stateful_set.status.current_revision,
            in_use=frozenset(pod.metadata.labels.get(CONTROLLER_REVISION_HASH, "") for pod in pods),
            limit=stateful_set.spec.revision_history_limit,
            collision_count=stateful_set.status.collision_count,
        )
        plan = plan_stateful_set(stateful_set, pods, revisions, self._shared.clock.now())
        for claim in plan.claims:
            await self._ensure_claim(claim)
        await self._shared.create_pods(STATEFUL_SET, stateful_set, plan.create)
        await self._shared.delete_pods(STATEFUL_SET, stateful_set, plan.delete)
        await self._shared.write_status(self._stateful_sets, stateful_set, stateful_set.status, plan.status)
        return again(plan.check_again_seconds)

    async def _ensure_claim(self, claim: dict[str, Any]) -> None:
        try:
            await self._shared.client.create(_CLAIM, claim)
        except AlreadyExists:
            return  # the storage of an earlier pod of that name, which is the point of it
