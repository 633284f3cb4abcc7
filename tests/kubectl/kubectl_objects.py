"""Manifests for the sessions: just enough to be accepted, and quick to run on a simulated host."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def a_deployment(name: str = "web", *, replicas: int = 2, image: str = "nginx:1") -> Obj:
    container = {
        "name": name,
        "image": image,
        "command": ["sh", "-c", "echo hello; sleep 36000"],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def a_config_map(name: str = "settings", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
