"""ReplicaSets: a number of pods of one template."""

from __future__ import annotations

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.workload import PodTemplate


class ReplicaSetSpec(Struct):
    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelectorSpec | None = None
    template: PodTemplate = {}


class ReplicaSetStatus(Struct):
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(KubeObject):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


REPLICA_SET = Kind(
    group="apps", version="v1", plural="replicasets", kind="ReplicaSet", namespaced=True, type=ReplicaSet
)
