"""Keep the status of PodDisruptionBudgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.meta import KubeObject, OwnerReference
from stratos.apis.pod import Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET, PodDisruptionBudget
from stratos.apis.replicaset import REPLICA_SET
from stratos.apis.statefulset import STATEFUL_SET
from stratos.base.selectors import LabelSelector
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.disruptionbudget.plan import plan_budget
from stratos.workloads.matching import matching, selecting
from stratos.workloads.shared import BY_NAMESPACE, Shared, again, complete


def _selector(budget: PodDisruptionBudget) -> LabelSelector | None:
    return compile_label_selector(budget.spec.selector, "spec.selector")


class DisruptionBudgetLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._budgets = shared.cache_of_suitors(POD_DISRUPTION_BUDGET, _selector)
        self._replica_sets = shared.cache(REPLICA_SET)
        self._deployments = shared.cache(DEPLOYMENT)
        self._stateful_sets = shared.cache(STATEFUL_SET)

    def controller(self) -> Controller:
        controller = self._shared.controller("poddisruptionbudget", self.reconcile)
        controller.watch(self._budgets)
        controller.watch(self._shared.pods, lambda pod: selecting(self._budgets, _selector, pod))
        # The scale of an owner decides how many pods are expected.
        controller.watch(self._replica_sets, self._keys_in_namespace)
        controller.watch(self._deployments, self._keys_in_namespace)
        controller.watch(self._stateful_sets, self._keys_in_namespace)
        return controller

    def _keys_in_namespace(self, obj: KubeObject) -> Iterable[str]:
        return [budget.metadata.key for budget in self._budgets.by_index(BY_NAMESPACE, obj.metadata.namespace)]

    async def reconcile(self, key: str) -> Requeue | None:
        budget = self._budgets.get(key)
        if budget is None:
            return None
        selected = matching(self._shared.pods, budget.metadata.namespace, _selector(budget))
        pods = [self._shared.as_seen(pod) for pod in selected if not pod.finished]
        plan = plan_budget(budget, pods, self._expected(pods), self._shared.clock.now())
        if plan.status != budget.status:
            status = complete(plan.status)
            # A merge patch forgets a name only when told so.
            gone = dict.fromkeys(set(budget.status.disrupted_pods) - set(plan.status.disrupted_pods))
            status["disruptedPods"] = {**status["disruptedPods"], **gone}
            # The server takes evictions off the same numbers: what it granted meanwhile must not be written over.
            patch = {"metadata": {"resourceVersion": budget.metadata.resource_version}, "status": status}
            answer = await self._shared.client.patch(POD_DISRUPTION_BUDGET, key, patch, subresource="status")
            self._budgets.observe(answer)
        return again(plan.check_again_seconds)

    def _expected(self, pods: Sequence[Pod]) -> int | None:
        """How many pods the owners of these want in all. One owner without a scale makes it unknown."""
        scales: dict[str, int] = {}
        for pod in pods:
            controller = pod.metadata.controller
            scale = self._scale(pod.metadata.namespace, controller) if controller else None
            if scale is None:
                return None
            scales.update((scale,))
        return sum(scales.values())

    def _scale(self, namespace: str, owner: OwnerReference) -> tuple[str, int] | None:
        """The uid of what is scaled in the end, and its wished number of pods."""
        key = f"{namespace}/{owner.name}"
        if owner.kind == STATEFUL_SET.kind and (stateful_set := self._stateful_sets.get(key)):
            return stateful_set.metadata.uid, stateful_set.spec.replicas
        if owner.kind != REPLICA_SET.kind or (replica_set := self._replica_sets.get(key)) is None:
            return None
        above = replica_set.metadata.controller
        if above is None:
            return replica_set.metadata.uid, replica_set.spec.replicas
        deployment = self._deployments.get(f"{namespace}/{above.name}") if above.kind == DEPLOYMENT.kind else None
        return (deployment.metadata.uid, deployment.spec.replicas) if deployment else None
