"""StatefulSets: pods with names and storage of their own."""

from __future__ import annotations

from typing import Any

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.workload import PodTemplate

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"


class RollingUpdateStatefulSet(Struct):
    partition: int = 0


class StatefulSetUpdateStrategy(Struct):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdateStatefulSet | None = None


class StatefulSetOrdinals(Struct):
    start: int = 0


class StatefulSetSpec(Struct):
    replicas: int = 1
    selector: LabelSelectorSpec | None = None
    template: PodTemplate = {}
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    revision_history_limit: int = 10
    min_ready_seconds: int = 0
    ordinals: StatefulSetOrdinals = StatefulSetOrdinals()
    volume_claim_templates: tuple[dict[str, Any], ...] = ()


class StatefulSetStatus(Struct):
    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()


class StatefulSet(KubeObject):
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


STATEFUL_SET = Kind(
    group="apps", version="v1", plural="statefulsets", kind="StatefulSet", namespaced=True, type=StatefulSet
)
