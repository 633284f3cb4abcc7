"""An account with what an ordinary cluster finds in a real one: a network, images, a role, a queue, the cluster itself.

What clusters share is found by the tag ``stratos.sh/discovery`` with the cluster's name, as in the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from stratos.testing.aws import xml
from stratos.testing.aws.moto import Moto

ROLE = "stratos-node"
INSTANCE_PROFILE = "stratos-node"

_ZONES = ("a", "b", "c")
_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)
_RELEASES = (datetime(2025, 11, 12, tzinfo=UTC), datetime(2025, 12, 17, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class AwsAccount:
    cluster_name: str
    region: str
    vpc: str
    subnets: Mapping[str, str]  # by zone
    security_groups: Mapping[str, str]  # by name
    images: Mapping[str, str]  # by name
    image_dates: Mapping[str, datetime]  # by id
    image_architectures: Mapping[str, str]  # by id
    parameters: Mapping[str, str]  # of SSM, that AWS publishes
    queue_name: str
    queue_url: str  # as moto calls it; clients ask for theirs by its name


async def furnish(moto: Moto, cluster_name: str, kubernetes_version: str) -> AwsAccount:
    region = moto.region
    discovery = {"stratos.sh/discovery": cluster_name}
    vpc = xml.text(await moto.ec2("CreateVpc", {"CidrBlock": "10.0.0.0/16"}), "vpc", "vpcId")
    subnets = {}
    for number, letter in enumerate(_ZONES):
        zone = f"{region}{letter}"
        place = {"VpcId": vpc, "CidrBlock": f"10.0.{16 * number}.0/20", "AvailabilityZone": zone}
        made = await moto.ec2("CreateSubnet", {**place, **_tagged("subnet", discovery)})
        subnets[zone] = xml.text(made, "subnet", "subnetId")
    groups = {}
    for name in (f"{cluster_name}-nodes", f"{cluster_name}-cluster"):
        group = {"GroupName": name, "GroupDescription": name, "VpcId": vpc}
        made = await moto.ec2("CreateSecurityGroup", {**group, **_tagged("security-group", discovery)})
        groups[name] = xml.text(made, "groupId")
    images, dates, architectures, parameters = await _images(moto, kubernetes_version)
    await moto.iam("CreateRole", {"RoleName": ROLE, "AssumeRolePolicyDocument": _TRUST})
    await moto.iam("CreateInstanceProfile", {"InstanceProfileName": INSTANCE_PROFILE})
    await moto.iam("AddRoleToInstanceProfile", {"InstanceProfileName": INSTANCE_PROFILE, "RoleName": ROLE})
    queue = f"{cluster_name}-interruptions"
    made_queue = await moto.json("sqs", "CreateQueue", {"QueueName": queue})
    await moto.rest(
        *("eks", "POST", "/clusters"),
        {
            "name": cluster_name,
            "version": kubernetes_version,
            "roleArn": f"arn:aws:iam::123456789012:role/{ROLE}",
            "resourcesVpcConfig": {"subnetIds": list(subnets.values())},
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
        },
    )
    return AwsAccount(
        cluster_name=cluster_name,
        region=region,
        vpc=vpc,
        subnets=subnets,
        security_groups=groups,
        images=images,
        image_dates=dates,
        image_architectures=architectures,
        parameters=parameters,
        queue_name=queue,
        queue_url=made_queue["QueueUrl"],
    )


async def _images(
    moto: Moto, version: str
) -> tuple[dict[str, str], dict[str, datetime], dict[str, str], dict[str, str]]:
    """Two releases of each kind, so that there is a newest to choose, and the parameters that name the recommended."""
    images, dates, architectures, parameters = {}, {}, {}, {}
    for released in _RELEASES:
        stamp = f"{released:%Y%m%d}"
        for arch in ("x86_64", "arm64"):
            al2 = "amazon-linux-2" if arch == "x86_64" else "amazon-linux-2-arm64"
            optimized = f"/aws/service/eks/optimized-ami/{version}"
            al2023 = f"{optimized}/amazon-linux-2023/{arch}"
            rocket = f"/aws/service/bottlerocket/aws-k8s-{version}"
            kinds = {
                f"amazon-eks-node-al2023-{arch}-standard-{version}-v{stamp}": (
                    f"{al2023}/standard/recommended/image_id"
                ),
                f"amazon-eks-node-al2023-{arch}-nvidia-{version}-v{stamp}": (f"{al2023}/nvidia/recommended/image_id"),
                f"amazon-eks-{'node' if arch == 'x86_64' else 'arm64-node'}-{version}-v{stamp}": (
                    f"{optimized}/{al2}/recommended/image_id"
                ),
                f"bottlerocket-aws-k8s-{version}-{arch}-v{stamp}": f"{rocket}/{arch}/latest/image_id",
                f"bottlerocket-aws-k8s-{version}-nvidia-{arch}-v{stamp}": (f"{rocket}-nvidia/{arch}/latest/image_id"),
            }
            for name, parameter in kinds.items():
                wish = {"Name": name, "Architecture": arch, "RootDeviceName": "/dev/xvda", "VirtualizationType": "hvm"}
                image = xml.text(await moto.ec2("RegisterImage", wish), "imageId")
                images[name], dates[image], architectures[image] = image, released, arch
                parameters[parameter] = image
    return images, dates, architectures, parameters


def _tagged(kind: str, tags: Mapping[str, str]) -> dict[str, str]:
    first = "TagSpecification.1"
    pairs = {f"{first}.ResourceType": kind}
    for number, (key, value) in enumerate(sorted(tags.items()), 1):
        pairs |= {f"{first}.Tag.{number}.Key": key, f"{first}.Tag.{number}.Value": value}
    return pairs
