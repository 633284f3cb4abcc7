"""The founding manifests are accepted unchanged; the rules they live by are enforced where they are handed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bad_input.furnished_api import AWS_CLASSES, POOLS, FurnishedApi, Obj, a_pool, an_aws_class, furnished_api
from stratos.base.manifest_yaml import load_all_yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
COLLECTIONS = {"NodePool": POOLS, "AWSNodeClass": AWS_CLASSES}

# What a manifest that leaves it out is given, within the blocks that it has.
POOL_DEFAULTS: Obj = {
    "reconciliationInterval": "30s",
    "template": {"networkReadinessStrategy": "Taint", "startupTaintRemoval": "WhenNetworkReady"},
    "preWarm": {"timeout": "10m", "timeoutAction": "stop", "imagePullPolicy": "Required"},
    "scaleDown": {"enabled": True, "emptyNodeTTL": "5m", "drainTimeout": "5m", "forceAfterTimeout": True},
    "spotReplacement": {"replacementDelay": "2m"},
}
CLASS_DEFAULTS: Obj = {
    "architecture": "x86_64",
    "hibernation": False,
    "userDataType": "Raw",
    "spotConfig": {"allocationStrategy": "price-capacity-optimized"},
}


@pytest.fixture
def api() -> Iterator[FurnishedApi]:
    with furnished_api() as furnished:
        yield furnished


def founding_manifests() -> list[Obj]:
    documents = [doc for file in sorted(EXAMPLES.glob("*/*.yaml")) for doc in load_all_yaml(file.read_text())]
    return [doc for doc in documents if isinstance(doc, dict) and doc["kind"] in COLLECTIONS]


def with_defaults(given: Any, defaults: Any) -> Any:
    """``defaults`` under what is given; a block that is not given is not filled in."""
    if not isinstance(given, dict) or not isinstance(defaults, dict):
        return given
    filled = {key: with_defaults(value, defaults.get(key)) for key, value in given.items()}
    return {key: value for key, value in defaults.items() if not isinstance(value, dict)} | filled


def test_a01_the_founding_manifests_apply_unchanged_and_read_back_with_defaults(api: FurnishedApi) -> None:
    """Four pools and four classes, as they were written before there was a line of code."""
    manifests = founding_manifests()
    assert sorted(doc["kind"] for doc in manifests) == ["AWSNodeClass"] * 4 + ["NodePool"] * 4

    for given in manifests:
        path = f"{COLLECTIONS[given['kind']]}/{given['metadata']['name']}"
        patch = {"content_type": "application/apply-patch+yaml", "fieldManager": "test", "fieldValidation": "Strict"}
        applied = api.call("PATCH", path, body=given, **patch)
        assert applied.code == 201, applied.body
        assert applied.warnings == []

        stored = api.call("GET", path).obj
        defaults = POOL_DEFAULTS if given["kind"] == "NodePool" else CLASS_DEFAULTS
        assert stored["spec"] == with_defaults(given["spec"], defaults)
        assert (stored["kind"], stored["metadata"]["generation"]) == (given["kind"], 1)


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"poolSize": 0, "minStandby": 0}, "spec.poolSize in body should be greater than or equal to 1"),
        ({"poolSize": 1001}, "spec.poolSize in body should be less than or equal to 1000"),
        ({"poolSize": 5, "minStandby": 6}, "minStandby must not be above poolSize"),
        ({"poolSize": 5, "minStandby": -1}, "spec.minStandby in body should be greater than or equal to 0"),
        ({"poolSize": 1, "minStandby": 0}, None),
        ({"poolSize": 1000, "minStandby": 1000}, None),
    ],
)
def test_a02_the_sizes_of_a_pool_are_judged_when_it_is_handed_in(
    api: FurnishedApi, spec: Obj, refused: str | None
) -> None:
    """Later would be too late: nobody looks at a pool that was accepted."""
    reply = api.call("POST", POOLS, body=a_pool(**spec))

    if refused is None:
        assert reply.code == 201
    else:
        assert reply.code == 422
        assert refused in reply.obj["message"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subnetIds": ["subnet-1"]}, {"subnetSelector": {"tags": {"a": "b"}}}),
        ({"securityGroupIds": ["sg-1"]}, {"securityGroupSelector": {"name": "nodes"}}),
        ({"iamInstanceProfile": "profile"}, {"role": "node-role"}),
    ],
)
def test_a03_of_each_pair_exactly_one_is_given(api: FurnishedApi, one: Obj, other: Obj) -> None:
    """None leaves the cloud to guess, both leave us to."""
    (first,), (second,) = one, other
    neither = {first: None, second: None}
    rule = f"exactly one of {first} and {second} is needed"

    for spec in (neither, one | other):
        reply = api.call("POST", AWS_CLASSES, body=an_aws_class(**{**neither, **spec}))
        assert (reply.code, reply.obj["reason"]) == (422, "Invalid")
        assert rule in reply.obj["message"]
    for number, spec in enumerate((one, other)):
        assert api.call("POST", AWS_CLASSES, body=an_aws_class(f"new-{number}", **{**neither, **spec})).code == 201
