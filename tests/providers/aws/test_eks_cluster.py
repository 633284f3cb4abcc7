"""EKS knows how machines reach its clusters; the controllers' pods do not."""

from __future__ import annotations

import asyncio

import boto3  # type: ignore[import-untyped]
import pytest

from providers.aws.ec2_builders import a_clients
from stratos.base.errors import StratosError
from stratos.providers.aws.eks import eks_cluster
from stratos.testing.aws import LoopbackAws


def test_machines_are_told_what_eks_says_of_its_cluster(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """All of it goes into their user data: one wrong word, and they never join."""

    def make() -> None:
        client = boto3.client("eks", region_name="us-east-1", endpoint_url=aws.endpoint_url)
        client.create_cluster(
            name="warm",
            version="1.33",
            roleArn="arn:aws:iam::123456789012:role/eks",
            resourcesVpcConfig={"subnetIds": ["subnet-1"]},
            kubernetesNetworkConfig={"serviceIpv4Cidr": "10.100.0.0/16"},
        )

    async def story() -> None:
        await asyncio.to_thread(make)
        cluster = await eks_cluster(a_clients(aws), "warm")
        assert (cluster.name, cluster.kubernetes_version) == ("warm", "1.33")
        assert cluster.endpoint.startswith("https://")
        assert cluster.certificate_authority
        assert cluster.dns_address == "10.100.0.10"

    aws_loop.run(story())


def test_a_cluster_that_eks_does_not_know_is_said_to_be_unknown(aws: LoopbackAws, aws_loop: asyncio.Runner) -> None:
    """--cluster-name is the likely mistake."""

    async def story() -> None:
        with pytest.raises(StratosError, match="nobody"):
            await eks_cluster(a_clients(aws), "nobody")

    aws_loop.run(story())
