"""The admission webhook as a real API server meets it: over TLS, with certificates that Stratos keeps itself."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.event import EVENT
from stratos.apis.meta import find_condition
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD, Pod
from stratos.apis.secret import SECRET
from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import Forbidden
from stratos.base.ids import SeededIds
from stratos.catalog.catalog import load_catalog
from stratos.controllers.webhook.certificates import renewed
from stratos.controllers.webhook.health import ADMISSION_READY
from stratos.controllers.webhook.keeper import SECRET_NAME, KeeperSettings, certificate_keeper
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.recorder import EventRecorder
from stratos.kube.transport import Response, Transport
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.wiring.admission import AdmissionReplica
from stratos.wiring.api import ADMIN, EmbeddedApi
from stratos.wiring.clock import SystemClock

SETTINGS = KeeperSettings()
SECRET_KEY = f"{SETTINGS.namespace}/{SECRET_NAME}"
LUNA = {"elotl-luna": "true"}
PATIENCE_SECONDS = 20.0
CLOCK = SystemClock()  # TLS looks at the machine's own time


class Refusing:
    """The leader's way to the API, with writes forbidden under some paths."""

    def __init__(self, transport: Transport, forbidden: list[str]) -> None:
        self._transport = transport
        self._forbidden = forbidden
        self.stream = transport.stream
        self.close = transport.close

    async def request(self, method: str, path: str, **rest: Any) -> Response:
        if method != "GET" and any(part in path for part in self._forbidden):
            raise Forbidden(f"{method} {path}: you may not do that")
        return await self._transport.request(method, path, **rest)


@dataclass
class Installation:
    client: Client
    forbidden: list[str]
    named: int = 0

    async def pod(self) -> Pod:
        """One that the template selects, as it was admitted."""
        self.named += 1
        spec = {"containers": [{"name": "main", "image": "app:1"}]}
        metadata = {"namespace": "default", "name": f"pod-{self.named}", "labels": LUNA}
        return await self.client.create(POD, {"metadata": metadata, "spec": spec})

    async def until_admitted(self) -> None:
        async def admitted() -> bool:
            return (await self.pod()).spec.node_selector == {labels.TEMPLATE: "luna"}

        await eventually(admitted)

    async def replace_secret(self, data: dict[str, str]) -> None:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        await self.client.patch(SECRET, SECRET_KEY, {"data": encoded})

    async def serving_pem(self) -> bytes:
        return (await self.client.get(SECRET, SECRET_KEY)).data["tls.crt"]


async def eventually(holds: Callable[[], Any]) -> None:
    """Real sockets and real time: all one can do is look again until it is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def installed(listener: socket.socket) -> AsyncIterator[Installation]:
    chance = random.Random(5)
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    caller = WebhookCaller(lambda namespace, name, port: url)
    api = EmbeddedApi(open_memory(), clock=CLOCK, ids=SeededIds(chance), webhook_caller=caller)
    await api.start()
    client = api.client(ADMIN)
    forbidden: list[str] = []
    leader = Manager(Client(Refusing(api.transport(ADMIN), forbidden)), rng=chance)
    recorder = EventRecorder(client, "stratos", clock=CLOCK, ids=SeededIds(chance))
    leader.add(recorder)
    certificate_keeper(leader, recorder, clock=CLOCK, rng=chance, registry=CollectorRegistry(), settings=SETTINGS)
    cloud = SimulatedCloud(load_catalog("aws", "us-east-1"), clock=CLOCK, rng=chance)
    replica = AdmissionReplica(client, cloud, listener, SETTINGS, lease=None, clock=CLOCK, rng=chance)
    running = [asyncio.create_task(part.run()) for part in (leader, replica)]
    class_ref = {"kind": "AWSNodeClass", "name": "default"}
    spec = {"pods": {"labels": LUNA}, "nodeClassRef": class_ref}
    await client.create(NODE_TEMPLATE, {"metadata": {"name": "luna"}, "spec": spec})
    try:
        yield Installation(client, forbidden)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await api.stop()
        await caller.close()


def tell(story: Callable[[Installation], Any]) -> None:
    async def whole() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with installed(listener) as installation:
                await story(installation)

    asyncio.run(whole())


def test_pods_are_admitted_over_tls_with_certificates_that_nobody_had_to_make() -> None:
    """Installing must not need another operator for certificates."""

    async def story(installation: Installation) -> None:
        await installation.until_admitted()

        for kind in ("mutating", "validating"):
            path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
            found = await installation.client.request_json("GET", path)
            bundles = {each["clientConfig"]["caBundle"] for item in found["items"] for each in item["webhooks"]}
            authority = (await installation.client.get(SECRET, SECRET_KEY)).data["ca.crt"]
            assert bundles == {base64.b64encode(authority).decode()}

    tell(story)


def test_an_expired_webhook_certificate_is_replaced_and_said_while_pods_pass() -> None:
    """Nobody's pod may be refused because a certificate was forgotten; and somebody should hear of it."""

    async def story(installation: Installation) -> None:
        await installation.until_admitted()
        long_ago = CLOCK.now() - timedelta(days=200)
        expired = renewed(None, SETTINGS.hosts, long_ago).certificates.to_data()

        await installation.replace_secret(expired)
        created = await installation.pod()  # whether it was in time for the new one or not: it was not refused

        assert created.metadata.name

        async def replaced() -> bool:
            return await installation.serving_pem() != expired["tls.crt"].encode()

        await eventually(replaced)
        await installation.until_admitted()

        async def told() -> bool:
            page = await installation.client.list(EVENT, namespace=SETTINGS.namespace)
            return any(
                event.reason == "WebhookCertificateReplaced" and "expired" in event.message for event in page.items
            )

        await eventually(told)

    tell(story)


def test_templates_say_whether_api_servers_can_ask_about_their_pods() -> None:
    """Without the right to renew, the certificate runs out one day: that must be seen where users look."""

    async def story(installation: Installation) -> None:
        async def condition(status: str) -> bool:
            template = await installation.client.get(NODE_TEMPLATE, "luna")
            found = find_condition(template.status.conditions, ADMISSION_READY)
            return found is not None and found.status == status

        await eventually(lambda: condition("True"))
        installation.forbidden.append("/secrets/")
        await installation.replace_secret(dict.fromkeys(("tls.crt", "tls.key"), ""))
        await eventually(lambda: condition("False"))
        template = await installation.client.get(NODE_TEMPLATE, "luna")
        said = find_condition(template.status.conditions, ADMISSION_READY)
        assert said is not None
        assert "pods pass unmodified" in said.message
        installation.forbidden.clear()
        await eventually(lambda: condition("True"))
        await installation.until_admitted()

    tell(story)


def test_what_somebody_did_to_the_trust_of_the_configuration_is_undone() -> None:
    """`kubectl apply` of the manifests clears the authority: it has to come back by itself."""

    async def story(installation: Installation) -> None:
        await installation.until_admitted()
        path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/stratos-pods"
        found = await installation.client.request_json("GET", path)
        found["webhooks"][0]["clientConfig"].pop("caBundle")
        await installation.client.request_json("PUT", path, body=found)

        await installation.until_admitted()

    tell(story)
