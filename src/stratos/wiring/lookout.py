"""Looking at a cluster's pools from outside, exactly as the pool loop does from inside."""

from __future__ import annotations

import random

from stratos.base.clock import Clock
from stratos.catalog.catalog import load_catalog
from stratos.controllers.pools.look import Lookout
from stratos.kube.controller import Manager
from stratos.providers.simulated.cloud import SimulatedCloud

_REGION = "us-east-1"  # of the clusters that `stratos up` makes; in others, prices and zones may be a little off


def outside_lookout(manager: Manager, *, clock: Clock) -> Lookout:
    """Its caches are the manager's. How long pools rest after failures only their own loop knows."""
    catalog = load_catalog("aws", _REGION)
    provider = SimulatedCloud(catalog, clock=clock, rng=random.Random(0))  # asked for the shapes of machines alone
    return Lookout(manager, provider, clock=clock, rests_until=lambda pool: None)
