"""How the embedded API server asks our own webhook: in process, without a socket or a certificate."""

from __future__ import annotations

import json

from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.admission.webhook_match import Webhook
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import Unavailable
from stratos.controllers.webhook import SERVICE
from stratos.kube.in_process import AsgiApp, InProcessTransport


class CallerOfOurOwn(WebhookCaller):
    """Calls the webhook of the Stratos that runs in this process, and all others over the network."""

    def __init__(self) -> None:
        super().__init__()
        self.own: AsgiApp | None = None  # of the component's present life

    async def fetch(self, webhook: Webhook, body: Obj) -> bytes:
        service = webhook.client.get("service") or {}
        if (service.get("namespace"), service.get("name")) != SERVICE:
            return await super().fetch(webhook, body)
        if self.own is None:
            raise Unavailable("failed to call webhook: Stratos has not been started")
        answer = await InProcessTransport(self.own).request("POST", service["path"], body=json.dumps(body).encode())
        if answer.status != 200:
            raise Unavailable(f"failed to call webhook: it answered with status {answer.status}")
        return answer.body
