"""A class is looked up in an account that others change; what is missing has to be said so that it can be mended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3  # type: ignore[import-untyped]
import msgspec
import pytest

from providers.aws.ec2_builders import a_provider
from stratos.apis.awsnodeclass import AWSNodeClass
from stratos.apis.node import Taint
from stratos.apis.simnodeclass import SimNodeClass, SimNodeClassSpec
from stratos.base.errors import Invalid, Throttled
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.contract import Bootstrap, Disk, FailureReason, NodeClassPart, ResolvedNodeClass
from stratos.testing.aws import LoopbackAws
from stratos.testing.aws.user_data import bootstrap_of

PART = NodeClassPart
NO_MATCH = FailureReason.NO_MATCHING_RESOURCES
FAILED = FailureReason.RESOLUTION_FAILED
EKS = "/aws/service/eks/optimized-ami/1.33"
ROCKET = "/aws/service/bottlerocket/aws-k8s-1.33"


def node_class(name: str = "workers", **spec: Any) -> AWSNodeClass:
    tags = {"tags": {"stratos.sh/discovery": "my-cluster"}}
    usual = {
        "bootstrapTemplate": "AL2023",
        "instanceType": "m5.large",
        "subnetSelector": tags,
        "securityGroupSelector": tags,
        "role": "stratos-node",
    }
    merged = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    return msgspec.convert({"metadata": {"name": name}, "spec": merged}, AWSNodeClass)


class Account:
    """An account, asked from a test that runs outside the loop."""

    def __init__(self, loop: asyncio.Runner, aws: LoopbackAws) -> None:
        self._loop = loop
        self.aws = aws
        self.provider = a_provider(aws)

    def resolve(self, **spec: Any) -> ResolvedNodeClass:
        return self._loop.run(self.provider.resolve(node_class(**spec)))

    def resolve_for(self, arch: str, gpu: str, **spec: Any) -> ResolvedNodeClass:
        return self._loop.run(self.provider.resolve(node_class(**spec), arch=arch, gpu=gpu))

    def release(self, **spec: Any) -> None:
        self._loop.run(self.provider.release(node_class(**spec)))

    def ask(self, service: str, operation: str, **parameters: Any) -> Any:
        """As somebody else who works in the account."""
        client = boto3.client(service, region_name=self.aws.region, endpoint_url=self.aws.endpoint_url)

        async def call() -> Any:
            return await asyncio.to_thread(getattr(client, operation), **parameters)

        return self._loop.run(call())

    def roles_of(self, profile: str) -> list[str]:
        found = self.ask("iam", "get_instance_profile", InstanceProfileName=profile)["InstanceProfile"]
        return [role["RoleName"] for role in found["Roles"]]

    def profiles(self) -> list[str]:
        return [each["InstanceProfileName"] for each in self.ask("iam", "list_instance_profiles")["InstanceProfiles"]]


@pytest.fixture
def account(aws_loop: asyncio.Runner, aws: LoopbackAws) -> Account:
    return Account(aws_loop, aws)


def failures(resolved: ResolvedNodeClass) -> list[tuple[NodeClassPart, FailureReason]]:
    return [(failure.part, failure.reason) for failure in resolved.failures]


def test_a_class_that_selects_by_tags_is_ready(account: Account) -> None:
    resolved = account.resolve()

    assert resolved.ready, resolved.failures
    theirs = account.aws.account
    assert resolved.image == theirs.parameters[f"{EKS}/amazon-linux-2023/x86_64/standard/recommended/image_id"]
    assert [(subnet.zone, subnet.id) for subnet in resolved.subnets] == sorted(theirs.subnets.items())
    assert {group.name: group.id for group in resolved.security_groups} == theirs.security_groups
    assert resolved.instance_profile == "stratos-my-cluster-workers"
    assert account.roles_of("stratos-my-cluster-workers") == ["stratos-node"]


def test_b47_explicit_ids_are_taken_as_they_are_and_in_their_order(account: Account) -> None:
    """Clusters that are not EKS tag nothing: everything is named."""
    theirs = account.aws.account
    subnets, groups = sorted(theirs.subnets.values(), reverse=True), sorted(theirs.security_groups.values())[:1]
    image = min(theirs.images[name] for name in theirs.images if "x86_64" in name)

    resolved = account.resolve(
        subnetIds=subnets,
        subnetSelector=None,
        securityGroupIds=groups,
        securityGroupSelector=None,
        ami=image,
        role=None,
        iamInstanceProfile="stratos-node",
    )

    assert resolved.ready, resolved.failures
    assert [subnet.id for subnet in resolved.subnets] == subnets
    assert [group.id for group in resolved.security_groups] == groups
    assert (resolved.image, resolved.instance_profile) == (image, "stratos-node")


@pytest.mark.parametrize(
    ("template", "arch", "gpu", "parameter"),
    [
        ("AL2023", "arm64", "", f"{EKS}/amazon-linux-2023/arm64/standard/recommended/image_id"),
        ("AL2023", "amd64", "nvidia", f"{EKS}/amazon-linux-2023/x86_64/nvidia/recommended/image_id"),
        ("AL2023", "amd64", "amd", f"{EKS}/amazon-linux-2023/x86_64/standard/recommended/image_id"),
        ("AL2", "amd64", "", f"{EKS}/amazon-linux-2/recommended/image_id"),
        ("AL2", "arm64", "", f"{EKS}/amazon-linux-2-arm64/recommended/image_id"),
        ("Bottlerocket", "arm64", "", f"{ROCKET}/arm64/latest/image_id"),
        ("Bottlerocket", "amd64", "nvidia", f"{ROCKET}-nvidia/x86_64/latest/image_id"),
    ],
)
def test_the_recommended_image_suits_the_machines(
    account: Account, template: str, arch: str, gpu: str, parameter: str
) -> None:
    """A node template chooses machines itself: one class serves them all, whatever their processors and GPUs."""
    resolved = account.resolve_for(arch, gpu, bootstrapTemplate=template, instanceType=None)

    assert resolved.image == account.aws.account.parameters[parameter]


def test_a_class_with_a_gpu_type_gets_the_image_with_its_driver(account: Account) -> None:
    assert (
        account.resolve(instanceType="g5.xlarge").image
        == account.aws.account.parameters[f"{EKS}/amazon-linux-2023/x86_64/nvidia/recommended/image_id"]
    )


def test_the_newest_image_that_matches_wins(account: Account) -> None:
    theirs = account.aws.account.images
    old, new = (theirs[f"amazon-eks-node-al2023-x86_64-standard-1.33-v{day}"] for day in ("20251112", "20251217"))

    assert account.resolve(amiSelector={"name": "amazon-eks-node-al2023-*-standard-*"}).image == new

    account.ask("ec2", "create_tags", Resources=[old], Tags=[{"Key": "team", "Value": "ml"}])
    selector = {"name": "amazon-eks-node-*", "tags": {"team": "ml"}, "owner": "self"}
    assert account.resolve(amiSelector=selector).image == old


@pytest.mark.parametrize(
    ("spec", "part", "reason", "named"),
    [
        ({"ami": "ami-0123456789abcdef0"}, PART.IMAGE, FailureReason.INVALID_IMAGE, "ami-0123456789abcdef0"),
        ({"amiSelector": {"name": "windows-*"}}, PART.IMAGE, NO_MATCH, "windows-*"),
        ({"amiSelector": {"tags": {"a": "b"}, "owner": "self"}}, PART.IMAGE, NO_MATCH, "tags a=b"),
        ({"amiSelector": {}}, PART.IMAGE, NO_MATCH, "says nothing to select by"),
        ({"architecture": "arm64"}, PART.IMAGE, FAILED, "m5.large is an amd64 machine"),
        ({"bootstrapTemplate": "AL2", "instanceType": "g5.xlarge"}, PART.IMAGE, NO_MATCH, "amazon-linux-2-gpu"),
        ({"subnetSelector": {"tags": {"a": "b"}}}, PART.SUBNETS, NO_MATCH, "tags a=b"),
        ({"subnetSelector": {}}, PART.SUBNETS, NO_MATCH, "names no tags"),
        ({"subnetSelector": None, "subnetIds": ["subnet-12345678"]}, PART.SUBNETS, NO_MATCH, "subnet-12345678"),
        ({"securityGroupSelector": {"name": "none"}}, PART.SECURITY_GROUPS, NO_MATCH, "name none"),
        (
            {"securityGroupSelector": None, "securityGroupIds": ["sg-12345678"]},
            PART.SECURITY_GROUPS,
            NO_MATCH,
            "sg-12345678",
        ),
        ({"role": "absent"}, PART.INSTANCE_PROFILE, FailureReason.ROLE_NOT_FOUND, "there is no role absent"),
        ({"role": None, "iamInstanceProfile": "absent"}, PART.INSTANCE_PROFILE, NO_MATCH, "instance profile absent"),
    ],
)
def test_a40_each_part_fails_alone_with_what_was_looked_for_where_and_a_hint(
    account: Account, spec: Mapping[str, Any], part: NodeClassPart, reason: FailureReason, named: str
) -> None:
    resolved = account.resolve(**spec)

    assert failures(resolved) == [(part, reason)]
    message, _, hint = resolved.failures[0].message.partition("; ")
    assert named in message and hint


@pytest.mark.parametrize(
    ("action", "part"),
    [
        ("ec2:DescribeImages", PART.IMAGE),
        ("ec2:DescribeSubnets", PART.SUBNETS),
        ("ec2:DescribeSecurityGroups", PART.SECURITY_GROUPS),
        ("iam:GetInstanceProfile", PART.INSTANCE_PROFILE),
    ],
)
def test_a_denied_call_is_named_and_fails_its_part_alone(account: Account, action: str, part: NodeClassPart) -> None:
    """Whoever has to mend it reads the condition, not our log."""
    account.aws.faults.denied.add(action)

    resolved = account.resolve(amiSelector={"name": "amazon-eks-node-al2023-*"})

    assert failures(resolved) == [(part, FAILED)]
    assert action in resolved.failures[0].message
    assert "--print-iam-policy" in resolved.failures[0].message


def test_a_denied_parameter_is_named(account: Account) -> None:
    account.aws.faults.denied.add("ssm:GetParameter")

    assert failures(account.resolve()) == [(PART.IMAGE, FAILED)]


def test_throttled_lookups_are_no_verdict_on_the_class(account: Account) -> None:
    """They are repeated by whoever keeps the pace; a condition that flickers would stop pools for nothing."""
    account.aws.faults.throttled["ec2:DescribeSubnets"] = 1

    with pytest.raises(Throttled):
        account.resolve()

    assert account.resolve().ready


def test_the_generated_profile_follows_the_role_and_goes_with_the_class(account: Account) -> None:
    profile = "stratos-my-cluster-roles"
    role = account.ask("iam", "get_role", RoleName="stratos-node")["Role"]["RoleName"]
    account.ask("iam", "create_role", RoleName="other", AssumeRolePolicyDocument="{}")
    assert account.resolve(name="roles").instance_profile == profile
    assert account.roles_of(profile) == [role]

    assert account.resolve(name="roles", role="other").ready
    assert account.roles_of(profile) == ["other"]

    account.release(name="roles", role="other")
    account.release(name="roles", role="other")
    assert profile not in account.profiles()
    account.ask("iam", "delete_role", RoleName="other")  # which AWS would refuse while a profile held it


def test_a_role_that_cannot_be_put_into_its_profile_is_said_so(account: Account) -> None:
    account.aws.faults.denied.add("iam:AddRoleToInstanceProfile")

    resolved = account.resolve(name="fresh")

    assert failures(resolved) == [(PART.INSTANCE_PROFILE, FailureReason.ROLE_UPDATE_FAILED)]
    assert "iam:AddRoleToInstanceProfile" in resolved.failures[0].message
    account.aws.faults.denied.clear()
    assert account.resolve(name="fresh").ready


def test_a_profile_of_somebody_else_is_not_deleted(account: Account) -> None:
    """Names can clash; what we did not make is not ours to take away."""
    account.ask("iam", "create_instance_profile", InstanceProfileName="stratos-my-cluster-theirs")

    account.release(name="theirs")

    assert "stratos-my-cluster-theirs" in account.profiles()


@pytest.mark.parametrize(
    ("spec", "field", "named"),
    [
        ({"region": "eu-west-1"}, "spec.region", "us-east-1"),
        ({"instanceType": "m5.larj"}, "spec.instanceType", "m5.larj"),
        (
            {"bootstrapTemplate": "Bottlerocket", "kubelet": {"extraArgs": {"v": "4"}}},
            "spec.kubelet.extraArgs",
            "Bottlerocket",
        ),
        (
            {"bootstrapTemplate": "Bottlerocket", "customUserData": "#!/bin/sh\nyum install x"},
            "spec.customUserData",
            "TOML",
        ),
    ],
)
def test_what_is_wrong_with_the_class_itself_names_the_field(
    account: Account, spec: Mapping[str, Any], field: str, named: str
) -> None:
    with pytest.raises(Invalid, match=named) as caught:
        account.resolve(**spec)

    assert [problem.field for problem in caught.value.problems] == [field]
    assert caught.value.hint


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"customUserData": "x" * 20_000}, "more than the 16384"),
        (
            {"userData": "{{ .Zone }}", "userDataType": "Template"},
            r"spec\.userData: line 1 of the template: there is no \.Zone",
        ),
    ],
)
def test_user_data_that_cannot_be_sent_is_found_before_a_pod_waits(
    account: Account, spec: Mapping[str, Any], named: str
) -> None:
    with pytest.raises(Invalid, match=named):
        account.resolve(**spec)


@pytest.mark.parametrize("template", ["AL2023", "AL2", "Bottlerocket"])
def test_a_machine_is_told_what_the_class_and_its_pool_say(
    account: Account, aws_loop: asyncio.Runner, template: str
) -> None:
    """Looked up, launched, and read as the machine's own software reads it."""
    kubelet = {"maxPods": 20, "nodeLabels": {"disk": "fast"}, "nodeTaints": [{"key": "a", "effect": "NoSchedule"}]}
    resolved = account.resolve(bootstrapTemplate=template, kubelet=kubelet)
    images = () if template == "Bottlerocket" else ("nginx:1", "ghcr.io/acme/agent:2")
    bootstrap = Bootstrap(
        "my-cluster", node_labels={"pool": "ci"}, images_to_pull=images, power_off_when_ready=bool(images)
    )

    request = resolved.launch_request(token=f"told-{template}", bootstrap=bootstrap)
    machine = aws_loop.run(account.provider.launch(request))

    sent = account.ask("ec2", "describe_instance_attribute", InstanceId=machine.id, Attribute="userData")
    read = bootstrap_of(sent["UserData"]["Value"])
    assert read == replace(
        bootstrap,
        node_labels={"disk": "fast", "pool": "ci"},
        node_taints=(Taint("a", "NoSchedule"),),
        max_pods=20,
    )
    assert account.ask("ec2", "describe_instances", InstanceIds=[machine.id])["Reservations"][0]["Instances"][0][
        "IamInstanceProfile"
    ]["Arn"].endswith("stratos-my-cluster-workers")


def test_other_kinds_do_not_run_on_ec2(account: Account, aws_loop: asyncio.Runner) -> None:
    with pytest.raises(Invalid, match="SimNodeClass"):
        aws_loop.run(account.provider.resolve(SimNodeClass(spec=SimNodeClassSpec(), kind="SimNodeClass")))


def test_b48_b49_disks_with_their_snapshots_and_all_other_settings_are_ready_for_the_launch(account: Account) -> None:
    """Bottlerocket keeps images on a volume of its own: begun from a snapshot, it has them before the first boot."""
    resolved = account.resolve(
        bootstrapTemplate="Bottlerocket",
        blockDeviceMappings=[
            {"deviceName": "/dev/xvda", "volumeSize": 4},
            {"deviceName": "/dev/xvdb", "volumeSize": 80, "snapshotID": "snap-1", "iops": 4000, "encrypted": True},
        ],
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2},
        spotConfig={"instanceTypes": ["m5.large"], "allocationStrategy": "lowest-price", "maxPrice": "0.05"},
        kubelet={"maxPods": 20, "nodeLabels": {"disk": "fast"}},
    )

    assert resolved.disks == (
        Disk("/dev/xvda", 4),
        Disk("/dev/xvdb", 80, encrypted=True, iops=4000, snapshot_id="snap-1"),
    )
    settings = AwsSettings.from_settings(resolved.settings)
    assert (settings.bootstrap_template, settings.region) == ("Bottlerocket", "us-east-1")
    assert (settings.http_tokens, settings.http_put_response_hop_limit) == ("required", 2)
    assert settings.allocation_strategy == "lowest-price"
    assert (resolved.max_pods, resolved.spot_max_price_usd_per_hour) == (20, 0.05)
