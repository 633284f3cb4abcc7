"""Small builders for the pure tests: a pod, a node, a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from stratos.apis.meta import Condition, ObjectMeta, OwnerReference
from stratos.apis.node import Effect, Node, NodeSpec, Taint
from stratos.apis.pod import (
    Container,
    ContainerPort,
    ContainerState,
    ContainerStatus,
    Pod,
    PodSpec,
    PodStatus,
    TerminatedState,
    Toleration,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def owned_by(uid: str, kind: str = "ReplicaSet", name: str = "web") -> OwnerReference:
    return OwnerReference(
        api_version="apps/v1", kind=kind, name=name, uid=uid, controller=True, block_owner_deletion=True
    )


def a_pod(
    name: str = "web-1",
    *,
    phase: str = "Running",
    ready_seconds: float | None = 100.0,
    node: str = "a",
    age_seconds: float = 1000.0,
    leaving: bool = False,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    restarts: int = 0,
    exit_code: int | None = None,
    ended_seconds: float = 0.0,
    owner: OwnerReference | None = None,
    restart_policy: str = "Always",
    tolerations: tuple[Toleration, ...] = (),
    address: str = "",
    ports: Mapping[str, int] | None = None,
) -> Pod:
    """A running pod that has been ready for a while; ``ready_seconds=None`` is one that is not ready."""
    terminated = TerminatedState(exit_code=exit_code, finished_at=ago(ended_seconds)) if exit_code is not None else None
    ready = Condition(type="Ready", status="True", last_transition_time=ago(ready_seconds or 0.0))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=dict(labels or {"app": "web"}),
            annotations=dict(annotations or {}),
            creation_timestamp=ago(age_seconds),
            deletion_timestamp=NOW if leaving else None,
            owner_references=(owner,) if owner else (),
        ),
        spec=PodSpec(
            node_name=node,
            restart_policy=restart_policy,
            tolerations=tolerations,
            containers=(
                Container(
                    name="main",
                    ports=tuple(ContainerPort(name=each, container_port=port) for each, port in (ports or {}).items()),
                ),
            ),
        ),
        status=PodStatus(
            phase=phase,
            pod_ip=address,
            conditions=(ready,) if ready_seconds is not None else (),
            container_statuses=(
                ContainerStatus(name="main", restart_count=restarts, state=ContainerState(terminated=terminated)),
            ),
        ),
    )


def a_node(name: str = "a", *, labels: Mapping[str, str] | None = None, taints: tuple[Taint, ...] = ()) -> Node:
    return Node(metadata=ObjectMeta(name=name, labels=dict(labels or {})), spec=NodeSpec(taints=taints))


def a_taint(key: str, effect: Effect = "NoExecute", *, value: str = "", added_seconds: float | None = None) -> Taint:
    return Taint(
        key=key, effect=effect, value=value, time_added=ago(added_seconds) if added_seconds is not None else None
    )


def a_template(image: str = "example.com/app:1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }
