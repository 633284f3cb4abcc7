"""PriorityClasses: names for how much a pod matters."""

from __future__ import annotations

from stratos.apis.meta import Kind, KubeObject


class PriorityClass(KubeObject):
    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"


PRIORITY_CLASS = Kind(
    group="scheduling.k8s.io",
    version="v1",
    plural="priorityclasses",
    kind="PriorityClass",
    namespaced=False,
    type=PriorityClass,
)
