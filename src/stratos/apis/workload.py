"""What the kinds that run pods have in common: pod templates and revisions of them."""

from __future__ import annotations

from typing import Any

from stratos.apis.meta import Kind, KubeObject

PodTemplate = dict[str, Any]
"""A pod template exactly as its author wrote it: whoever makes pods from it must not lose a field it does not know."""

POD_TEMPLATE_HASH = "pod-template-hash"
CONTROLLER_REVISION_HASH = "controller-revision-hash"


class ControllerRevision(KubeObject):
    """One remembered pod template of a StatefulSet or DaemonSet; ``data`` is the patch that brings it back."""

    data: dict[str, Any] = {}
    revision: int = 0


CONTROLLER_REVISION = Kind(
    group="apps",
    version="v1",
    plural="controllerrevisions",
    kind="ControllerRevision",
    namespaced=True,
    type=ControllerRevision,
)
