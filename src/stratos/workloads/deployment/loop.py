"""Carry out the plans for Deployments."""

from __future__ import annotations

from typing import Any

import msgspec

from stratos.apis.deployment import DEPLOYMENT, REVISION_ANNOTATION, Deployment, DeploymentStatus
from stratos.apis.pod import Pod
from stratos.apis.replicaset import REPLICA_SET, ReplicaSet
from stratos.base.errors import AlreadyExists
from stratos.base.selectors import LabelSelector
from stratos.kube.controller import Controller, Requeue
from stratos.planning.scheduling.selection import compile_label_selector
from stratos.workloads.deployment.plan import ReplicaSetChange, find_new, plan_deployment
from stratos.workloads.shared import Shared, again, keys_of_controller, keys_of_suitors


def _selector(deployment: Deployment) -> LabelSelector | None:
    return compile_label_selector(deployment.spec.selector, "spec.selector")


class DeploymentLoop:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._deployments = shared.cache_of_suitors(DEPLOYMENT, _selector)
        self._replica_sets = shared.cache(REPLICA_SET)

    def controller(self) -> Controller:
        controller = self._shared.controller("deployment", self.reconcile, workers=8)
        controller.watch(self._deployments)
        controller.watch(self._replica_sets, keys_of_controller(DEPLOYMENT))
        controller.watch(self._replica_sets, keys_of_suitors(self._deployments, _selector))
        controller.watch(self._shared.pods, self._keys_of_leaving_pod)
        return controller

    def _keys_of_leaving_pod(self, pod: Pod) -> tuple[str, ...]:
        """``Recreate`` waits for the last old pod; what else pods do shows in their ReplicaSet's status."""
        controller = pod.metadata.controller
        if controller is None or controller.kind != REPLICA_SET.kind or not _leaves(pod):
            return ()
        replica_set = self._replica_sets.get(f"{pod.metadata.namespace}/{controller.name}")
        owner = replica_set.metadata.controller if replica_set else None
        if owner is None or owner.kind != DEPLOYMENT.kind:
            return ()
        deployment = self._deployments.get(f"{pod.metadata.namespace}/{owner.name}")
        waiting = deployment is not None and deployment.spec.strategy.type == "Recreate"
        return (f"{pod.metadata.namespace}/{owner.name}",) if waiting else ()

    async def reconcile(self, key: str) -> Requeue | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        replica_sets = await self._shared.claim(DEPLOYMENT, deployment, _selector(deployment), self._replica_sets)
        pods = [pod for each in replica_sets for pod in self._shared.pods_of(each)]
        plan = plan_deployment(deployment, replica_sets, pods, self._shared.clock.now())
        status = plan.status
        for change in plan.change:
            await self._change(deployment, change)
        if plan.create is not None:
            status = await self._create(deployment, plan.create, status)
        for old in plan.delete:
            await self._shared.delete(REPLICA_SET, old)
        if plan.revision and plan.revision != deployment.metadata.annotations.get(REVISION_ANNOTATION):
            annotations = {REVISION_ANNOTATION: plan.revision}
            await self._shared.patch(self._deployments, deployment, {"metadata": {"annotations": annotations}})
        await self._shared.write_status(self._deployments, deployment, deployment.status, status)
        return again(plan.check_again_seconds)

    async def _create(self, deployment: Deployment, body: dict[str, Any], status: DeploymentStatus) -> DeploymentStatus:
        """Make the new ReplicaSet. If its name stands for another template, count that, and the next name differs."""
        try:
            created = await self._shared.create(self._replica_sets, body)
        except AlreadyExists:
            name = body["metadata"]["name"]
            there = await self._shared.client.get(REPLICA_SET, f"{deployment.metadata.namespace}/{name}")
            owner = there.metadata.controller
            if owner and owner.uid == deployment.metadata.uid and find_new(deployment, [there]):
                self._replica_sets.observe(there)
                return status
            return msgspec.structs.replace(status, collision_count=(status.collision_count or 0) + 1)
        self._say_scaled(deployment, created, 0, created.spec.replicas)
        return status

    async def _change(self, deployment: Deployment, change: ReplicaSetChange) -> None:
        before = change.replica_set
        patch = {
            "metadata": {"annotations": dict(change.annotations), "uid": before.metadata.uid},
            "spec": {"replicas": change.replicas, "minReadySeconds": change.min_ready_seconds},
        }
        await self._shared.patch(self._replica_sets, before, patch)
        if change.replicas != before.spec.replicas:
            self._say_scaled(deployment, before, before.spec.replicas, change.replicas)

    def _say_scaled(self, deployment: Deployment, replica_set: ReplicaSet, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {replica_set.metadata.name} from {before} to {after}"
        self._shared.recorder.normal(DEPLOYMENT, deployment, "ScalingReplicaSet", message)


def _leaves(pod: Pod) -> bool:
    return pod.finished or pod.metadata.deletion_timestamp is not None
