"""What the pods of all parts have in common: who they are, and how little they may do on their node."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from stratos.apis.namespace import SYSTEM_NAMESPACE
from stratos.wiring.installation.values import Values

VERSION = version("stratos-compute")
_NOBODY = 65532  # as distroless images have it


def given(name: str, value: object) -> dict[str, Any]:
    """The field, unless its value is empty."""
    return {name: value} if value not in (None, "", (), {}) else {}


def labels(component: str) -> dict[str, str]:
    return {**selector(component), "app.kubernetes.io/part-of": "stratos"}


def selector(component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "stratos", "app.kubernetes.io/component": component}


def metadata(name: str, component: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels(component), **more}


def pod_security() -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": _NOBODY,
        "runAsGroup": _NOBODY,
        "fsGroup": _NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def placement(values: Values) -> dict[str, Any]:
    """Where pods of ours run, unless somebody says otherwise: on machines that they do not themselves keep awake."""
    return {
        **given("priorityClassName", values.priority_class_name),
        **given("nodeSelector", values.node_selector),
        **given("tolerations", values.tolerations),
        **given("affinity", values.affinity),
    }


def container(values: Values, name: str, args: list[str], resources: object, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": f"{values.image.repository}:{values.image.tag or VERSION}",
        "imagePullPolicy": values.image.pull_policy,
        "args": args,
        **given("resources", resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }


def probes(port: str) -> dict[str, Any]:
    return {
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": port}, "periodSeconds": 5},
    }


def port_of(address: str) -> int | str:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() else port
