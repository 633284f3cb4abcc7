"""Deployments: ReplicaSets that replace each other as the template changes."""

from __future__ import annotations

from datetime import datetime

from stratos.apis.meta import Condition, Kind, KubeObject, Struct
from stratos.apis.pod import LabelSelectorSpec
from stratos.apis.workload import PodTemplate

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
REVISION_HISTORY_ANNOTATION = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS_ANNOTATION = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS_ANNOTATION = "deployment.kubernetes.io/max-replicas"


class RollingUpdateDeployment(Struct):
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(Struct):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDeployment | None = None


class DeploymentSpec(Struct):
    replicas: int = 1
    selector: LabelSelectorSpec | None = None
    template: PodTemplate = {}
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    paused: bool = False
    progress_deadline_seconds: int | None = 600


class DeploymentCondition(Condition):
    """A condition that also remembers when it was last confirmed: the progress deadline counts from there."""

    last_update_time: datetime | None = None


class DeploymentStatus(Struct):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    collision_count: int | None = None
    conditions: tuple[DeploymentCondition, ...] = ()


class Deployment(KubeObject):
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


DEPLOYMENT = Kind(group="apps", version="v1", plural="deployments", kind="Deployment", namespaced=True, type=Deployment)
