"""The subnets and the security groups of a class, by ids or by what they are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratos.apis.awsnodeclass import AWSNodeClassSpec, SecurityGroupSelector, SubnetSelector
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.node_class.not_found import in_words, nothing_matches, tag_filters
from stratos.providers.contract import SecurityGroup, Subnet


async def find_subnets(clients: AwsClients, spec: AWSNodeClassSpec) -> tuple[Subnet, ...]:
    """In the order of their ids in the class, or by zone. Raises `NotMatched`."""
    if spec.subnet_ids:
        found = await _by_ids(clients, "subnet", "describe_subnets", "Subnets", spec.subnet_ids)
        _require_all(spec.subnet_ids, found, "SubnetId", "subnet", clients.region)
        found.sort(key=lambda subnet: spec.subnet_ids.index(subnet["SubnetId"]) if spec.subnet_ids else 0)
    else:
        tags = (spec.subnet_selector or SubnetSelector()).tags
        if not tags:
            raise nothing_matches("spec.subnetSelector names no tags", hint="tag the subnets, and name the tags")
        found = await clients.pages("ec2", "describe_subnets", "Subnets", Filters=tag_filters(tags))
        if not found:
            hint = "tag subnets of the cluster so, or name others in spec.subnetSelector; the region must be theirs"
            raise nothing_matches(f"no subnet in {clients.region} has {in_words(tags)}", hint=hint)
        found.sort(key=lambda subnet: (subnet["AvailabilityZone"], subnet["SubnetId"]))
    return tuple(Subnet(subnet["SubnetId"], subnet["AvailabilityZone"]) for subnet in found)


async def find_security_groups(clients: AwsClients, spec: AWSNodeClassSpec) -> tuple[SecurityGroup, ...]:
    """By id. Raises `NotMatched`."""
    if spec.security_group_ids:
        found = await _by_ids(clients, "group", "describe_security_groups", "SecurityGroups", spec.security_group_ids)
        _require_all(spec.security_group_ids, found, "GroupId", "security group", clients.region)
    else:
        selector = spec.security_group_selector or SecurityGroupSelector()
        filters = tag_filters(selector.tags)
        if selector.name:
            filters.append({"Name": "group-name", "Values": [selector.name]})
        if not filters:
            hint = "tag the groups and name the tags, or name a group"
            raise nothing_matches("spec.securityGroupSelector says nothing to select by", hint=hint)
        found = await clients.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=filters)
        if not found:
            wanted = [f"name {selector.name}"] if selector.name else []
            wanted += [in_words(selector.tags)] if selector.tags else []
            hint = "check spec.securityGroupSelector, and that the groups are in this region"
            raise nothing_matches(f"no security group in {clients.region} has {' and '.join(wanted)}", hint=hint)
    found.sort(key=lambda group: str(group["GroupId"]))
    return tuple(SecurityGroup(group["GroupId"], group["GroupName"]) for group in found)


async def _by_ids(
    clients: AwsClients, what: str, operation: str, items: str, ids: Sequence[str]
) -> list[dict[str, Any]]:
    """As a filter: asked for ids outright, EC2 refuses the whole question for one that it does not know."""
    return await clients.pages("ec2", operation, items, Filters=[{"Name": f"{what}-id", "Values": list(ids)}])


def _require_all(ids: Sequence[str], found: Sequence[dict[str, Any]], key: str, what: str, region: str) -> None:
    missing = sorted(set(ids) - {item[key] for item in found})
    if missing:
        raise nothing_matches(
            f"there is no {what} {' or '.join(missing)} in {region}", hint="check the ids of the class"
        )
