"""A whole cluster in one process: a control plane, Stratos, and a simulated cloud with its hosts.

The same object runs behind a socket for `stratos up`, and in virtual time for demos, benchmarks and the simulator.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

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
from stratos.wiring.api import STRATOS, ApiSecrets
from stratos.wiring.control_plane import Component, ControlPlane, ControlPlaneOptions
from stratos.wiring.controllers import ControllerSettings, add_controllers
from stratos.wiring.webhook import CallerOfOurOwn

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
        self._in_front_of_cloud = in_front_of_cloud
        self._webhooks = CallerOfOurOwn()
        self._plane = ControlPlane(
            storage,
            clock=clock,
            ids=ids,
            rng=rng,
            options=ControlPlaneOptions(
                kubelets=self.options.kubelets,
                registry=self.options.registry,
                root_certificate_pem=self.options.root_certificate_pem,
            ),
            secrets=secrets,
            webhook_caller=self._webhooks,
            metrics=self.metrics,
            in_front_of_api=in_front_of_api,
        )
        self.api = self._plane.api
        self.cloud = SimulatedCloud(
            catalog_named(self.options.catalog),
            clock=clock,
            rng=self._plane.chance(),
            cluster_name=self.options.cluster_name,
            options=self.options.cloud,
            software=self._plane.kubelets.run_host,
        )
        self.scheduler = self._plane.scheduler
        self.workloads = self._plane.workloads
        self.stratos = Component("stratos", self._build_stratos)
        self.components = (self.scheduler, self.workloads, self.stratos)

    @property
    def admin(self) -> Client:
        return self._plane.admin

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs inside the block. If a part ends by itself, the block is cancelled and the reason raised."""
        async with self._plane.running(self.stratos):
            try:
                yield
            finally:
                await self.cloud.close()
        await self._webhooks.close()

    def _build_stratos(self) -> Manager:
        chance = self._plane.chance()
        manager = Manager(self._plane.client(STRATOS), rng=chance)
        add_controllers(
            manager,
            self._in_front_of_cloud(self.cloud),
            ControllerSettings(
                cluster_name=self.options.cluster_name,
                provisioning=self.options.provisioning,
                disruption=self.options.disruption,
            ),
            clock=self._clock,
            ids=SeededIds(self._plane.chance()),
            rng=chance,
            registry=self._stratos_metrics.begin(),
        )
        self._webhooks.own = AdmissionWebhook(manager, self.cloud)
        return manager
