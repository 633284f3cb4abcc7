"""What the Stratos controllers may do: exactly what they need, as RBAC objects."""

from __future__ import annotations

from typing import Any

_ROLE = "stratos-controller"
_READ = ("get", "list", "watch")
_OWN = (*_READ, "create", "update", "patch", "delete")

_KINDS = ("nodepools", "nodetemplates", "nodeclaims", "awsnodeclasses", "simnodeclasses")

# API group, resources, verbs
_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("stratos.sh", _KINDS, _OWN),
    (
        "stratos.sh",
        tuple(f"{kind}/{part}" for kind in _KINDS for part in ("status", "finalizers")),
        ("get", "update", "patch"),
    ),
    ("", ("nodes",), (*_READ, "update", "patch", "delete")),
    ("", ("nodes/status",), ("get", "patch")),
    ("", ("pods",), (*_READ, "patch", "delete")),
    ("", ("pods/status",), ("get", "patch")),
    ("", ("pods/eviction",), ("create",)),
    ("", ("namespaces",), _READ),
    ("", ("events",), (*_READ, "create", "patch")),
    ("events.k8s.io", ("events",), ("create", "patch")),
    ("", ("persistentvolumes", "persistentvolumeclaims"), _READ),
    ("storage.k8s.io", ("storageclasses", "csinodes"), _READ),
    ("apps", ("daemonsets", "statefulsets"), _READ),
    ("apps", ("deployments", "replicasets"), (*_READ, "patch")),  # one more pod, before one has to move
    ("batch", ("jobs", "cronjobs"), _READ),
    ("policy", ("poddisruptionbudgets",), _READ),
    ("coordination.k8s.io", ("leases",), ("get", "list", "watch", "create", "update", "patch")),
)  # fmt: skip


def controller_rights(user: str) -> list[dict[str, Any]]:
    """The ClusterRole, and its binding to ``user``."""
    rbac = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources, verbs in _RULES
    ]
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": _ROLE}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _ROLE},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": _ROLE},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        },
    ]
