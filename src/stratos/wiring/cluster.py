"""A whole cluster in one process: the API, scheduler, controllers, Stratos, and a simulated cloud with its hosts.

The same object runs behind a socket for `stratos up`, and in virtual time for demos, benchmarks and the simulator. Each
part runs as a component that can be stopped and started again on its own, as it could in a real cluster.
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
from stratos.apiserver.storage.contract import Storage
from stratos.base.clock import Clock
from stratos.base.ids import IdSource, SeededIds
from stratos.catalog.catalog import Catalog, load_catalog
from stratos.controllers.disruption import DisruptionSettings
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.controllers.webhook import AdmissionWebhook
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.kube.transport import Transport
from stratos.providers.contract import Provider
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry
from stratos.telemetry.metrics import PresentLife
from stratos.wiring.api import ADMIN, CONTROLLER_MANAGER, KUBELETS, SCHEDULER, STRATOS, ApiSecrets, EmbeddedApi
from stratos.wiring.controllers import ControllerSettings, add_controllers
from stratos.wiring.webhook import CallerOfOurOwn
from stratos.workloads.run import workload_controllers
from stratos.workloads.scheduler.scheduler import add_scheduler

DEFAULT_CATALOG = "aws/us-east-1"


def catalog_named(name: str) -> Catalog:
    """The shipped catalog of ``cloud/region``. Raises `NotFound` for one that is not shipped."""
    cloud, _, region = name.partition("/")
    return load_catalog(cloud, region)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    cluster_name: str = "my-cluster"
    catalog: str = DEFAULT_CATALOG  # what the simulated cloud sells: a cloud and a region of the shipped catalogs
    cloud: CloudOptions = field(default_factory=CloudOptions)
    kubelets: KubeletOptions = field(default_factory=KubeletOptions)
    registry: ImageRegistry = field(default_factory=ImageRegistry)
    provisioning: ProvisioningSettings = field(default_factory=ProvisioningSettings)
    disruption: DisruptionSettings = field(default_factory=DisruptionSettings)
    root_certificate_pem: str = ""


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


class Cluster:
    """Made of its parts but not running; `running` runs it for the length of a block."""

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Clock,
        ids: IdSource,
        rng: random.Random,
        options: ClusterOptions | None = None,
        secrets: ApiSecrets | None = None,
        in_front_of_api: Callable[[str, Transport], Transport] = lambda user, transport: transport,
        in_front_of_cloud: Callable[[Provider], Provider] = lambda provider: provider,
    ) -> None:
        """What stands ``in_front_of`` the API and the cloud is asked for anew whenever a component is made."""
        self.options = options or ClusterOptions()
        self.metrics = CollectorRegistry()  # what the API server shows under /metrics
        self._stratos_metrics = PresentLife()
        self.metrics.register(self._stratos_metrics)
        self._clock = clock
        self._ids = ids
        self._rng = rng
        self._in_front_of_api = in_front_of_api
        self._in_front_of_cloud = in_front_of_cloud
        self._webhooks = CallerOfOurOwn()
        self.api = EmbeddedApi(
            storage, clock=clock, ids=ids, secrets=secrets, webhook_caller=self._webhooks, metrics=self.metrics
        )
        self._kubelets = KubeletFleet(
            self._client(KUBELETS),
            registry=self.options.registry,
            clock=clock,
            rng=self._chance(),
            options=self.options.kubelets,
        )
        self.cloud = SimulatedCloud(
            catalog_named(self.options.catalog),
            clock=clock,
            rng=self._chance(),
            cluster_name=self.options.cluster_name,
            options=self.options.cloud,
            software=self._kubelets.run_host,
        )
        self.scheduler = Component("scheduler", self._build_scheduler)
        self.workloads = Component("controller manager", self._build_workloads)
        self.stratos = Component("stratos", self._build_stratos)
        self.components = (self.scheduler, self.workloads, self.stratos)

    @property
    def admin(self) -> Client:
        return self.api.client(ADMIN)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs inside the block. If a part ends by itself, the block is cancelled and the reason raised."""
        await self.api.start()
        async with asyncio.TaskGroup() as tasks:
            kubelets = tasks.create_task(self._kubelets.run(), name=self._kubelets.name)
            for component in self.components:
                await component.start()
            watchers = [
                tasks.create_task(component.wait_failed(), name=f"{component.name} watch")
                for component in self.components
            ]
            try:
                yield
            finally:
                for task in (*watchers, kubelets):
                    task.cancel()
                for component in reversed(self.components):
                    await component.stop()
                await self.cloud.close()
        await self.api.stop()
        await self._webhooks.close()

    def _client(self, user: str) -> Client:
        return Client(self._in_front_of_api(user, self.api.transport(user)))

    def _chance(self) -> random.Random:
        """A generator of its own for each part: what one part draws must not change what another does."""
        return random.Random(self._rng.getrandbits(64))

    def _build_scheduler(self) -> Manager:
        manager = Manager(self._client(SCHEDULER), rng=self._chance())
        add_scheduler(manager, clock=self._clock, ids=self._ids)
        return manager

    def _build_workloads(self) -> Manager:
        chance = self._chance()
        manager = Manager(self._client(CONTROLLER_MANAGER), rng=chance)
        workload_controllers(
            manager,
            clock=self._clock,
            ids=SeededIds(self._chance()),
            rng=chance,
            root_certificate=self.options.root_certificate_pem,
        )
        return manager

    def _build_stratos(self) -> Manager:
        chance = self._chance()
        manager = Manager(self._client(STRATOS), rng=chance)
        add_controllers(
            manager,
            self._in_front_of_cloud(self.cloud),
            ControllerSettings(
                cluster_name=self.options.cluster_name,
                provisioning=self.options.provisioning,
                disruption=self.options.disruption,
            ),
            clock=self._clock,
            ids=SeededIds(self._chance()),
            rng=chance,
            registry=self._stratos_metrics.begin(),
        )
        self._webhooks.own = AdmissionWebhook(manager, self.cloud)
        return manager
