"""A cluster without Stratos and without a cloud: the API, a scheduler, workload controllers, kubelets for its machines.

Each part runs as a component that can be stopped and started again on its own, as it could in a real cluster. Machines
come from elsewhere: whoever boots one runs ``kubelets.run_host`` on it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from stratos.agent.simulated_kubelet.fleet import KubeletFleet
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.storage.contract import Storage
from stratos.base.clock import Clock
from stratos.base.ids import IdSource, SeededIds
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.transport import Transport
from stratos.providers.simulated.registry import ImageRegistry
from stratos.wiring.api import ADMIN, CONTROLLER_MANAGER, KUBELETS, SCHEDULER, ApiSecrets, EmbeddedApi
from stratos.workloads.run import workload_controllers
from stratos.workloads.scheduler.scheduler import add_scheduler


class Component:
    """A part of the cluster with a manager of its own, made anew by ``build`` each time it starts."""

    def __init__(self, name: str, build: Callable[[], Manager]) -> None:
        self.name = name
        self._build = build
        self._task: asyncio.Task[None] | None = None
        self._failure: asyncio.Future[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Start it, and wait until its caches have synced."""
        manager = self._build()
        self._task = asyncio.create_task(manager.run(), name=self.name)
        self._task.add_done_callback(self._ended)
        synced = asyncio.create_task(manager.wait_synced(), name=f"{self.name} sync")
        await asyncio.wait({self._task, synced}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            synced.cancel()
            self._task.result()

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None

    async def wait_failed(self) -> None:
        """Return never, however often it is stopped and started; raise what ended it if it ends by itself."""
        if self._task is not None and self._task.done():
            self._task.result()
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneOptions:
    kubelets: KubeletOptions = field(default_factory=KubeletOptions)
    registry: ImageRegistry = field(default_factory=ImageRegistry)
    root_certificate_pem: str = ""
    stratos_installed: bool = True  # its kinds, rights and webhooks


class ControlPlane:
    """Made of its parts but not running; `running` runs it for the length of a block."""

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Clock,
        ids: IdSource,
        rng: random.Random,
        options: ControlPlaneOptions | None = None,
        secrets: ApiSecrets | None = None,
        webhook_caller: WebhookCaller | None = None,
        metrics: CollectorRegistry | None = None,
        in_front_of_api: Callable[[str, Transport], Transport] = lambda user, transport: transport,
    ) -> None:
        """What stands ``in_front_of_api`` is asked for anew whenever a component is made."""
        self._options = options or ControlPlaneOptions()
        self._clock = clock
        self._ids = ids
        self._rng = rng
        self._in_front_of_api = in_front_of_api
        self.api = EmbeddedApi(
            storage,
            clock=clock,
            ids=ids,
            secrets=secrets,
            webhook_caller=webhook_caller,
            metrics=metrics,
            stratos_installed=self._options.stratos_installed,
        )
        self.kubelets = KubeletFleet(
            self.client(KUBELETS),
            registry=self._options.registry,
            clock=clock,
            rng=self.chance(),
            options=self._options.kubelets,
        )
        self.scheduler = Component("scheduler", self._build_scheduler)
        self.workloads = Component("controller manager", self._build_workloads)

    @property
    def admin(self) -> Client:
        return self.api.client(ADMIN)

    @asynccontextmanager
    async def running(self, *more: Component) -> AsyncIterator[None]:
        """Everything runs inside the block, and ``more`` with it.

        If a part ends by itself, the block is cancelled and the reason raised.
        """
        await self.api.start()
        components = (self.scheduler, self.workloads, *more)
        async with asyncio.TaskGroup() as tasks:
            kubelets = tasks.create_task(self.kubelets.run(), name=self.kubelets.name)
            for component in components:
                await component.start()
            watchers = [
                tasks.create_task(component.wait_failed(), name=f"{component.name} watch") for component in components
            ]
            try:
                yield
            finally:
                for task in (*watchers, kubelets):
                    task.cancel()
                for component in reversed(components):
                    await component.stop()
        await self.api.stop()

    def client(self, user: str) -> Client:
        return Client(self._in_front_of_api(user, self.api.transport(user)))

    def chance(self) -> random.Random:
        """A generator of its own for each part: what one part draws must not change what another does."""
        return random.Random(self._rng.getrandbits(64))

    def _build_scheduler(self) -> Manager:
        manager = Manager(self.client(SCHEDULER), rng=self.chance())
        add_scheduler(manager, clock=self._clock, ids=self._ids)
        return manager

    def _build_workloads(self) -> Manager:
        chance = self.chance()
        manager = Manager(self.client(CONTROLLER_MANAGER), rng=chance)
        workload_controllers(
            manager,
            clock=self._clock,
            ids=SeededIds(self.chance()),
            rng=chance,
            root_certificate=self._options.root_certificate_pem,
        )
        return manager
