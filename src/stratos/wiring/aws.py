"""EC2, joined up: the official SDK, which is installed only where it is wanted, behind the provider contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stratos.base.clock import Clock
from stratos.base.errors import NotReady
from stratos.catalog.catalog import load_catalog
from stratos.providers.aws.cluster_access import ClusterAccess

if TYPE_CHECKING:
    from stratos.providers.aws.clients import AwsClients
    from stratos.providers.aws.provider import AWSProvider


@asynccontextmanager
async def aws_provider(
    region: str,
    cluster: ClusterAccess,
    *,
    clock: Clock,
    interruption_queue: str = "",
    endpoint_url: str | None = None,
) -> AsyncIterator[AWSProvider]:
    """The provider of a region, for the machines of one cluster.

    ``endpoint_url`` is for an EC2 that is elsewhere; usually the SDK finds its own way (AWS_ENDPOINT_URL is heeded).
    Raises `NotFound` for a region that the catalog does not know, `NotReady` where the SDK is not installed.
    """
    catalog = load_catalog("aws", region)
    async with _clients(region, endpoint_url) as clients:
        from stratos.providers.aws.provider import AWSProvider

        yield AWSProvider(clients, catalog, cluster, clock=clock, interruption_queue=interruption_queue)


async def cluster_of_eks(region: str, name: str) -> ClusterAccess:
    """Raises `NotFound` where EKS has none of that name, and whatever else calls may raise."""
    async with _clients(region, None) as clients:
        from stratos.providers.aws.eks import eks_cluster

        return await eks_cluster(clients, name)


@asynccontextmanager
async def _clients(region: str, endpoint_url: str | None) -> AsyncIterator[AwsClients]:
    try:
        from stratos.providers.aws.clients import AwsClients
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise NotReady("the official SDK of AWS is not installed", hint="pip install 'stratos-compute[aws]'") from error
    clients = AwsClients(region=region, endpoint_url=endpoint_url)
    try:
        yield clients
    finally:
        clients.close()
