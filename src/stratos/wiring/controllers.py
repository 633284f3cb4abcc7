"""The Stratos controllers, joined up with one provider and one manager."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from stratos.apis.nodepool import StandbyNode
from stratos.base.clock import Clock
from stratos.base.ids import IdSource
from stratos.controllers.disruption import DisruptionSettings, disruption_controller
from stratos.controllers.interruptions import interruption_controller
from stratos.controllers.inventory import Inventory
from stratos.controllers.machines import MachineSettings, machine_controller
from stratos.controllers.nodeclasses import node_class_controller
from stratos.controllers.pools import pool_controller
from stratos.controllers.pools.look import Lookout as PoolLookout
from stratos.controllers.provisioning import ProvisioningSettings, provisioning_controller
from stratos.controllers.provisioning.look import Lookout as ProvisioningLookout
from stratos.controllers.tracing import PodTracer
from stratos.kube.controller import Manager
from stratos.kube.recorder import EventRecorder
from stratos.providers.contract import Provider
from stratos.providers.contract.rate_limited import ProviderMetrics, RateLimited
from stratos.telemetry.metrics import ControllerMetrics
from stratos.wiring.settings import SettingsNotice


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    cluster_name: str
    provider_qps: float = 50.0
    provider_burst: int = 100
    survey_seconds: float = 60.0  # how often everything is looked at anew, though nothing is known to have changed
    standby_node: StandbyNode = (
        "Keep"  # what becomes of the Nodes of machines that stand by, if their pool does not say
    )
    provisioning: ProvisioningSettings = field(default_factory=ProvisioningSettings)
    disruption: DisruptionSettings = field(default_factory=DisruptionSettings)


def add_controllers(
    manager: Manager,
    provider: Provider,
    settings: ControllerSettings,
    *,
    clock: Clock,
    ids: IdSource,
    rng: random.Random,
    registry: CollectorRegistry,
    traces: TracerProvider | None = None,
) -> None:
    """Make all controllers and add them to ``manager``; they share its caches and one rate-limited ``provider``.

    The way of pods that wait for machines is traced if there is somewhere for ``traces`` to go.
    """
    metrics = ControllerMetrics(registry)
    recorder = EventRecorder(manager.client, "stratos", clock=clock, ids=ids)
    limited = RateLimited(
        provider,
        qps=settings.provider_qps,
        burst=settings.provider_burst,
        clock=clock,
        rng=rng,
        metrics=ProviderMetrics(registry),
    )
    manager.add(recorder, SettingsNotice(manager.client, settings.provisioning.limits))
    pool_controller(
        manager,
        limited,
        recorder,
        clock=clock,
        rng=rng,
        ids=ids,
        registry=registry,
        controller_metrics=metrics,
    )
    # Templates and pools see the same waiting pods: what a pool has a machine at hand for is the pool's.
    at_hand = PoolLookout(manager, limited, clock=clock, rests_until=lambda pool: None).at_hand
    provisioning_controller(
        manager,
        limited,
        recorder,
        clock=clock,
        rng=rng,
        ids=ids,
        registry=registry,
        served_by_pools=at_hand,
        settings=settings.provisioning,
        controller_metrics=metrics,
    )
    world = ProvisioningLookout(
        manager, limited, clock=clock, limits=settings.provisioning.limits, served_by_pools=at_hand
    )
    disruption_controller(
        manager,
        world.look,
        recorder,
        clock=clock,
        rng=rng,
        ids=ids,
        registry=registry,
        settings=settings.disruption,
        controller_metrics=metrics,
    )
    look_at_once = machine_controller(
        manager,
        limited,
        recorder,
        clock=clock,
        rng=rng,
        settings=MachineSettings(
            settings.cluster_name,
            survey_seconds=settings.survey_seconds,
            limits=settings.provisioning.limits,
            standby_node=settings.standby_node,
        ),
        registry=registry,
        controller_metrics=metrics,
    )
    interruption_controller(
        manager,
        limited,
        recorder,
        clock=clock,
        rng=rng,
        registry=registry,
        look_at_once=look_at_once,
        controller_metrics=metrics,
    )
    node_class_controller(manager, limited, recorder, clock=clock, rng=rng, controller_metrics=metrics)
    manager.add(
        Inventory(
            manager,
            limited,
            clock=clock,
            cluster_name=settings.cluster_name,
            interval_seconds=settings.survey_seconds,
        )
    )
    if traces is not None:
        PodTracer(manager, traces)
