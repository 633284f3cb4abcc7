"""The cloud that `stratos controller` runs machines on, chosen by name."""

from __future__ import annotations

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
from stratos.providers.contract import Provider
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class CloudChoice:
    """Which cloud, and where in it. ``cluster_name`` marks whose machines are whose."""

    name: str
    region: str
    cluster_name: str


@dataclass(frozen=True, slots=True)
class Cloud:
    provider: Provider
    beside: tuple[Runnable, ...] = ()  # what must run while it is used


def open_cloud(
    choice: CloudChoice, client: Client, *, clock: Clock, rng: random.Random
) -> AbstractAsyncContextManager[Cloud]:
    """The cloud for the length of the block. ``client`` is for those clouds whose machines run in this process."""
    openers: dict[str, Callable[[], AbstractAsyncContextManager[Cloud]]] = {
        "aws": lambda: _aws(choice, clock, rng),
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
async def _aws(choice: CloudChoice, clock: Clock, rng: random.Random) -> AsyncIterator[Cloud]:
    from stratos.wiring.aws import aws_provider  # type: ignore[import-untyped]

    async with aws_provider(choice.region, choice.cluster_name, clock=clock, rng=rng) as provider:
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
        cluster_name=choice.cluster_name,
        software=kubelets.run_host,
    )
    try:
        yield Cloud(provider, (kubelets,))
    finally:
        await provider.close()
