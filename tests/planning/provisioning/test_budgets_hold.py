"""Limits hold where machines are launched, whoever asked for them and whatever each had seen."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.meta import Condition, ObjectMeta
from stratos.apis.nodeclaim import ClaimCondition, NodeClaim, NodeClaimSpec, Wanted
from stratos.apis.nodepool import NodeClassRef
from stratos.planning.provisioning.admission import over_limit
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.testing.provisioning_builders import NOW, a_gpu, a_shop, a_template, a_type, refused

SOLD = {"m5.large": 0.1, "m5.4xlarge": 0.8, "g4dn.xlarge": 0.5, "g4dn.12xlarge": 4.0}
GPUS = {"g4dn.xlarge": 1, "g4dn.12xlarge": 4}
SHOP = a_shop(
    (a_type("m5.large", 2, 8), SOLD["m5.large"]),
    (a_type("m5.4xlarge", 16, 64), SOLD["m5.4xlarge"]),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), SOLD["g4dn.xlarge"]),
    (a_type("g4dn.12xlarge", 48, 192, gpu=a_gpu("T4", 4)), SOLD["g4dn.12xlarge"]),
)
FREE = ClusterLimits()


def a_claim(number: int, instance_type: str = "m5.large", *, template: str = "one", seconds: int = 0) -> NodeClaim:
    return NodeClaim(
        metadata=ObjectMeta(
            name=f"claim-{number}", uid=f"uid-{number:03}", creation_timestamp=NOW + timedelta(seconds=seconds)
        ),
        spec=NodeClaimSpec(
            node_class_ref=NodeClassRef(kind="SimNodeClass", name="small"),
            wanted=Wanted.RUNNING,
            template=template,
            instance_type=instance_type,
            price_usd_per_hour=SOLD[instance_type],
        ),
    )


def cost(claims: list[NodeClaim], template: str = "") -> float:
    return sum(SOLD[each.spec.instance_type] for each in claims if template in ("", each.spec.template))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1_000_000))
def test_whatever_fifty_plans_ask_for_and_whoever_sees_what_no_limit_is_ever_exceeded(seed: int) -> None:
    """Each claim is judged by somebody who may have missed any of the others, but not what was let go ahead."""
    random = Random(seed)
    budget, cluster_budget, gpus = random.choice([0.3, 1.0, 5.0]), random.choice([0.9, 6.0]), random.choice([1, 5])
    templates = (a_template("one", limits={"costUSDPerHour": budget}), a_template("two"))
    limits = ClusterLimits(cost_usd_per_hour=cluster_budget, gpus=gpus)
    claims = [
        a_claim(
            number, random.choice(sorted(SOLD)), template=random.choice(["one", "two"]), seconds=random.randrange(3)
        )
        for number in range(50)
    ]
    begun: list[NodeClaim] = []
    for claim in random.sample(claims, len(claims)):
        others = [each for each in claims if each is not claim and (each in begun or random.random() < 0.5)]
        names = {each.metadata.name for each in begun}

        if not over_limit(claim, [claim, *others], templates, SHOP, limits=limits, begun=names):
            begun.append(claim)

        assert cost(begun, "one") <= budget + 1e-9
        assert cost(begun) <= cluster_budget + 1e-9
        assert sum(GPUS.get(each.spec.instance_type, 0) for each in begun) <= gpus
    assert begun


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_000_000))
def test_who_goes_ahead_is_the_same_in_whatever_order_claims_are_judged(seed: int) -> None:
    """First come, first served: which worker is quicker decides nothing."""
    random = Random(seed)
    templates = (a_template("one", limits={"costUSDPerHour": 2.0}),)
    claims = [a_claim(number, random.choice(sorted(SOLD)), seconds=random.randrange(3)) for number in range(20)]

    def launched(order: list[NodeClaim]) -> set[str]:
        begun = set[str]()
        for claim in order:
            if not over_limit(claim, order, templates, SHOP, limits=FREE, begun=begun):
                begun.add(claim.metadata.name)
        return begun

    assert launched(claims) == launched(random.sample(claims, len(claims)))


def test_a_claim_that_is_too_much_by_itself_holds_nobody_up() -> None:
    """It will be let go; the budget is there for those behind it."""
    templates = (a_template("one", limits={"costUSDPerHour": 0.5}),)
    claims = [a_claim(1, "g4dn.12xlarge"), a_claim(2, seconds=1)]

    assert "costUSDPerHour of template one is $0.5000/h" in over_limit(claims[0], claims, templates, SHOP, limits=FREE)
    assert over_limit(claims[1], claims, templates, SHOP, limits=FREE) == ""


def test_claims_that_were_refused_by_the_cloud_take_nothing_of_the_budget() -> None:
    """No machine came of them, and another offering is tried for their pods."""
    templates = (a_template("one", limits={"nodes": 1}),)
    claims = [refused(a_claim(1)), a_claim(2, seconds=1)]

    assert over_limit(claims[1], claims, templates, SHOP, limits=FREE) == ""


@pytest.mark.parametrize("limits", [FREE, ClusterLimits(gpus=1)])
def test_a_launch_that_has_begun_is_not_judged_again(limits: ClusterLimits) -> None:
    """Its answer may have been lost, and the machine be there: only asking again finds out."""
    templates = (a_template("one", limits={"nodes": 1}),)
    claims = [a_claim(1), a_claim(2, seconds=1)]

    assert over_limit(claims[1], claims, templates, SHOP, limits=limits, begun={"claim-2"}) == ""
    assert over_limit(claims[0], claims, templates, SHOP, limits=limits, begun={"claim-2"}) != ""


def test_a_launch_that_was_noted_counts_after_a_crash() -> None:
    """Whoever comes next knows nothing but the ledger, and the machine may be there."""
    templates = (a_template("one", limits={"nodes": 1}),)
    noted = Condition(type=ClaimCondition.LAUNCHED, status="Unknown", reason="Launching")
    second = a_claim(2, seconds=1)
    asked_for = msgspec.structs.replace(second, status=msgspec.structs.replace(second.status, conditions=(noted,)))

    assert over_limit(a_claim(1), [a_claim(1), asked_for], templates, SHOP, limits=FREE) != ""
    assert over_limit(asked_for, [a_claim(1), asked_for], templates, SHOP, limits=FREE) == ""
