"""The objects that make an API server ask the webhook. A webhook that does not answer stops nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratos.apis.nodetemplate import NODE_TEMPLATE

SERVICE = ("stratos-system", "stratos-webhook")
"""The namespace and the name of the service that the webhook is reached by."""

MUTATING_NAME = "stratos-pods"
VALIDATING_NAME = "stratos-nodetemplates"

PODS_PATH = "/mutate-pods"
TEMPLATES_PATH = "/validate-nodetemplates"

_GROUP = "admissionregistration.k8s.io/v1"
_TIMEOUT_SECONDS = 2


def webhook_configurations(*, prefix: str = "", authority_bundle: str = "") -> list[dict[str, Any]]:
    """``prefix`` comes before their names: webhooks are called by name, and ours goes well after those that resize."""
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    templates = {
        "apiGroups": [NODE_TEMPLATE.group],
        "apiVersions": [NODE_TEMPLATE.version],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": [NODE_TEMPLATE.plural],
    }
    return [
        {
            "apiVersion": _GROUP,
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": f"{prefix}{MUTATING_NAME}"},
            "webhooks": [
                # Asked again when another webhook has changed the pod's labels after us.
                {**_webhook("pods.stratos.sh", PODS_PATH, pods, authority_bundle), "reinvocationPolicy": "IfNeeded"}
            ],
        },
        {
            "apiVersion": _GROUP,
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"{prefix}{VALIDATING_NAME}"},
            "webhooks": [_webhook("nodetemplates.stratos.sh", TEMPLATES_PATH, templates, authority_bundle)],
        },
    ]


def _webhook(name: str, path: str, rule: Mapping[str, Any], authority_bundle: str) -> dict[str, Any]:
    namespace, service = SERVICE
    client: dict[str, Any] = {"service": {"namespace": namespace, "name": service, "path": path}}
    if authority_bundle:
        client["caBundle"] = authority_bundle
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "timeoutSeconds": _TIMEOUT_SECONDS,
        "clientConfig": client,
        "rules": [dict(rule)],
    }
