"""What the parts of Stratos may do: exactly what they need, as RBAC objects.

The embedded cluster gives its controllers the same rights as an installation does, so every simulated day tries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stratos.apis.namespace import SYSTEM_NAMESPACE
from stratos.apis.settings import SETTINGS_NAME
from stratos.controllers.webhook.keeper import SECRET_NAME
from stratos.controllers.webhook.registration import MUTATING_NAME, VALIDATING_NAME

LEASE_NAME = "stratos-controller"  # of the one that leads

_RBAC = "rbac.authorization.k8s.io"
_WATCH = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Rule:
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()  # only these objects; empty: all

    def manifest(self) -> dict[str, Any]:
        rule = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


@dataclass(frozen=True, slots=True)
class Rights:
    """What one part may do in the whole cluster, and in the namespace of Stratos itself."""

    name: str
    everywhere: tuple[Rule, ...]
    at_home: tuple[Rule, ...] = ()


_CLASSES = ("awsnodeclasses", "simnodeclasses")
_USERS_KINDS = ("nodepools", "nodetemplates", *_CLASSES)
_WEBHOOK_KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def controller_rights(webhook_prefix: str = "") -> Rights:
    """``webhook_prefix`` is what the names of the webhook configurations begin with."""
    webhooks = (f"{webhook_prefix}{MUTATING_NAME}", f"{webhook_prefix}{VALIDATING_NAME}")
    return Rights(
        "stratos-controller",
        everywhere=(
            Rule("stratos.sh", _USERS_KINDS, (*_WATCH, "patch")),  # finalizers and marks alone: they belong to users
            Rule("stratos.sh", ("awsnodeclasses",), ("create",)),  # of pools that have the cloud's settings inline
            Rule("stratos.sh", ("nodepools/finalizers", "nodetemplates/finalizers"), ("update",)),  # they own claims
            Rule("stratos.sh", ("nodeclaims",), ("get", *_WATCH, "create", "patch", "delete")),
            Rule("stratos.sh", tuple(f"{kind}/status" for kind in (*_USERS_KINDS, "nodeclaims")), ("patch",)),
            Rule("", ("nodes",), (*_WATCH, "patch", "delete")),
            Rule("", ("pods",), ("get", *_WATCH, "patch", "delete")),
            Rule("", ("pods/status",), ("patch",)),
            Rule("", ("pods/eviction",), ("create",)),
            Rule("", ("namespaces", "persistentvolumes", "persistentvolumeclaims"), _WATCH),
            Rule("", ("events",), (*_WATCH, "create", "patch")),
            Rule("storage.k8s.io", ("storageclasses", "csinodes"), _WATCH),
            Rule("apps", ("daemonsets", "statefulsets"), _WATCH),
            Rule("apps", ("deployments", "replicasets"), (*_WATCH, "patch")),  # one more pod, before one has to move
            Rule("batch", ("jobs", "cronjobs"), _WATCH),
            Rule("policy", ("poddisruptionbudgets",), _WATCH),
            Rule("admissionregistration.k8s.io", _WEBHOOK_KINDS, (*_WATCH, "patch"), webhooks),
        ),
        at_home=(
            Rule("", ("configmaps",), ("create",)),
            Rule("", ("configmaps",), ("patch",), (SETTINGS_NAME,)),
            Rule("", ("secrets",), ("create",)),
            Rule("", ("secrets",), (*_WATCH, "patch"), (SECRET_NAME,)),
            Rule("coordination.k8s.io", ("leases",), ("create",)),
            Rule("coordination.k8s.io", ("leases",), ("get", *_WATCH, "patch"), (LEASE_NAME,)),
        ),
    )


FAKE_MACHINES = Rights(
    "stratos-fake-machines",
    everywhere=(
        Rule("", ("nodes",), ("create",)),
        Rule("", ("nodes/status",), ("patch",)),
        Rule("coordination.k8s.io", ("leases",), ("create", "patch")),
    ),
)
"""With the fake cloud, kubelets run in the controllers' process."""

AGENT = Rights("stratos-agent", everywhere=(Rule("", ("nodes",), ("patch",)),))

DOORMAN = Rights(
    "stratos-doorman",
    everywhere=(
        Rule("", ("services", "pods"), _WATCH),
        Rule("discovery.k8s.io", ("endpointslices",), _WATCH),
        Rule("apps", ("deployments", "statefulsets"), (*_WATCH, "patch")),
        Rule("", ("events",), ("create", "patch")),
    ),
)


def objects_of(rights: Rights, subject: dict[str, Any]) -> list[dict[str, Any]]:
    """The roles, and their bindings to ``subject``."""
    objects = _bound("ClusterRole", {"name": rights.name}, rights.everywhere, subject)
    if rights.at_home:
        home = {"name": rights.name, "namespace": SYSTEM_NAMESPACE}
        objects += _bound("Role", home, rights.at_home, subject)
    return objects


def _bound(kind: str, metadata: dict[str, Any], rules: Sequence[Rule], subject: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": [rule.manifest() for rule in rules]},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
            "subjects": [subject],
        },
    ]


def user(name: str) -> dict[str, Any]:
    return {"apiGroup": _RBAC, "kind": "User", "name": name}


def account(name: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM_NAMESPACE}
