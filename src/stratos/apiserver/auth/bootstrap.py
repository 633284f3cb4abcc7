"""The roles, bindings and other objects a cluster is born with, so that it can be used and delegated at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, SYSTEM_MASTERS
from stratos.apiserver.registry.resource import Obj

_RBAC = "rbac.authorization.k8s.io"
_AGGREGATE = f"{_RBAC}/aggregate-to-"
_BOOTSTRAP_LABEL = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_ALL = ("*",)

_APP_RESOURCES = {
    "": (
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "pods",
        "serviceaccounts",
        "services",
    ),
    "apps": (
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
}
_STATUS_RESOURCES = {
    "": (
        "bindings",
        "events",
        "limitranges",
        "namespaces",
        "namespaces/status",
        "persistentvolumeclaims/status",
        "pods/log",
        "pods/status",
        "resourcequotas",
        "resourcequotas/status",
        "services/status",
    ),
    "apps": ("daemonsets/status", "deployments/status", "replicasets/status", "statefulsets/status"),
    "autoscaling": ("horizontalpodautoscalers/status",),
    "batch": ("cronjobs/status", "jobs/status"),
    "discovery.k8s.io": ("endpointslices",),
    "networking.k8s.io": ("ingresses/status",),
    "policy": ("poddisruptionbudgets/status",),
}


def _rule(verbs: Iterable[str], group: str, *resources: str, names: Iterable[str] = ()) -> dict[str, Any]:
    rule: dict[str, Any] = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}
    if names := list(names):
        rule["resourceNames"] = names
    return rule


def _paths(*paths: str) -> dict[str, Any]:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


def _rules(verbs: Iterable[str], *tables: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    kept = list(verbs)
    return [_rule(kept, group, *resources) for table in tables for group, resources in sorted(table.items())]


def _cluster_role(name: str, rules: list[dict[str, Any]], *, aggregate_to: str = "", aggregates: str = "") -> Obj:
    labels = dict(_BOOTSTRAP_LABEL)
    if aggregate_to:
        labels[_AGGREGATE + aggregate_to] = "true"
    role: Obj = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": rules,
    }
    if aggregates:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_AGGREGATE + aggregates: "true"}}]}
    return role


def _binding(name: str, role: str, *subjects: tuple[str, str]) -> Obj:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": dict(_BOOTSTRAP_LABEL)},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": kind, "name": subject, "apiGroup": _RBAC} for kind, subject in subjects],
    }


def _user_facing_roles() -> list[Obj]:
    """``admin`` holds ``edit`` holds ``view``: each collects the roles labelled for it."""
    secrets = {"": ("secrets",)}
    interactive = {"": ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy")}
    return [
        _cluster_role("cluster-admin", [_rule(_ALL, "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}]),
        _cluster_role("admin", [], aggregates="admin"),
        _cluster_role("edit", [], aggregate_to="admin", aggregates="edit"),
        _cluster_role("view", [], aggregate_to="edit", aggregates="view"),
        _cluster_role(
            "system:aggregate-to-admin",
            [
                _rule(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
                _rule((*_READ, *_WRITE), _RBAC, "rolebindings", "roles"),
            ],
            aggregate_to="admin",
        ),
        _cluster_role(
            "system:aggregate-to-edit",
            [
                *_rules(_READ, secrets, interactive),
                _rule(["impersonate"], "", "serviceaccounts"),
                _rule(["create"], "", "pods/eviction", "serviceaccounts/token"),
                *_rules(_WRITE, secrets, interactive, _APP_RESOURCES),
                _rule((*_READ, *_WRITE), "coordination.k8s.io", "leases"),
            ],
            aggregate_to="edit",
        ),
        _cluster_role(
            "system:aggregate-to-view", _rules(_READ, _APP_RESOURCES, _STATUS_RESOURCES), aggregate_to="view"
        ),
    ]


_DISCOVERY_PATHS = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")


def _everyones_roles() -> list[Obj]:
    reviews = _rule(["create"], "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews")
    return [
        _cluster_role("system:discovery", [_paths(*_DISCOVERY_PATHS, *_PUBLIC_PATHS)]),
        _cluster_role("system:public-info-viewer", [_paths(*_PUBLIC_PATHS)]),
        _cluster_role("system:monitoring", [_paths("/healthz/*", "/livez/*", "/metrics", "/readyz/*", *_PUBLIC_PATHS)]),
        _cluster_role("system:basic-user", [reviews, _rule(["create"], "authentication.k8s.io", "selfsubjectreviews")]),
        _cluster_role(
            "system:auth-delegator",
            [
                _rule(["create"], "authentication.k8s.io", "tokenreviews"),
                _rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
            ],
        ),
    ]


_EVENTS = _rule(["create", "patch", "update"], "", "events")
_LEASES = _rule((*_READ, *_WRITE), "coordination.k8s.io", "leases")


def _component_roles() -> list[Obj]:
    """What kubelets, the scheduler and the controllers need."""
    return [
        _cluster_role(
            "system:node",
            [
                _rule((*_READ, "create", "patch", "update", "delete"), "", "nodes"),
                _rule(["patch", "update"], "", "nodes/status"),
                _rule((*_READ, "create", "delete"), "", "pods"),
                _rule(["patch", "update"], "", "pods/status"),
                _rule(["create", "get"], "", "pods/log", "pods/eviction"),
                _rule(_READ, "", "configmaps", "persistentvolumeclaims", "persistentvolumes", "secrets", "services"),
                _rule(["create"], "", "serviceaccounts/token"),
                _rule(_READ, "node.k8s.io", "runtimeclasses"),
                _rule((*_READ, *_WRITE), "storage.k8s.io", "csinodes"),
                _rule(["create"], "authentication.k8s.io", "tokenreviews"),
                _rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
                _EVENTS,
                _LEASES,
            ],
        ),
        _cluster_role(
            "system:node-proxier",
            [
                _rule(_READ, "", "endpoints", "nodes", "services"),
                _rule(_READ, "discovery.k8s.io", "endpointslices"),
                _EVENTS,
            ],
        ),
        _cluster_role(
            "system:kube-scheduler",
            [
                _rule(_READ, "", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "services"),
                _rule((*_READ, "delete"), "", "pods"),
                _rule(["create"], "", "bindings", "pods/binding"),
                _rule(["patch", "update"], "", "pods/status"),
                _rule(_READ, "apps", "replicasets", "statefulsets"),
                _rule(_READ, "policy", "poddisruptionbudgets"),
                _rule(_READ, "scheduling.k8s.io", "priorityclasses"),
                _rule(_READ, "storage.k8s.io", "csinodes", "storageclasses"),
                _EVENTS,
                _LEASES,
            ],
        ),
        _cluster_role(
            "system:kube-controller-manager",
            [
                _rule(_READ, "*", "*"),
                _rule(["delete", "deletecollection", "patch", "update"], "*", "*"),
                _rule(
                    ["create"],
                    "",
                    *(
                        "configmaps",
                        "endpoints",
                        "namespaces/finalize",
                        "persistentvolumeclaims",
                        "pods",
                        "pods/eviction",
                    ),
                    "serviceaccounts",
                ),
                _rule(["create"], "apps", "controllerrevisions", "replicasets"),
                _rule(["create"], "batch", "jobs"),
                _rule(["create"], "discovery.k8s.io", "endpointslices"),
                _EVENTS,
                _LEASES,
                _paths(*_DISCOVERY_PATHS),
            ],
        ),
    ]


def _bindings() -> list[Obj]:
    everyone = ("Group", ALL_AUTHENTICATED)
    return [
        _binding("cluster-admin", "cluster-admin", ("Group", SYSTEM_MASTERS)),
        _binding("system:discovery", "system:discovery", everyone),
        _binding("system:basic-user", "system:basic-user", everyone),
        # Strangers are not among them: they are shown the server's health and nothing else.
        _binding("system:public-info-viewer", "system:public-info-viewer", everyone),
        _binding("system:monitoring", "system:monitoring", ("Group", "system:monitoring")),
        _binding("system:node", "system:node", ("Group", "system:nodes")),
        _binding("system:node-proxier", "system:node-proxier", ("User", "system:kube-proxy")),
        _binding("system:kube-scheduler", "system:kube-scheduler", ("User", "system:kube-scheduler")),
        _binding(
            "system:kube-controller-manager",
            "system:kube-controller-manager",
            ("User", "system:kube-controller-manager"),
        ),
    ]


def bootstrap_roles() -> list[Obj]:
    """Every ClusterRole and ClusterRoleBinding a new cluster has."""
    return [*_user_facing_roles(), *_everyones_roles(), *_component_roles(), *_bindings()]


def bootstrap_namespaces() -> list[Obj]:
    names = ("default", "kube-system", "kube-public", "kube-node-lease")
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def bootstrap_service_accounts() -> list[Obj]:
    """The account pods run as when they name none; a controller makes it in later namespaces."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace["metadata"]["name"]},
        }
        for namespace in bootstrap_namespaces()
    ]


def bootstrap_priority_classes() -> list[Obj]:
    described = (
        ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster."),
        ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not leave their node."),
    )
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, value, description in described
    ]


def bootstrap_objects() -> list[Obj]:
    """All of them, in an order in which they can be created. Existing ones are the administrator's to change."""
    return [
        *bootstrap_namespaces(),
        *bootstrap_roles(),
        *bootstrap_priority_classes(),
        *bootstrap_service_accounts(),
    ]
