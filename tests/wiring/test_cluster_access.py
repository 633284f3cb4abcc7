"""How machines find the cluster: wrong, they boot, cost money, and never join."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stratos.base.errors import Invalid, NotFound
from stratos.kube.kubeconfig import ClusterAccess as KubernetesAccess
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.wiring.cluster_access import ClusterWords, find_cluster_access
from wiring.bare_cluster import bare_cluster

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "172.20.0.1"}
POD_ACCESS = KubernetesAccess("https://172.20.0.1:443", ca=b"pods' authority")
TOLD = ClusterAccess("production", "https://ABC.eks.amazonaws.com", "Y2E=", "172.20.0.0/16", "1.33")


async def told() -> ClusterAccess:
    return TOLD


async def unknown() -> ClusterAccess:
    raise NotFound("EKS has no cluster 'production' in eu-west-1")


def found(directory: Path, words: ClusterWords, access: KubernetesAccess, *, eks: bool, inside: bool) -> ClusterAccess:
    async def story() -> ClusterAccess:
        async with bare_cluster(directory) as cluster:
            environ = IN_CLUSTER if inside else {}
            finding = find_cluster_access(words, cluster.admin, access, environ, told if eks else unknown)
            [outcome] = await asyncio.gather(finding, return_exceptions=True)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return asyncio.run(story())


def test_a_pod_asks_eks_because_its_own_address_of_the_api_is_for_pods_alone(tmp_path: Path) -> None:
    """Machines are not in the network of services before they have joined."""
    assert found(tmp_path, ClusterWords("production"), POD_ACCESS, eks=True, inside=True) == TOLD


def test_what_the_operator_says_counts_more(tmp_path: Path) -> None:
    """A private endpoint, or a cluster that EKS does not know of."""
    words = ClusterWords("production", "https://private", "b3Vy", "10.0.0.0/16")

    access = found(tmp_path, words, POD_ACCESS, eks=False, inside=True)

    assert (access.endpoint, access.certificate_authority, access.service_cidr) == (
        "https://private",
        "b3Vy",
        "10.0.0.0/16",
    )


def test_a_pod_knows_the_network_of_services_from_its_own_environment(tmp_path: Path) -> None:
    """Its account need not be allowed to read services for that."""
    access = found(tmp_path, ClusterWords("x", "https://private"), POD_ACCESS, eks=False, inside=True)

    assert (access.service_cidr, access.dns_address) == ("172.20.0.0/16", "172.20.0.10")


def test_from_outside_the_kubeconfig_knows_the_address(tmp_path: Path) -> None:
    """It is the one that people use from elsewhere."""
    outside = KubernetesAccess("https://api.example.com", ca=b"ca")

    access = found(tmp_path, ClusterWords("x", service_cidr="10.1.0.0/16"), outside, eks=False, inside=False)

    assert (access.endpoint, access.certificate_authority, access.dns_address) == (
        "https://api.example.com",
        "Y2E=",
        "10.1.0.10",
    )
    assert access.kubernetes_version.startswith("1.")


def test_an_address_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    """Better no controller than machines that never join."""
    with pytest.raises(Invalid, match="machines reach the API server is not known") as refused:
        found(tmp_path, ClusterWords("production"), POD_ACCESS, eks=False, inside=True)

    assert "EKS has no cluster 'production' in eu-west-1" in refused.value.looked_at
    assert "--cluster-endpoint" in (refused.value.hint or "")


def test_a_network_that_is_none_is_refused(tmp_path: Path) -> None:
    """Its tenth address is where pods look up names."""
    words = ClusterWords("production", "https://x", "", "10.100.0.0/33")

    with pytest.raises(Invalid, match="is no network"):
        found(tmp_path, words, POD_ACCESS, eks=False, inside=True)
