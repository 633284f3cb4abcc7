"""Every operation of AWS that Stratos calls, and what an IAM policy must grant for it.

`AwsClients` refuses to call what is not in this table, so the policy made from it is neither too small nor too large.
What changes or ends machines is granted for those of one cluster alone, told by their tag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stratos.apis.labels import TAG_CLUSTER


class Condition(NamedTuple):
    operator: str
    key: str
    values: tuple[str, ...]  # {cluster} in them stands for the cluster's name


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on some resources. ``{partition}`` in them stands for aws, aws-cn and the like."""

    action: str
    resources: tuple[str, ...] = ("*",)
    conditions: tuple[Condition, ...] = ()


def _ec2(*kinds: str) -> tuple[str, ...]:
    return tuple(f"arn:{{partition}}:ec2:*:*:{kind}/*" for kind in kinds)


_OURS = (Condition("StringEquals", f"aws:ResourceTag/{TAG_CLUSTER}", ("{cluster}",)),)
_TO_BE_OURS = (Condition("StringEquals", f"aws:RequestTag/{TAG_CLUSTER}", ("{cluster}",)),)

_MACHINES = _ec2("instance")
_MADE_BY_A_LAUNCH = _ec2("instance", "volume", "network-interface")
_NEEDED_BY_A_LAUNCH = (
    "arn:{partition}:ec2:*::image/*",
    "arn:{partition}:ec2:*::snapshot/*",
    *_ec2("subnet", "security-group", "launch-template", "spot-instances-request"),
)
_TEMPLATES = _ec2("launch-template")
_QUEUES = ("arn:{partition}:sqs:*:*:*{cluster}*",)  # a queue is known by having the cluster's name in its own
_PROFILES = ("arn:{partition}:iam::*:instance-profile/stratos-{cluster}-*",)
_ROLES = ("arn:{partition}:iam::*:role/*",)

_PASS_ROLE = Permission(
    "iam:PassRole", _ROLES, (Condition("StringEquals", "iam:PassedToService", ("ec2.amazonaws.com",)),)
)

_RUN_INSTANCES = (
    Permission("ec2:RunInstances", _MADE_BY_A_LAUNCH, _TO_BE_OURS),
    Permission("ec2:RunInstances", _NEEDED_BY_A_LAUNCH),
    Permission(
        "ec2:CreateTags",
        (*_MADE_BY_A_LAUNCH, *_ec2("fleet", "launch-template")),
        (
            *_TO_BE_OURS,
            Condition("StringEquals", "ec2:CreateAction", ("RunInstances", "CreateFleet", "CreateLaunchTemplate")),
        ),
    ),
    _PASS_ROLE,
)

ACTIONS: Mapping[tuple[str, str], tuple[Permission, ...]] = {
    # Machines
    ("ec2", "describe_instances"): (Permission("ec2:DescribeInstances"),),
    ("ec2", "run_instances"): _RUN_INSTANCES,
    ("ec2", "create_fleet"): (
        Permission("ec2:CreateFleet", _ec2("fleet"), _TO_BE_OURS),
        Permission("ec2:CreateFleet", _NEEDED_BY_A_LAUNCH),
        Permission("ec2:CreateFleet", _MADE_BY_A_LAUNCH, _TO_BE_OURS),
        *_RUN_INSTANCES,
        # The first spot machine of an account makes the role by which EC2 launches them.
        Permission(
            "iam:CreateServiceLinkedRole",
            ("arn:{partition}:iam::*:role/aws-service-role/spot.amazonaws.com/*",),
            (Condition("StringEquals", "iam:AWSServiceName", ("spot.amazonaws.com",)),),
        ),
    ),
    ("ec2", "start_instances"): (Permission("ec2:StartInstances", _MACHINES, _OURS),),
    ("ec2", "stop_instances"): (Permission("ec2:StopInstances", _MACHINES, _OURS),),
    ("ec2", "terminate_instances"): (Permission("ec2:TerminateInstances", _MACHINES, _OURS),),
    ("ec2", "create_tags"): (Permission("ec2:CreateTags", _MACHINES, _OURS),),
    # Node classes
    ("ec2", "describe_images"): (Permission("ec2:DescribeImages"),),
    ("ec2", "describe_subnets"): (Permission("ec2:DescribeSubnets"),),
    ("ec2", "describe_security_groups"): (Permission("ec2:DescribeSecurityGroups"),),
    ("ssm", "get_parameter"): (Permission("ssm:GetParameter", ("arn:{partition}:ssm:*::parameter/aws/service/*",)),),
    ("iam", "get_role"): (Permission("iam:GetRole", _ROLES),),
    ("iam", "get_instance_profile"): (
        Permission("iam:GetInstanceProfile", ("arn:{partition}:iam::*:instance-profile/*",)),
    ),
    ("iam", "create_instance_profile"): (
        Permission("iam:CreateInstanceProfile", _PROFILES),
        Permission("iam:TagInstanceProfile", _PROFILES),
    ),
    ("iam", "add_role_to_instance_profile"): (
        Permission("iam:AddRoleToInstanceProfile", _PROFILES),
        _PASS_ROLE,
    ),
    ("iam", "remove_role_from_instance_profile"): (Permission("iam:RemoveRoleFromInstanceProfile", _PROFILES),),
    ("iam", "delete_instance_profile"): (Permission("iam:DeleteInstanceProfile", _PROFILES),),
    # The cluster
    ("eks", "describe_cluster"): (Permission("eks:DescribeCluster", ("arn:{partition}:eks:*:*:cluster/{cluster}",)),),
    # Interruption notices
    ("sqs", "get_queue_url"): (Permission("sqs:GetQueueUrl", _QUEUES),),
    ("sqs", "receive_message"): (Permission("sqs:ReceiveMessage", _QUEUES),),
    ("sqs", "delete_message_batch"): (Permission("sqs:DeleteMessage", _QUEUES),),
    # Launch templates
    ("ec2", "create_launch_template"): (Permission("ec2:CreateLaunchTemplate", _TEMPLATES, _TO_BE_OURS),),
    ("ec2", "describe_launch_templates"): (Permission("ec2:DescribeLaunchTemplates"),),
    ("ec2", "delete_launch_template"): (Permission("ec2:DeleteLaunchTemplate", _TEMPLATES, _OURS),),
}


def iam_policy(cluster_name: str, *, partition: str = "aws") -> dict[str, Any]:
    """The policy that lets Stratos look after the machines of one cluster: what the table says, and nothing more."""
    grants: defaultdict[tuple[tuple[str, ...], tuple[Condition, ...]], set[str]] = defaultdict(set)
    for permission in _all_permissions():
        grants[permission.resources, permission.conditions].add(permission.action)
    statements = [
        _statement(actions, resources, conditions, cluster_name, partition)
        for (resources, conditions), actions in grants.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _all_permissions() -> Iterable[Permission]:
    return (permission for permissions in ACTIONS.values() for permission in permissions)


def _statement(
    actions: Iterable[str],
    resources: Iterable[str],
    conditions: Iterable[Condition],
    cluster_name: str,
    partition: str,
) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": [
            resource.replace("{partition}", partition).replace("{cluster}", cluster_name) for resource in resources
        ],
    }
    tests: dict[str, dict[str, list[str]]] = {}
    for operator, key, values in conditions:
        tests.setdefault(operator, {})[key] = [value.replace("{cluster}", cluster_name) for value in values]
    return {**statement, "Condition": tests} if tests else statement
