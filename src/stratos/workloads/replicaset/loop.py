"""Carry out the plans for ReplicaSets."""

from __future__ import annotations

import msgspec

from stratos.apis.meta import with_condition
from stratos.apis.pod import Pod
from stratos.apis.replicaset import REPLICA_SET, ReplicaSet, ReplicaSetStatus
from stratos.base.errors import StratosError
from stratos.base.selectors import LabelSelector
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.pods import pod_from_template
from stratos.workloads.replicaset.plan import ReplicaSetPlan, plan_replica_set
from stratos.workloads.shared import Shared, again, keys_of_controller, keys_of_suitors


def _selector(replica_set: ReplicaSet) -> LabelSelector | None:
    return compile_label_selector(replica_set.spec.selector, "spec.selector")


class ReplicaSetLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._replica_sets = shared.cache_of_suitors(REPLICA_SET, _selector)

    def controller(self) -> Controller:
        controller = self._shared.controller("replicaset", self.reconcile, workers=8)
        controller.watch(self._replica_sets)
        controller.watch(self._shared.pods, keys_of_controller(REPLICA_SET))
        controller.watch(self._shared.pods, keys_of_suitors(self._replica_sets, _selector))
        return controller

    async def reconcile(self, key: str) -> Requeue | None:
        replica_set = self._replica_sets.get(key)
        if replica_set is None:
            return None
        pods = await self._shared.claim_pods(REPLICA_SET, replica_set, _selector(replica_set))
        plan = plan_replica_set(replica_set, pods, self._shared.clock.now())
        failure: StratosError | None = None
        try:
            await self._carry_out(replica_set, plan, pods)
        except StratosError as error:
            failure = error
        status = self._with_failure(plan.status, failure)
        await self._shared.write_status(self._replica_sets, replica_set, replica_set.status, status)
        if failure is not None:
            raise failure
        return again(plan.check_again_seconds)

    async def _carry_out(self, replica_set: ReplicaSet, plan: ReplicaSetPlan, pods: list[Pod]) -> None:
        body = pod_from_template(replica_set.spec.template, REPLICA_SET, replica_set) if plan.create else {}
        await self._shared.create_pods(REPLICA_SET, replica_set, [body] * plan.create)
        await self._shared.delete_pods(REPLICA_SET, replica_set, plan.delete)

    def _with_failure(self, status: ReplicaSetStatus, failure: StratosError | None) -> ReplicaSetStatus:
        others = tuple(each for each in status.conditions if each.type != "ReplicaFailure")
        if failure is None:
            return msgspec.structs.replace(status, conditions=others)
        conditions = with_condition(
            status.conditions,
            "ReplicaFailure",
            True,
            reason="FailedCreate",
            message=failure.message,
            now=self._shared.clock.now(),
        )
        return msgspec.structs.replace(status, conditions=conditions)
