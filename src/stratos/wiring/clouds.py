"""The cloud that `stratos controller` runs machines on, chosen by name."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from stratos.agent.simulated_kubelet.fleet import KubeletFleet
from stratos.base.clock import Clock
from stratos.base.errors import Invalid
from stratos.catalog.catalog import load_catalog
from stratos.kube.client import Client
from stratos.kube.controller import Runnable
from stratos.kube.kubeconfig import ClusterAccess
from stratos.providers.contract import Provider
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry
from stratos.wiring.aws import aws_provider, cluster_of_eks
from stratos.wiring.cluster_access import ClusterWords, find_cluster_access

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class CloudChoice:
    """Which cloud, where in it, and for which cluster."""

    name: str
    region: str
    cluster: ClusterWords
    interruption_queue: str = ""  # where aws's notices are; empty: nowhere


@dataclass(frozen=True, slots=True)
class Cloud:
    provider: Provider
    beside: tuple[Runnable, ...] = ()  # what must run while it is used


def open_cloud(
    choice: CloudChoice, client: Client, access: ClusterAccess, *, clock: Clock, rng: random.Random
) -> AbstractAsyncContextManager[Cloud]:
    """The cloud for the length of the block. ``client`` is for those clouds whose machines run in this process."""
    openers: dict[str, Callable[[], AbstractAsyncContextManager[Cloud]]] = {
        "aws": lambda: _aws(choice, client, access, clock),
        "fake": lambda: _fake(choice, client, clock, rng),
    }
    if choice.name not in openers:
        raise Invalid(
            f"there is no cloud {choice.name!r}",
            looked_at=(f"known clouds: {', '.join(sorted(openers))}",),
            hint="choose one with --cloud-provider",
        )
    return openers[choice.name]()


@asynccontextmanager
async def _aws(choice: CloudChoice, client: Client, access: ClusterAccess, clock: Clock) -> AsyncIterator[Cloud]:
    if not choice.region:
        raise Invalid("no region was named", hint="--region us-east-1, or AWS_REGION=us-east-1 in the environment")
    cluster = await find_cluster_access(
        choice.cluster, client, access, os.environ, lambda: cluster_of_eks(choice.region, choice.cluster.name)
    )
    queue = choice.interruption_queue
    async with aws_provider(choice.region, cluster, clock=clock, interruption_queue=queue) as provider:
        yield Cloud(provider)


@asynccontextmanager
async def _fake(choice: CloudChoice, client: Client, clock: Clock, rng: random.Random) -> AsyncIterator[Cloud]:
    """The simulated cloud, with kubelets that pretend: to try Stratos on a cluster without paying for machines.

    It lives as long as the process, and so do its machines.
    """
    cloud, _, region = (choice.region or DEFAULT_REGION).rpartition("/")
    kubelets = KubeletFleet(client, registry=ImageRegistry(), clock=clock, rng=rng)
    provider = SimulatedCloud(
        load_catalog(cloud or "aws", region),
        clock=clock,
        rng=rng,
        cluster_name=choice.cluster.name,
        software=kubelets.run_host,
    )
    try:
        yield Cloud(provider, (kubelets,))
    finally:
        await provider.close()
