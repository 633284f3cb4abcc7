"""The admission webhook as each replica of the controllers serves it, whichever of them leads."""

from __future__ import annotations

import random
import socket

from stratos.apis.lease import LEASE
from stratos.base.clock import Clock
from stratos.controllers.webhook import AdmissionWebhook
from stratos.controllers.webhook.keeper import KeeperSettings
from stratos.controllers.webhook.server import WebhookServer
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.lease import LeaderSight
from stratos.providers.contract import Provider


class AdmissionReplica:
    """Answers while somebody leads. ``lease``, namespace and name, is the leader's; None: nobody is elected."""

    name = "admission"

    def __init__(
        self,
        client: Client,
        provider: Provider,
        listener: socket.socket,
        settings: KeeperSettings,
        *,
        lease: tuple[str, str] | None,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._manager = Manager(client, rng=rng)
        if lease is None:
            webhook = AdmissionWebhook(self._manager, provider)
        else:
            namespace, name = lease
            leases = self._manager.cache(LEASE, namespace=namespace, field_selector=f"metadata.name={name}")
            sight = LeaderSight(leases, clock=clock)
            webhook = AdmissionWebhook(self._manager, provider, somebody_leads=lambda: sight.somebody_leads)
        WebhookServer(self._manager, webhook, listener, settings)

    async def run(self) -> None:
        await self._manager.run()
