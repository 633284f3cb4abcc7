"""Keeps the webhook's certificates: the Secret they are in, and whom the webhook configurations trust.

Only the leader does this. What is there is looked at when it changes, when something is due, and once an hour whatever
happens: by then a clock may have been set right.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from stratos.apis.meta import Kind
from stratos.apis.secret import SECRET, Secret
from stratos.apis.webhookconfiguration import (
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
    WebhookConfiguration,
)
from stratos.base.clock import Clock
from stratos.base.errors import Forbidden, Invalid, NotFound, StratosError
from stratos.controllers.webhook.certificates import Certificates, Renewal, due_at, renewed
from stratos.controllers.webhook.health import AdmissionHealth
from stratos.controllers.webhook.registration import MUTATING_NAME, SERVICE, VALIDATING_NAME
from stratos.kube.cache import Cache
from stratos.kube.client import PatchType
from stratos.kube.controller import Controller, Manager, Requeue
from stratos.kube.recorder import EventRecorder
from stratos.telemetry.logs import get_logger

SECRET_NAME = "stratos-webhook-certificates"

_KEY = "certificates"
_LOOK_SECONDS = 3600.0
_HOW_TO_MEND = (
    f"pods pass unmodified meanwhile. Let the controllers write the Secret {SECRET_NAME} and patch the webhook "
    "configurations, as the roles of `stratos install` do"
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    namespace: str = SERVICE[0]
    prefix: str = ""  # of the names of the webhook configurations

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the service, as API servers call it."""
        name = f"{SERVICE[1]}.{self.namespace}"
        return (f"{name}.svc", f"{name}.svc.cluster.local", name)


def certificate_keeper(
    manager: Manager,
    recorder: EventRecorder,
    *,
    clock: Clock,
    rng: random.Random,
    registry: CollectorRegistry,
    settings: KeeperSettings,
) -> Controller:
    """Make the loop and add it to ``manager``."""
    keeper = _Keeper(manager, recorder, clock, registry, settings)
    controller = Controller("webhook certificates", keeper.reconcile, clock=clock, rng=rng, workers=1)
    keeper.connect(controller)
    manager.add(controller)
    return controller


class _Keeper:
    def __init__(
        self,
        manager: Manager,
        recorder: EventRecorder,
        clock: Clock,
        registry: CollectorRegistry,
        settings: KeeperSettings,
    ) -> None:
        self._client = manager.client
        self._recorder = recorder
        self._clock = clock
        self._settings = settings
        self._key = f"{settings.namespace}/{SECRET_NAME}"
        self._secrets = manager.cache(
            SECRET, namespace=settings.namespace, field_selector=f"metadata.name={SECRET_NAME}"
        )
        self._configurations: Sequence[tuple[Kind[WebhookConfiguration], str, Cache[WebhookConfiguration]]] = [
            (kind, name, manager.cache(kind, field_selector=f"metadata.name={name}"))
            for kind, name in (
                (MUTATING_WEBHOOK_CONFIGURATION, settings.prefix + MUTATING_NAME),
                (VALIDATING_WEBHOOK_CONFIGURATION, settings.prefix + VALIDATING_NAME),
            )
        ]
        self._health = AdmissionHealth(manager, clock)
        self._expires = Gauge(
            "stratos_webhook_certificate_expiry_seconds",
            "When the certificate that the admission webhook serves with ends, in unix seconds.",
            registry=registry,
        )

    def connect(self, controller: Controller) -> None:
        self._secrets.subscribe(lambda _: controller.enqueue(_KEY))
        for _, _, cache in self._configurations:
            cache.subscribe(lambda _: controller.enqueue(_KEY))
        self._health.connect(controller, _KEY)
        controller.enqueue(_KEY)

    async def reconcile(self, _: str) -> Requeue:
        try:
            certificates = await self._keep()
        except (Forbidden, Invalid, NotFound) as error:
            self._told_of(error)
            await self._health.report(f"{error.message}; {_HOW_TO_MEND}")
            raise
        await self._health.report("")
        now = self._clock.now()
        return Requeue(min(_LOOK_SECONDS, max(1.0, (due_at(certificates, now) - now).total_seconds())))

    async def _keep(self) -> Certificates:
        secret = self._secrets.get(self._key)
        renewal = renewed(secret.text if secret is not None else None, self._settings.hosts, self._clock.now())
        if renewal.why:
            await self._write(secret, renewal)
        certificates = renewal.certificates
        self._expires.set(certificates.expires_at.timestamp())
        for kind, name, cache in self._configurations:
            configuration = cache.get(name)
            if configuration is not None:
                await self._make_trusted(kind, cache, configuration, certificates)
        return certificates

    def _told_of(self, error: StratosError) -> None:
        for kind, name, cache in self._configurations:
            configuration = cache.get(name)
            if configuration is not None:
                message = f"{error.message}; {_HOW_TO_MEND}"
                self._recorder.warning(kind, configuration, "WebhookCertificateFailed", message)

    async def _write(self, secret: Secret | None, renewal: Renewal) -> None:
        """Raises `Conflict` or `AlreadyExists` when somebody else wrote first: then that is looked at next."""
        data = {key: base64.b64encode(text.encode()).decode() for key, text in renewal.certificates.to_data().items()}
        if secret is None:
            metadata = {"namespace": self._settings.namespace, "name": SECRET_NAME}
            obj = {"metadata": metadata, "type": "kubernetes.io/tls", "data": data}
            written = await self._client.create(SECRET, obj)
        else:
            version = {"resourceVersion": secret.metadata.resource_version}
            written = await self._client.patch(SECRET, self._key, {"metadata": version, "data": data})
        self._secrets.observe(written)
        log.info("webhook certificates renewed", reason=renewal.why)
        if renewal.broken:
            message = f"{renewal.why}; pods passed unmodified, and do so until API servers know the new one"
            self._recorder.warning(SECRET, written, "WebhookCertificateReplaced", message)
        elif secret is not None:
            self._recorder.normal(SECRET, written, "WebhookCertificateRenewed", renewal.why)

    async def _make_trusted(
        self,
        kind: Kind[WebhookConfiguration],
        cache: Cache[WebhookConfiguration],
        configuration: WebhookConfiguration,
        certificates: Certificates,
    ) -> None:
        bundle = certificates.bundle.encode()
        if all(webhook.client_config.ca_bundle == bundle for webhook in configuration.webhooks):
            return
        name = configuration.metadata.name
        value = base64.b64encode(bundle).decode()
        version = configuration.metadata.resource_version
        patch: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
        patch += (
            {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": value}
            for index in range(len(configuration.webhooks))
        )
        try:
            cache.observe(await self._client.patch(kind, name, patch, type=PatchType.JSON))
        except NotFound:
            log.debug("webhook configuration was gone already", name=name)
