"""What a launch says to EC2: nothing that a class asks for may get lost between the two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from stratos.providers.aws.requests import Order, client_token, create_fleet, rounds, run_instances, template_content
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.contract import Bootstrap, CapacityType, Disk, LaunchRequest, SecurityGroup, Subnet

SUBNETS = (Subnet("subnet-a", "us-east-1a"), Subnet("subnet-b", "us-east-1b"), Subnet("subnet-c", "us-east-1c"))

MANY_TYPES = [f"m{number}.large" for number in range(90)]


def a_request(**fields: Any) -> LaunchRequest:
    usual: dict[str, Any] = {
        "token": "claim-1",
        "instance_types": ("m5.large",),
        "subnets": SUBNETS,
        "image": "ami-1",
        "bootstrap": Bootstrap(cluster_name="prod"),
    }
    return LaunchRequest(**usual | fields)


def an_order(request: LaunchRequest, *, user_data: str = "", **settings: Any) -> Order:
    return Order(request, AwsSettings(**settings), user_data)


def run_said(request: LaunchRequest, **settings: Any) -> dict[str, Any]:
    """The call that asks for a machine in the first of its places."""
    return run_instances(an_order(request, **settings), rounds(request)[0][0], attempt="")


def test_b47_a_launch_carries_the_subnet_the_groups_the_profile_and_the_image() -> None:
    """Whoever names them knows the network: a machine elsewhere would not reach the cluster."""
    request = a_request(
        security_groups=(SecurityGroup("sg-1", "nodes"), SecurityGroup("sg-2", "cluster")),
        instance_profile="node-profile",
    )

    said = run_said(request)

    assert said["SubnetId"] == "subnet-a"
    assert said["SecurityGroupIds"] == ["sg-1", "sg-2"]
    assert said["IamInstanceProfile"] == {"Name": "node-profile"}
    assert said["ImageId"] == "ami-1"


def test_b47_a_fleets_template_carries_the_same() -> None:
    """Spot machines are asked for in another way, and are to be the same machines."""
    request = a_request(
        capacity_type=CapacityType.SPOT,
        security_groups=(SecurityGroup("sg-1", "nodes"),),
        instance_profile="arn:aws:iam::1:instance-profile/nodes",
    )

    said = template_content(an_order(request, user_data="#!/bin/sh"), "prod")

    assert said["SecurityGroupIds"] == ["sg-1"]
    assert said["IamInstanceProfile"] == {"Arn": "arn:aws:iam::1:instance-profile/nodes"}
    assert (said["ImageId"], said["UserData"]) == ("ami-1", "IyEvYmluL3No")


def test_b48_disks_are_passed_on_with_their_sizes_and_end_with_their_machine() -> None:
    """A disk that outlives its machine is paid for until somebody finds it."""
    request = a_request(
        disks=(
            Disk("/dev/xvda", 80, encrypted=True, iops=6000, throughput=250),
            Disk("/dev/xvdb", 400, "io2", snapshot_id="snap-1"),
        )
    )

    devices = run_said(request)["BlockDeviceMappings"]

    first = {"VolumeSize": 80, "VolumeType": "gp3", "Encrypted": True, "Iops": 6000, "Throughput": 250}
    second = {"VolumeSize": 400, "VolumeType": "io2", "SnapshotId": "snap-1"}
    assert devices == [
        {"DeviceName": "/dev/xvda", "Ebs": first | {"DeleteOnTermination": True}},
        {"DeviceName": "/dev/xvdb", "Ebs": second | {"DeleteOnTermination": True}},
    ]


def test_a34_a_fleet_is_given_every_type_in_every_subnet() -> None:
    """The more offerings EC2 may choose from, the likelier one is to be had, and to last."""
    types = ("m5.large", "m5a.large", "m6i.large")
    request = a_request(capacity_type=CapacityType.SPOT, instance_types=types, max_price_usd_per_hour=0.05)

    said = create_fleet(an_order(request), rounds(request)[0], "template", attempt="")

    overrides = said["LaunchTemplateConfigs"][0]["Overrides"]
    pairs = {(each["InstanceType"], each["SubnetId"]) for each in overrides}
    assert pairs == {(name, subnet.id) for name in types for subnet in SUBNETS}
    assert {each["MaxPrice"] for each in overrides} == {"0.050000"}
    assert said["SpotOptions"] == {"AllocationStrategy": "price-capacity-optimized"}
    assert (said["Type"], said["TargetCapacitySpecification"]["TotalTargetCapacity"]) == ("instant", 1)


def test_a34_the_second_subnet_of_a_zone_is_asked_in_a_second_round() -> None:
    """EC2 refuses a fleet with two subnets of one zone, and the first may be out of addresses."""
    second = Subnet("subnet-a2", "us-east-1a")
    request = a_request(capacity_type=CapacityType.SPOT, subnets=(*SUBNETS, second))

    first_round, second_round = rounds(request)

    assert [place.subnet for place in first_round] == list(SUBNETS)
    assert [place.subnet for place in second_round] == [second]


@example(types=MANY_TYPES, zones=list("abcdef"), capacity_type=CapacityType.SPOT)
@given(
    types=st.lists(st.sampled_from(MANY_TYPES), min_size=1, unique=True),
    zones=st.lists(st.sampled_from("abcdef"), max_size=12),
    capacity_type=st.sampled_from(CapacityType),
)
def test_a34_every_type_in_every_subnet_is_asked_for_once_in_calls_that_ec2_takes(
    types: list[str], zones: list[str], capacity_type: CapacityType
) -> None:
    """EC2 takes 300 places in a call for a fleet, and one subnet of each zone; what is left out is never had."""
    subnets = tuple(Subnet(f"subnet-{number}", f"us-east-1{zone}") for number, zone in enumerate(zones))

    asked = rounds(a_request(capacity_type=capacity_type, instance_types=tuple(types), subnets=subnets))

    places = [(place.instance_type, place.subnet) for places in asked for place in places]
    assert sorted(places, key=str) == sorted(((name, subnet) for name in types for subnet in subnets), key=str)
    for each in asked:
        offerings = [place.offering(capacity_type) for place in each]
        assert 0 < len(offerings) <= 300
        assert len(set(offerings)) == len(offerings)


def test_one_on_demand_type_is_asked_for_in_one_subnet_after_another() -> None:
    assert [[place.subnet.id for place in places] for places in rounds(a_request())] == [
        ["subnet-a"],
        ["subnet-b"],
        ["subnet-c"],
    ]


def test_several_on_demand_types_are_wanted_in_their_order() -> None:
    """Whoever lists types puts the cheapest, or the fittest, first."""
    request = a_request(instance_types=("m5.large", "m5.xlarge"))

    said = create_fleet(an_order(request), rounds(request)[0], "template", attempt="")

    overrides = said["LaunchTemplateConfigs"][0]["Overrides"]
    assert said["OnDemandOptions"] == {"AllocationStrategy": "prioritized"}
    assert [each["InstanceType"] for each in sorted(overrides, key=lambda each: float(each["Priority"]))] == [
        *["m5.large"] * 3,
        *["m5.xlarge"] * 3,
    ]


def test_a_client_token_stands_for_one_request_alone() -> None:
    """EC2 answers a token that it knows with what it said before, or refuses it when anything else has changed."""
    request = a_request()
    here, there = (places for places in rounds(request)[:2])

    tokens = {
        client_token(request, here, ""),
        client_token(request, there, ""),
        client_token(request, here, "2026-01-01"),
        client_token(replace(request, token="claim-2"), here, ""),
    }

    assert len(tokens) == 4
    assert client_token(request, here, "") == client_token(replace(request, image="ami-2"), here, "")
    assert {len(token) for token in tokens} == {64}


def test_launches_alike_share_a_template() -> None:
    """What tells machines apart is said with each call: templates are not to pile up."""
    one = a_request(capacity_type=CapacityType.SPOT, tags={"stratos.sh/claim": "one"})
    other = replace(one, token="claim-2", tags={"stratos.sh/claim": "other"})

    contents = [template_content(an_order(each), "prod") for each in (one, other)]

    assert contents[0] == contents[1]


def test_tags_are_set_by_the_launch_itself_and_say_its_token() -> None:
    """A machine without tags, for the length of a crash, would belong to nobody."""
    request = a_request(tags={"stratos.sh/claim": "one"})

    said = run_said(request)

    (instance,) = (each for each in said["TagSpecifications"] if each["ResourceType"] == "instance")
    assert instance["Tags"] == [
        {"Key": "stratos.sh/claim", "Value": "one"},
        {"Key": "stratos.sh/launch-token", "Value": "claim-1"},
    ]


def test_a_class_that_hibernates_says_so_at_launch_and_spot_machines_cannot() -> None:
    """EC2 allows it only to machines that were launched for it."""
    on_demand, spot = a_request(), a_request(capacity_type=CapacityType.SPOT)

    assert run_said(on_demand, hibernation=True)["HibernationOptions"] == {"Configured": True}
    assert "HibernationOptions" not in template_content(an_order(spot, hibernation=True), "prod")


def test_metadata_options_are_said_as_far_as_the_class_says_them() -> None:
    said = run_said(a_request(), http_tokens="required", http_put_response_hop_limit=2)

    assert said["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    assert "MetadataOptions" not in run_said(a_request())
