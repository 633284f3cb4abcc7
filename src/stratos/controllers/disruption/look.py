"""Takes the snapshot that disruption plans from: the world as provisioning sees it, and what keeps pods in number."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stratos.apis import labels
from stratos.apis.deployment import DEPLOYMENT, Deployment
from stratos.apis.meta import is_condition_true
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.pod import POD, Pod
from stratos.apis.poddisruptionbudget import POD_DISRUPTION_BUDGET
from stratos.apis.replicaset import REPLICA_SET, ReplicaSet
from stratos.apis.statefulset import STATEFUL_SET, StatefulSet
from stratos.kube.controller import Manager
from stratos.planning.scheduling.compiling import compiler
from stratos.planning.scheduling.requirements import PodRequirements, requirements_of
from stratos.snapshot.disruption import DisruptionSnapshot, Workload
from stratos.snapshot.provisioning import ProvisioningSnapshot

World = Callable[[], ProvisioningSnapshot]
_BY_CONTROLLER = "controller"
_BY_UID = "uid"


class Lookout:
    """The caches that workloads are seen through. ``world`` takes the rest of the snapshot."""

    def __init__(self, manager: Manager, world: World) -> None:
        self._world = world
        self.claims = manager.cache(NODE_CLAIM)
        self.pods = manager.cache(POD, indexes={_BY_CONTROLLER: _controllers})
        self.deployments = manager.cache(DEPLOYMENT)
        self.replica_sets = manager.cache(REPLICA_SET, indexes={_BY_CONTROLLER: _controllers, _BY_UID: _uids})
        self.stateful_sets = manager.cache(STATEFUL_SET)
        self.budgets = manager.cache(POD_DISRUPTION_BUDGET)
        self._compiled: dict[str, tuple[Pod, PodRequirements]] = {}

    def look(self) -> DisruptionSnapshot:
        return DisruptionSnapshot(
            world=self._world(),
            pool_claims=tuple(sorted((claim for claim in self.claims if claim.spec.pool), key=_by_name)),
            workloads=dict(self._workloads()),
            budgets=self.budgets.list(),
        )

    def compile_for(self, look: DisruptionSnapshot) -> Callable[[Pod], PodRequirements]:
        """What pods ask for, remembered from look to look: most of them are the same all day."""
        with_volumes = compiler(look.world.cluster)
        present = {pod.metadata.uid for pod in look.world.cluster.pods}
        self._compiled = {uid: known for uid, known in self._compiled.items() if uid in present}

        def compile_pod(pod: Pod) -> PodRequirements:
            if pod.spec.volumes:
                return with_volumes(pod)  # what it asks for changes when its claims are bound
            known = self._compiled.get(pod.metadata.uid)
            if known is not None and _asks_the_same(known[0], pod):
                return known[1]
            compiled = requirements_of(pod)
            self._compiled[pod.metadata.uid] = (pod, compiled)
            return compiled

        return compile_pod

    def owner(self, controller_uid: str) -> Deployment | ReplicaSet | None:
        """Who is asked for one more pod beside those of a controller."""
        replica_set = self._replica_set(controller_uid)
        if replica_set is None:
            return None
        deployment = self._deployment_of(replica_set)
        return deployment or replica_set

    def _replica_set(self, uid: str) -> ReplicaSet | None:
        return next(iter(self.replica_sets.by_index(_BY_UID, uid)), None)

    def _deployment_of(self, replica_set: ReplicaSet) -> Deployment | None:
        owner = replica_set.metadata.controller
        if owner is None or owner.kind != DEPLOYMENT.kind:
            return None
        return self.deployments.get(f"{replica_set.metadata.namespace}/{owner.name}")

    def _workloads(self) -> Iterator[tuple[str, Workload]]:
        for replica_set in self.replica_sets:
            uid = replica_set.metadata.uid
            deployment = self._deployment_of(replica_set)
            if deployment is not None:
                siblings = self.replica_sets.by_index(_BY_CONTROLLER, deployment.metadata.uid)
                yield uid, self._of_deployment(deployment, siblings, self._ready(uid))
            else:
                yield uid, self._of_replica_set(replica_set)
        for stateful_set in self.stateful_sets:
            yield stateful_set.metadata.uid, self._of_stateful_set(stateful_set)

    def _ready(self, controller_uid: str) -> int:
        """Pods that are ready and stay, as their own cache has it: the owner's status may lag behind."""
        return sum(
            pod.metadata.deletion_timestamp is None and is_condition_true(pod.status.conditions, "Ready")
            for pod in self.pods.by_index(_BY_CONTROLLER, controller_uid)
        )

    def _of_deployment(self, deployment: Deployment, siblings: tuple[ReplicaSet, ...], ready: int) -> Workload:
        spec, status = deployment.spec, deployment.status
        asked, surge = surge_of(deployment)
        return Workload(
            kind=DEPLOYMENT.kind,
            key=deployment.metadata.key,
            replicas=asked,
            ready=min(ready, status.available_replicas),
            surge=surge,
            can_surge=deployment.metadata.deletion_timestamp is None,
            changing=(
                status.observed_generation < deployment.metadata.generation
                or status.replicas != spec.replicas
                or status.updated_replicas != spec.replicas
                or sum(each.spec.replicas > 0 or each.status.replicas > 0 for each in siblings) > 1
            ),
        )

    def _of_replica_set(self, replica_set: ReplicaSet) -> Workload:
        spec, status = replica_set.spec, replica_set.status
        asked, surge = surge_of(replica_set)
        return Workload(
            kind=REPLICA_SET.kind,
            key=replica_set.metadata.key,
            replicas=asked,
            ready=min(self._ready(replica_set.metadata.uid), status.available_replicas),
            surge=surge,
            # Whoever owns it, an operator of another project, would take back what we ask for.
            can_surge=replica_set.metadata.controller is None and replica_set.metadata.deletion_timestamp is None,
            changing=status.observed_generation < replica_set.metadata.generation or status.replicas != spec.replicas,
        )

    def _of_stateful_set(self, stateful_set: StatefulSet) -> Workload:
        spec, status = stateful_set.spec, stateful_set.status
        return Workload(
            kind=STATEFUL_SET.kind,
            key=stateful_set.metadata.key,
            replicas=spec.replicas,
            ready=min(self._ready(stateful_set.metadata.uid), status.available_replicas),
            changing=(
                status.observed_generation < stateful_set.metadata.generation
                or status.replicas != spec.replicas
                or status.current_revision != status.update_revision
            ),
        )


def surge_of(owner: Deployment | ReplicaSet) -> tuple[int, int]:
    """How many replicas were asked for, and how many more are there because of us.

    A number that somebody changed meanwhile is theirs: then there is no surge, and the note of it means nothing.
    """
    text = owner.metadata.annotations.get(labels.SURGE, "")
    asked, plus, more = text.partition("+")
    if plus and asked.isdecimal() and more.isdecimal() and int(asked) + int(more) == owner.spec.replicas:
        return int(asked), int(more)
    return owner.spec.replicas, 0


def _controllers(obj: Pod | ReplicaSet) -> tuple[str, ...]:
    owner = obj.metadata.controller
    return (owner.uid,) if owner is not None else ()


def _uids(obj: ReplicaSet) -> tuple[str, ...]:
    return (obj.metadata.uid,)


def _asks_the_same(one: Pod, other: Pod) -> bool:
    return one.spec == other.spec and one.metadata.labels == other.metadata.labels


def _by_name(claim: NodeClaim) -> str:
    return claim.metadata.name
