"""A node class is only as good as what its selectors find; when they find nothing, the reason must be plain."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from stratos.apis.awsnodeclass import AWSNodeClass
from stratos.apis.meta import KubeObject, ObjectMeta
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.simnodeclass import SimNodeClass, SimNodeClassSpec
from stratos.base.errors import Invalid, NotReady
from stratos.catalog.catalog import load_catalog
from stratos.providers.contract import (
    Bootstrap,
    CapacityType,
    FailureReason,
    NodeClassPart,
    PartFailure,
    ResolvedNodeClass,
    Subnet,
)
from stratos.providers.simulated.account import Account, MachineImage, default_account
from stratos.providers.simulated.cloud import SimulatedCloud
from stratos.testing.virtual_time import VirtualClock, run

CATALOG = load_catalog("aws", "us-east-1")
EXAMPLES = Path(__file__).parents[2] / "examples"


def resolve(node_class: KubeObject, account: Account | None = None) -> ResolvedNodeClass:
    cloud = SimulatedCloud(CATALOG, clock=VirtualClock(), rng=random.Random(1), account=account, cluster_name="prod")
    return run(cloud.resolve(node_class))


def an_aws_class(**spec: Any) -> AWSNodeClass:
    usual: dict[str, Any] = {
        "bootstrapTemplate": "AL2023",
        "instanceType": "m5.large",
        "subnetSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
        "securityGroupSelector": {"tags": {"stratos.sh/discovery": "my-cluster"}},
        "role": "node-role",
    }
    merged = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    return msgspec.convert({"metadata": {"name": "workers"}, "spec": merged}, AWSNodeClass)


def an_image(name: str, day: int, **fields: Any) -> MachineImage:
    image = MachineImage(f"ami-{name}", name, "111122223333", "amd64", datetime(2026, 1, day, tzinfo=UTC))
    return replace(image, **fields)


def seed_classes() -> list[Mapping[str, Any]]:
    documents = [doc for file in sorted(EXAMPLES.glob("*/pool.yaml")) for doc in yaml.safe_load_all(file.read_text())]
    return [doc for doc in documents if doc and doc["kind"] == "AWSNodeClass"]


@pytest.mark.parametrize("manifest", seed_classes(), ids=lambda manifest: manifest["metadata"]["name"])
def test_the_classes_of_the_examples_are_ready_at_once(manifest: Mapping[str, Any]) -> None:
    resolved = resolve(msgspec.convert(manifest, AWSNodeClass))

    assert resolved.ready, resolved.failures
    assert len(resolved.subnets) == 6
    assert [group.name for group in resolved.security_groups] == ["my-cluster-nodes", "my-cluster-cluster"]
    assert resolved.instance_profile == f"stratos-prod-{manifest['metadata']['name']}"


def test_a40_the_newest_image_that_matches_wins() -> None:
    account = default_account(CATALOG)
    account.images += [
        an_image("old", 1, tags={"team": "ml"}),
        an_image("new", 3, tags={"team": "ml"}),
        an_image("newest-of-others", 4, tags={"team": "web"}),
        an_image("newest-for-arm", 5, tags={"team": "ml"}, arch="arm64"),
        an_image("newest-of-a-stranger", 6, tags={"team": "ml"}, owner="999"),
    ]

    chosen = resolve(an_aws_class(amiSelector={"tags": {"team": "ml"}, "owner": "self"}), account)

    assert chosen.image == "ami-new"


def test_image_names_match_by_wildcard() -> None:
    gpu = resolve(an_aws_class(amiSelector={"name": "amazon-eks-gpu-node-*", "owner": "amazon"}))

    assert gpu.image == "ami-gpu20251217"


NO_MATCH = FailureReason.NO_MATCHING_RESOURCES


@pytest.mark.parametrize(
    ("spec", "part", "reason", "named"),
    [
        ({"amiSelector": {"name": "windows-*"}}, NodeClassPart.IMAGE, NO_MATCH, "windows-*"),
        ({"ami": "ami-0123"}, NodeClassPart.IMAGE, FailureReason.INVALID_IMAGE, "ami-0123"),
        ({"architecture": "arm64"}, NodeClassPart.IMAGE, FailureReason.RESOLUTION_FAILED, "amd64"),
        ({"subnetSelector": {"tags": {"a": "b"}}}, NodeClassPart.SUBNETS, NO_MATCH, "{'a': 'b'}"),
        ({"subnetSelector": None, "subnetIds": ["subnet-x"]}, NodeClassPart.SUBNETS, NO_MATCH, "subnet-x"),
        ({"securityGroupSelector": {"name": "none"}}, NodeClassPart.SECURITY_GROUPS, NO_MATCH, "none"),
        ({"role": "absent"}, NodeClassPart.INSTANCE_PROFILE, FailureReason.ROLE_NOT_FOUND, "absent"),
        ({"role": None, "iamInstanceProfile": "absent"}, NodeClassPart.INSTANCE_PROFILE, NO_MATCH, "absent"),
    ],
)
def test_a40_each_part_fails_alone_and_says_why(
    spec: Mapping[str, Any], part: NodeClassPart, reason: FailureReason, named: str
) -> None:
    account = default_account(CATALOG)
    account.missing_roles.add("absent")
    account.missing_profiles.add("absent")

    resolved = resolve(an_aws_class(**spec), account)

    assert [(failure.part, failure.reason) for failure in resolved.failures] == [(part, reason)]
    assert named in resolved.failures[0].message


def test_an_unknown_instance_type_names_the_field() -> None:
    with pytest.raises(Invalid) as caught:
        resolve(an_aws_class(spotConfig={"instanceTypes": ["m5.large", "m5.larj"]}))

    assert caught.value.problems[0].field == "spec.spotConfig.instanceTypes[1]"


def test_a_price_limit_that_is_no_price_names_the_field() -> None:
    with pytest.raises(Invalid) as caught:
        resolve(an_aws_class(spotConfig={"instanceTypes": ["m5.large"], "maxPrice": "cheap"}))

    assert caught.value.problems[0].field == "spec.spotConfig.maxPrice"


def test_a_simulated_class_needs_only_a_type() -> None:
    resolved = resolve(SimNodeClass(spec=SimNodeClassSpec(instance_type="m7g.large", zones=("us-east-1c",))))

    assert resolved.ready
    assert resolved.subnets == (Subnet("subnet-us-east-1c", "us-east-1c"),)
    assert "arm64" in resolved.image


def test_a_zone_that_is_not_there_is_answered_with_those_that_are() -> None:
    resolved = resolve(SimNodeClass(spec=SimNodeClassSpec(instance_type="m5.large", zones=("eu-west-1a",))))

    failure = resolved.failure(NodeClassPart.SUBNETS)
    assert failure is not None and "eu-west-1a" in failure.message and "us-east-1a" in failure.message


def test_other_kinds_do_not_run_here() -> None:
    with pytest.raises(Invalid, match="NodePool"):
        resolve(KubeObject(kind=NODE_POOL.kind, metadata=ObjectMeta(name="pool")))


def test_launches_rotate_through_the_subnets_of_a_class() -> None:
    resolved = resolve(an_aws_class())

    firsts = [
        resolved.launch_request(token=str(turn), bootstrap=Bootstrap("prod"), first_subnet=turn).subnets[0].zone
        for turn in range(7)
    ]

    assert len(set(firsts)) == 6 and firsts[0] == firsts[6]


def test_a_launch_adds_what_the_caller_says_to_what_the_class_says() -> None:
    resolved = resolve(
        an_aws_class(
            tags={"team": "ml", "env": "prod"},
            kubelet={"maxPods": 20, "nodeLabels": {"disk": "fast"}},
            customUserData="sleep 1",
            spotConfig={"instanceTypes": ["m5.large", "m5a.large"], "maxPrice": "0.05"},
        )
    )
    bootstrap = Bootstrap("prod", node_labels={"pool": "ci"}, extra_script="sleep 2")

    request = resolved.launch_request(
        token="t", bootstrap=bootstrap, capacity_type=CapacityType.SPOT, tags={"env": "test"}
    )

    assert request.tags == {"team": "ml", "env": "test"}
    assert request.bootstrap.node_labels == {"disk": "fast", "pool": "ci"}
    assert (request.bootstrap.max_pods, request.bootstrap.extra_script) == (20, "sleep 1\nsleep 2")
    assert (request.instance_types, request.max_price_usd_per_hour) == (("m5.large", "m5a.large"), 0.05)


def test_a_class_that_is_not_ready_launches_nothing() -> None:
    failure = PartFailure(NodeClassPart.SUBNETS, NO_MATCH, "no subnet with tags {}")
    resolved = ResolvedNodeClass(instance_type="m5.large", failures=(failure,))

    with pytest.raises(NotReady) as caught:
        resolved.launch_request(token="t", bootstrap=Bootstrap("prod"))

    assert "no subnet with tags {}" in caught.value.explain()
