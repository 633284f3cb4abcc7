"""Looking at a cluster from outside, exactly as the loops do from inside."""

from __future__ import annotations

import random
from dataclasses import dataclass

from stratos.base.clock import Clock
from stratos.catalog.catalog import Catalog
from stratos.controllers.disruption.look import Lookout as DisruptionLookout
from stratos.controllers.pools.look import Lookout
from stratos.controllers.provisioning.look import Lookout as ProvisioningLookout
from stratos.kube.controller import Manager
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.providers.simulated.cloud import SimulatedCloud


@dataclass(frozen=True, slots=True)
class OutsideView:
    """What decides about pods and machines: the pools, which come first, templates, and what keeps pods in number."""

    pools: Lookout
    templates: ProvisioningLookout
    disruption: DisruptionLookout


def outside_view(manager: Manager, catalog: Catalog, limits: ClusterLimits, *, clock: Clock) -> OutsideView:
    """Its caches are the manager's. How long pools rest after failures only the loops inside know."""
    provider = SimulatedCloud(catalog, clock=clock, rng=random.Random(0))  # asked for the shapes of machines alone
    pools = Lookout(manager, provider, clock=clock, rests_until=lambda pool: None)
    templates = ProvisioningLookout(manager, provider, clock=clock, limits=limits, served_by_pools=pools.at_hand)
    return OutsideView(pools, templates, DisruptionLookout(manager, templates.look))
