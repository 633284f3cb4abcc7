"""The controllers as a process of their own, against a cluster that is there already: what `stratos controller` runs.

Of several replicas one leads, and only it changes anything: each write to the API and each call to the cloud asks first
how long the term still runs (`kube.fenced`, `providers.contract.fenced`). A leader that was paused and goes on later
finds every door shut, until it has been elected anew.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from stratos.apis.crds import CUSTOM_KINDS
from stratos.base.clock import Clock
from stratos.base.errors import NotFound
from stratos.base.ids import IdSource
from stratos.controllers.webhook.keeper import KeeperSettings, certificate_keeper
from stratos.kube.client import Client
from stratos.kube.controller import Manager, Runnable
from stratos.kube.fenced import FencedTransport
from stratos.kube.lease import LeaderElector, LeaseTimes
from stratos.kube.recorder import EventRecorder
from stratos.kube.transport import Transport
from stratos.providers.contract import Provider
from stratos.providers.contract.fenced import Fenced
from stratos.telemetry.logs import get_logger
from stratos.telemetry.metrics import PresentLife
from stratos.wiring.admission import AdmissionReplica
from stratos.wiring.clouds import Cloud
from stratos.wiring.controllers import ControllerSettings, add_controllers
from stratos.wiring.installation.rights import LEASE_NAME
from stratos.wiring.probes import listen, serving_metrics, serving_probes
from stratos.wiring.tracing import tracing

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """Where replicas meet to choose their leader, and as whom this one stands."""

    namespace: str
    identity: str
    times: LeaseTimes = field(default_factory=LeaseTimes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where API servers reach the admission webhook of this replica, and where its certificates are kept."""

    address: str
    keeper: KeeperSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    settings: ControllerSettings
    metrics_address: str = ":8080"
    probe_address: str = ":8081"
    election: Election | None = None  # None: this is the only replica
    webhook: Webhook | None = None  # None: nobody asks it


class ControllerProcess:
    """Runs until cancelled, and then ends in good order: what is under way is finished, the lease is given back."""

    def __init__(
        self,
        transport: Transport,
        open_cloud: Callable[[Client], AbstractAsyncContextManager[Cloud]],
        options: ProcessOptions,
        *,
        clock: Clock,
        ids: IdSource,
        rng: random.Random,
    ) -> None:
        """``open_cloud`` is given a client for clouds whose machines run in this process."""
        self._transport = transport
        self._open_cloud = open_cloud
        self._options = options
        self._clock = clock
        self._ids = ids
        self._rng = rng
        self._elector: LeaderElector | None = None
        self._manager: Manager | None = None
        self._traces: TracerProvider | None = None
        self._metrics = CollectorRegistry()
        self._of_this_term = PresentLife()
        self._metrics.register(self._of_this_term)
        ProcessCollector(registry=self._metrics)
        leading_gauge(self._metrics).set_function(lambda: float(self._term_left() > 0))

    async def run(self) -> None:
        options = self._options
        client = Client(self._transport)
        await _check_installed(client)
        async with AsyncExitStack() as stack:
            self._traces = stack.enter_context(tracing("stratos-controller"))
            await stack.enter_async_context(serving_metrics(options.metrics_address, self._metrics))
            await stack.enter_async_context(serving_probes(options.probe_address, self._unready))
            cloud = await stack.enter_async_context(self._open_cloud(client))
            await self._run_with(client, cloud.provider, cloud.beside)

    async def _run_with(self, client: Client, provider: Provider, beside: Iterable[Runnable]) -> None:
        async def lead() -> None:
            await self._lead(provider)

        election = self._options.election
        if election is not None:
            self._elector = LeaderElector(
                client,
                f"{election.namespace}/{LEASE_NAME}",
                election.identity,
                lead,
                clock=self._clock,
                rng=self._chance(),
                times=election.times,
            )
        async with AsyncExitStack() as stack:
            if self._options.webhook is not None:
                listener = stack.enter_context(listen(self._options.webhook.address))
                beside = (*beside, self._admission(client, provider, listener, self._options.webhook))
            await self._run_beside(beside, self._elector.run if self._elector is not None else lead)

    async def _run_beside(self, beside: Iterable[Runnable], main: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(part.run(), name=part.name) for part in beside]
            try:
                await main()
            finally:
                for helper in helpers:
                    helper.cancel()

    async def _lead(self, provider: Provider) -> None:
        chance = self._chance()
        manager = Manager(Client(FencedTransport(self._transport, self._term_left)), rng=chance)
        registry = self._of_this_term.begin()
        add_controllers(
            manager,
            Fenced(provider, self._term_left),
            self._options.settings,
            clock=self._clock,
            ids=self._ids,
            rng=chance,
            registry=registry,
            traces=self._traces,
        )
        if self._options.webhook is not None:
            recorder = EventRecorder(manager.client, "stratos-webhook", clock=self._clock, ids=self._ids)
            manager.add(recorder)
            certificate_keeper(
                manager,
                recorder,
                clock=self._clock,
                rng=chance,
                registry=registry,
                settings=self._options.webhook.keeper,
            )
        self._manager = manager
        try:
            log.info("controllers start", cluster=self._options.settings.cluster_name, cloud=provider.name)
            await manager.run()
        finally:
            self._manager = None

    def _admission(
        self, client: Client, provider: Provider, listener: socket.socket, webhook: Webhook
    ) -> AdmissionReplica:
        election = self._options.election
        return AdmissionReplica(
            client,
            provider,
            listener,
            webhook.keeper,
            lease=(election.namespace, LEASE_NAME) if election else None,
            clock=self._clock,
            rng=self._chance(),
        )

    def _term_left(self) -> float:
        return math.inf if self._elector is None else self._elector.term_left_seconds

    def _unready(self) -> str:
        """A replica that waits for its turn is ready: it could do no more, and rollouts wait for it."""
        if self._manager is not None:
            return "" if self._manager.synced else "the caches have not synced yet"
        return "" if self._elector is not None else "the controllers have not started yet"

    def _chance(self) -> random.Random:
        return random.Random(self._rng.getrandbits(64))


def leading_gauge(registry: CollectorRegistry) -> Gauge:
    return Gauge("stratos_leading", "Whether this process leads: 1 or 0.", registry=registry)


async def _check_installed(client: Client) -> None:
    for custom in CUSTOM_KINDS:
        try:
            await client.list(custom.kind, limit=1)
        except NotFound as error:
            raise NotFound(
                f"this cluster knows no {custom.kind.kind}", hint="install Stratos there first: stratos install"
            ) from error
