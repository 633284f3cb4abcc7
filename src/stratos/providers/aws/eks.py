"""How machines find a cluster of EKS, as EKS itself says."""

from __future__ import annotations

from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess


async def eks_cluster(clients: AwsClients, name: str) -> ClusterAccess:
    """Raises the contract's errors: `NotFound` among them where EKS has no cluster of that name."""
    answer = await clients.call("eks", "describe_cluster", name=name)
    cluster = answer["cluster"]
    network = cluster.get("kubernetesNetworkConfig") or {}
    return ClusterAccess(
        name=name,
        endpoint=cluster["endpoint"],
        certificate_authority=cluster["certificateAuthority"]["data"],
        service_cidr=network.get("serviceIpv4Cidr") or network.get("serviceIpv6Cidr") or "",
        kubernetes_version=cluster.get("version", ""),
    )
