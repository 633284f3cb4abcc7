"""The questions every workload controller asks about pods, and how a pod is made from a template."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from stratos.apis.meta import Kind, KubeObject, find_condition
from stratos.apis.pod import Pod
from stratos.apis.workload import PodTemplate


def is_active(pod: Pod) -> bool:
    """It runs, or may still: neither finished nor on its way out."""
    return not pod.finished and pod.metadata.deletion_timestamp is None


def ready_since(pod: Pod) -> datetime | None:
    """When it became ready, if it is. A ready pod that does not say since when counts from its creation."""
    condition = find_condition(pod.status.conditions, "Ready")
    if condition is None or condition.status != "True":
        return None
    return condition.last_transition_time or pod.metadata.creation_timestamp


def is_ready(pod: Pod) -> bool:
    condition = find_condition(pod.status.conditions, "Ready")
    return condition is not None and condition.status == "True"


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """0 when it has been ready for long enough, ``None`` while it is not ready at all."""
    if not is_ready(pod):
        return None
    since = ready_since(pod)
    if not min_ready_seconds or since is None:
        return 0.0
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    return seconds_until_available(pod, min_ready_seconds, now) == 0.0


def earliest(*waits: float | None) -> float | None:
    """The shortest of several waits, of which any may be absent."""
    return min((wait for wait in waits if wait is not None), default=None)


def controller_reference(kind: Kind[Any], owner: KubeObject) -> dict[str, Any]:
    """The owner reference that makes ``owner`` the controller of what it creates."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_from_template(
    template: PodTemplate,
    kind: Kind[Any],
    owner: KubeObject,
    *,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A whole pod, ready to be created; without a name of its own the server draws one after the owner's."""
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **deepcopy(template)}
    metadata = pod.get("metadata") or {}
    metadata = {key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    if labels:
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
    if annotations:
        metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    metadata |= {"name": name} if name else {"generateName": f"{owner.metadata.name}-"}
    metadata["namespace"] = owner.metadata.namespace
    metadata["ownerReferences"] = [controller_reference(kind, owner)]
    pod["metadata"] = metadata
    return pod


def template_labels(template: PodTemplate) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}
