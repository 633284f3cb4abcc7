"""What EC2 is asked when a machine is launched, in the words of its API. Nothing here asks."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stratos.apis.labels import MANAGED_BY, TAG_CLUSTER, TAG_LAUNCH_TOKEN, TAG_MANAGED_BY
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.contract import CapacityType, Disk, LaunchRequest, OfferingKey, Subnet

_MOST_OVERRIDES = 300  # that EC2 takes in the call for a fleet


@dataclass(frozen=True, slots=True)
class Place:
    """A type in a subnet: what EC2 is asked for, where we think of a type in a zone."""

    instance_type: str
    subnet: Subnet

    def offering(self, capacity_type: CapacityType) -> OfferingKey:
        return OfferingKey(self.instance_type, self.subnet.zone, capacity_type)


Round = tuple[Place, ...]
"""The places that one call asks for a machine in."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request with what else there is to say of its machine."""

    request: LaunchRequest
    settings: AwsSettings
    user_data: str


def is_for_fleet(request: LaunchRequest) -> bool:
    """Whether EC2 shall choose: among spot offerings, or among several types."""
    return request.capacity_type is CapacityType.SPOT or len(request.instance_types) > 1


def rounds(request: LaunchRequest) -> tuple[Round, ...]:
    """Every type in every subnet, in the order of the request."""
    at_once = _MOST_OVERRIDES if is_for_fleet(request) else 1
    places = [
        tuple(Place(name, subnet) for name in request.instance_types for subnet in subnets)
        for subnets in _one_of_each_zone(request.subnets)
    ]
    return tuple(each[start : start + at_once] for each in places for start in range(0, len(each), at_once))


def _one_of_each_zone(subnets: Sequence[Subnet]) -> list[list[Subnet]]:
    """A fleet refuses two subnets of one zone: the second of each zone waits for the second round."""
    groups: list[list[Subnet]] = []
    met: defaultdict[str, int] = defaultdict(int)
    for subnet in subnets:
        number = met[subnet.zone]
        met[subnet.zone] += 1
        if number == len(groups):
            groups.append([])
        groups[number].append(subnet)
    return groups


def client_token(request: LaunchRequest, places: Round, attempt: str) -> str:
    """EC2 takes a token for one request word for word, also for one that it refused: so each has one of its own."""
    parts = (request.token, attempt, *(f"{place.instance_type}@{place.subnet.id}" for place in places))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()  # 64 letters, as many as EC2 takes


def tag_specification(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}


def run_instances(order: Order, place: Place, *, attempt: str) -> dict[str, Any]:
    """The parameters of RunInstances, for one machine."""
    return {
        **_description(order),
        **({"UserData": order.user_data} if order.user_data else {}),  # which the SDK puts into base64
        "InstanceType": place.instance_type,
        "SubnetId": place.subnet.id,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": client_token(order.request, (place,), attempt),
        "TagSpecifications": _tags(order.request, "instance", "volume", "network-interface"),
    }


def template_content(order: Order, cluster_name: str) -> dict[str, Any]:
    """The launch template of a fleet. What tells one machine from the next stays out, so that they share it."""
    tags = {TAG_MANAGED_BY: MANAGED_BY, TAG_CLUSTER: cluster_name}
    user_data = base64.b64encode(order.user_data.encode()).decode()
    return {
        **_description(order),
        **({"UserData": user_data} if user_data else {}),
        "TagSpecifications": [tag_specification("network-interface", tags)],  # the call for a fleet cannot say these
    }


def create_fleet(order: Order, places: Round, template: str, *, attempt: str) -> dict[str, Any]:
    """The parameters of CreateFleet, for one machine, at once or not at all."""
    request = order.request
    spot = request.capacity_type is CapacityType.SPOT
    options = {"AllocationStrategy": order.settings.allocation_strategy if spot else "prioritized"}
    return {
        "Type": "instant",
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": request.capacity_type},
        "SpotOptions" if spot else "OnDemandOptions": options,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "1"},
                "Overrides": [_override(request, place, number) for number, place in enumerate(places)],
            }
        ],
        "ClientToken": client_token(request, places, attempt),
        "TagSpecifications": _tags(request, "fleet", "instance", "volume"),
    }


def _description(order: Order) -> dict[str, Any]:
    """What both RunInstances and launch templates say of a machine, but for its user data."""
    request, settings = order.request, order.settings
    description: dict[str, Any] = {"ImageId": request.image}
    if request.instance_profile:
        by = "Arn" if request.instance_profile.startswith("arn:") else "Name"
        description["IamInstanceProfile"] = {by: request.instance_profile}
    if request.security_groups:
        description["SecurityGroupIds"] = [group.id for group in request.security_groups]
    if request.disks:
        description["BlockDeviceMappings"] = [_block_device(disk) for disk in request.disks]
    metadata = {
        "HttpTokens": settings.http_tokens,
        "HttpPutResponseHopLimit": settings.http_put_response_hop_limit,
        "HttpEndpoint": settings.http_endpoint,
    }
    if any(metadata.values()):
        description["MetadataOptions"] = {name: value for name, value in metadata.items() if value}
    if request.capacity_type is CapacityType.ON_DEMAND:
        # A machine that powers itself off once it is prepared shall stand by, whatever its image says.
        description["InstanceInitiatedShutdownBehavior"] = "stop"
        if settings.hibernation:
            description["HibernationOptions"] = {"Configured": True}
    return description


def _block_device(disk: Disk) -> dict[str, Any]:
    volume = {
        "VolumeSize": disk.size_gib,
        "VolumeType": disk.volume_type,
        "DeleteOnTermination": True,  # EC2 would keep all but the first
        "Encrypted": disk.encrypted or None,  # unsaid: as the account or the snapshot says
        "SnapshotId": disk.snapshot_id or None,
        "Iops": disk.iops,
        "Throughput": disk.throughput,
    }
    return {
        "DeviceName": disk.device_name,
        "Ebs": {name: value for name, value in volume.items() if value is not None},
    }


def _override(request: LaunchRequest, place: Place, number: int) -> dict[str, Any]:
    override: dict[str, Any] = {
        "InstanceType": place.instance_type,
        "SubnetId": place.subnet.id,
        "Priority": float(number),  # the lower, the sooner; strategies that go by price pass over it
    }
    if request.max_price_usd_per_hour is not None:
        override["MaxPrice"] = f"{request.max_price_usd_per_hour:f}"
    return override


def _tags(request: LaunchRequest, *kinds: str) -> list[dict[str, Any]]:
    tags = {**request.tags, TAG_LAUNCH_TOKEN: request.token}
    return [tag_specification(kind, tags) for kind in kinds]
