"""The objects that make an API server ask webhooks, as far as it matters whom to trust."""

from __future__ import annotations

from stratos.apis.meta import Kind, KubeObject, Struct

_GROUP = "admissionregistration.k8s.io"


class WebhookClientConfig(Struct):
    ca_bundle: bytes = b""


class Webhook(Struct):
    name: str = ""
    client_config: WebhookClientConfig = WebhookClientConfig()


class WebhookConfiguration(KubeObject):
    webhooks: tuple[Webhook, ...] = ()


MUTATING_WEBHOOK_CONFIGURATION = Kind(
    group=_GROUP,
    version="v1",
    plural="mutatingwebhookconfigurations",
    kind="MutatingWebhookConfiguration",
    namespaced=False,
    type=WebhookConfiguration,
)
VALIDATING_WEBHOOK_CONFIGURATION = Kind(
    group=_GROUP,
    version="v1",
    plural="validatingwebhookconfigurations",
    kind="ValidatingWebhookConfiguration",
    namespaced=False,
    type=WebhookConfiguration,
)
