"""DaemonSets: one pod on every node that fits."""

from __future__ import annotations

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.workload import PodTemplate


class RollingUpdateDaemonSet(Struct):
    max_unavailable: int | str = 1
    max_surge: int | str = 0


class DaemonSetUpdateStrategy(Struct):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(Struct):
    selector: LabelSelectorSpec | None = None
    template: PodTemplate = {}
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10


class DaemonSetStatus(Struct):
    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()


class DaemonSet(KubeObject):
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


DAEMON_SET = Kind(group="apps", version="v1", plural="daemonsets", kind="DaemonSet", namespaced=True, type=DaemonSet)
