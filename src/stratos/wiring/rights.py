"""What the Stratos controllers may do: exactly what they need, as RBAC objects."""

from __future__ import annotations

from typing import Any

from stratos.apis.namespace import SYSTEM_NAMESPACE
from stratos.apis.settings import SETTINGS_NAME

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


# The same in the namespace of Stratos itself, with the names that they are about
_RULES_AT_HOME: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ("", ("configmaps",), (), ("create",)),
    ("", ("configmaps",), (SETTINGS_NAME,), ("get", "patch")),
)


def controller_rights(user: str) -> list[dict[str, Any]]:
    """The ClusterRole, the Role in the namespace of Stratos itself, which comes first, and the bindings to ``user``."""
    rbac = "rbac.authorization.k8s.io"
    subject = {"apiGroup": rbac, "kind": "User", "name": user}
    at_home = {"name": _ROLE, "namespace": SYSTEM_NAMESPACE}
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources, verbs in _RULES
    ]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": _ROLE}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _ROLE},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": _ROLE},
            "subjects": [subject],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": at_home,
            "rules": [
                {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
                | ({"resourceNames": list(names)} if names else {})
                for group, resources, names, verbs in _RULES_AT_HOME
            ],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": at_home,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": _ROLE},
            "subjects": [subject],
        },
    ]
