"""Offerings that fail: what is tried next, and when again."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec

from planning.provisioning.plans import everybodys, plan_of, remembering, selected, types_of
from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodetemplate import BackedOff, NodeTemplate
from stratos.apis.pod import Pod
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.back_off import MANY_OFFERINGS
from stratos.snapshot.provisioning import Told
from stratos.testing.provisioning_builders import NOW, a_gpu, a_look, a_shop, a_type, claims_for, refused


def test_b16_an_offering_that_failed_is_left_alone_and_the_next_is_tried() -> None:
    """By type, zone and terms: the same type in the next zone, or as spot, is another matter."""
    template = everybodys(strategy="thresholds", constraints={"spot": True, "onDemand": True})
    pod = selected("p")
    offers, claims, kept, at = list[tuple[str, str]](), list[NodeClaim](), template, NOW
    for _ in range(4):
        plan = plan_of(kept, waiting=[pod], claims=claims, at=at)
        (new,) = plan.machines
        offers.append((new.candidate.offering.zone, new.candidate.offering.capacity_type.value))
        claims = [refused(claim, at=at) for claim in claims_for(plan)]
        kept = remembering(kept, plan)
        at += timedelta(seconds=30)

    assert offers == [("r-a", "spot"), ("r-b", "spot"), ("r-a", "spot"), ("r-b", "spot")]


def test_b16_the_same_type_under_other_terms_is_still_tried() -> None:
    """A shortage of spot says nothing about on-demand."""
    one_type = {"spot": True, "onDemand": True, "instanceFamilies": {"include": ["c6a"]}, "azs": ["r-a"]}
    template = everybodys(constraints=one_type)
    first = plan_of(template, waiting=[selected("p")])
    then = plan_of(template, waiting=[selected("p")], claims=[refused(each) for each in claims_for(first)])

    assert [new.candidate.offering.capacity_type.value for new in (*first.machines, *then.machines)] == [
        "spot",
        "on-demand",
    ]
    assert then.failed_claims == ("default-1",)
    (held,) = then.backed_off["default"]
    assert (held.instance_type, held.zone, held.capacity_type) == ("c6a.xlarge", "r-a", "spot")
    assert held.until == NOW + timedelta(minutes=10)


def test_b16_a_quota_holds_in_all_zones() -> None:
    """Asking next door for what the account may not have is a wasted round."""
    template = everybodys(constraints={"instanceFamilies": {"include": ["c6a"]}})
    claims = [refused(each, "QuotaExceeded") for each in claims_for(plan_of(template, waiting=[selected("p")]))]
    plan = plan_of(template, waiting=[selected("p")], claims=claims)

    assert plan.machines == ()
    assert plan.backed_off["default"][0].zone == ""


def test_b17_a_claim_that_does_not_join_in_time_is_given_up_for_the_next_candidate() -> None:
    """Some clouds keep a request for forty minutes and then fail it."""
    template = everybodys(scaleUpTimeout="10m", constraints={"azs": ["r-a"]}, strategy="thresholds")
    claims = claims_for(plan_of(template, waiting=[selected("p")]))

    before = plan_of(template, waiting=[selected("p")], claims=claims, at=NOW + timedelta(minutes=9))
    assert (before.machines, before.failed_claims) == ((), ())
    assert before.look_again_at == NOW + timedelta(minutes=10)
    after = plan_of(template, waiting=[selected("p")], claims=claims, at=NOW + timedelta(minutes=10))
    assert after.failed_claims == ("default-1",)
    assert types_of(after) == ["m6a.xlarge"]


def test_b18_when_all_fail_rounds_go_on_without_a_busy_loop() -> None:
    """Capacity comes back; until it does, nobody is to ask the cloud all the time."""
    template = everybodys(constraints={"instanceFamilies": {"include": ["c6a"]}, "azs": ["r-a"]})
    at, asked, claims = NOW, [], list[NodeClaim]()
    for _ in range(9):
        plan = plan_of(template, waiting=[selected("p")], claims=claims, at=at)
        if plan.machines:
            asked.append(at)
        claims = [refused(claim, at=at) for claim in claims_for(plan, at=at)]
        template = remembering(template, plan)
        if not claims:
            assert plan.look_again_at is not None
            assert plan.look_again_at > at
            at = plan.look_again_at

    waits = [int((later - earlier).total_seconds() / 60) for earlier, later in pairwise(asked)]
    assert waits == [10, 20, 40, 80]


def test_after_a_back_off_one_machine_is_tried_before_many() -> None:
    """A hundred pods would otherwise send a hundred requests into the same shortage."""
    constraints = {"instanceFamilies": {"include": ["c6a"]}, "azs": ["r-a"]}
    template = everybodys(constraints=constraints)
    pods = [selected(f"p{n}") for n in range(3)]
    first = plan_of(template, waiting=pods)
    failed = plan_of(template, waiting=pods, claims=[refused(each) for each in claims_for(first)])
    template = remembering(template, failed)
    later = NOW + timedelta(minutes=11)

    probe = plan_of(template, waiting=pods, at=later)
    assert len(probe.machines) == 1
    waiting = plan_of(template, waiting=pods, claims=claims_for(probe, at=later), at=later)
    assert waiting.machines == ()
    (claim,) = claims_for(probe, at=later)
    launched = msgspec.structs.replace(claim, status=msgspec.structs.replace(claim.status, launched_at=later))
    assert len(plan_of(template, waiting=pods, claims=[launched], at=later).machines) == 2


def test_b19_one_warning_for_each_pod_and_round() -> None:
    """Others watch for it; a flood of them would hide the one that counts."""
    template = everybodys(constraints={"azs": ["r-a"]})
    pods = [selected(f"p{n}", gpus=1) for n in range(2)]
    claims = [refused(each) for each in claims_for(plan_of(template, waiting=pods))]
    plan = plan_of(template, waiting=pods, claims=claims)

    assert [(event.pod, event.reason, event.warning) for event in plan.events] == [
        ("default/p0", "NodeAddRequestWarning", True),
        ("default/p1", "NodeAddRequestWarning", True),
    ]
    told = tuple(Told(event.pod, event.reason, event.message, NOW) for event in plan.events)
    assert plan_of(template, waiting=pods, claims=claims, told=told).events == ()


def test_b53_the_next_gpu_of_the_list_is_taken_while_the_first_is_sold_out() -> None:
    """The list is the user's: they said that the others are as good."""
    template = everybodys(strategy="thresholds", constraints={"azs": ["r-a"]})
    pod = selected(
        "p", gpus=1, annotations={"node.elotl.co/instance-gpu-skus": "T4,L4", "stratos.sh/instance-max-gpus": "1"}
    )
    first = plan_of(template, waiting=[pod])
    then = plan_of(template, waiting=[pod], claims=[refused(each) for each in claims_for(first)])

    assert (types_of(first), types_of(then)) == (["g4dn.xlarge"], ["g6.xlarge"])


def test_d08_with_all_spot_gone_on_demand_stands_in_and_is_labelled_so() -> None:
    """Work goes on; and the label tells what is to be given back when spot returns."""
    constraints = {"spot": True, "useSpotFallbacks": True, "instanceFamilies": {"include": ["c6a"]}}
    template = everybodys(constraints=constraints)
    at, claims = NOW, list[NodeClaim]()
    for _ in range(2):
        plan = plan_of(template, waiting=[selected("p")], claims=claims, at=at)
        assert plan.machines[0].candidate.offering.capacity_type == "spot"
        claims = [refused(claim, at=at) for claim in claims_for(plan)]
        template = remembering(template, plan)
    plan = plan_of(template, waiting=[selected("p")], claims=claims, at=at)

    (new,) = plan.machines
    assert new.candidate.offering.capacity_type == "on-demand"
    assert new.node.labels["scheduling.cast.ai/spot-fallback"] == "true"


def test_a_refusal_that_concerns_every_offering_lets_the_template_rest() -> None:
    """Without the right to launch, trying all there is ends with the dearest machine, on the day the right is given."""
    template = everybodys()
    pod = selected("p")
    claims = [refused(each, "Forbidden") for each in claims_for(plan_of(template, waiting=[pod]))]
    failed = plan_of(template, waiting=[pod], claims=claims)
    template = remembering(template, failed)

    assert failed.machines == ()
    assert failed.failed_claims == ("default-1",)
    assert (
        failed.unplaced[0].message == "template default: nothing could be launched (Forbidden): tried again at 12:10:00"
    )
    assert failed.look_again_at == NOW + timedelta(minutes=10)
    again = plan_of(template, waiting=[pod], at=NOW + timedelta(minutes=10))
    assert types_of(again) == ["c6a.xlarge"]


def test_d08_when_spot_is_short_as_a_whole_on_demand_stands_in_without_trying_every_type() -> None:
    """There are hundreds of types, and a pod that may have another does not wait until all of them were tried."""
    shop = a_shop(
        *((a_type(f"c{number}.xlarge", 4, 8), 0.2 + number / 100, 0.1) for number in range(20)),
        (a_type("g1.xlarge", 4, 16, gpu=a_gpu("T4")), 0.5, 0.2),
    )
    fallback = everybodys(constraints={"spot": True, "useSpotFallbacks": True}, strategy="thresholds")
    spot_only = everybodys(constraints={"spot": True}, strategy="thresholds")
    held = tuple(
        BackedOff(
            instance_type=f"c{number}.xlarge",
            zone=zone,
            capacity_type="spot",
            reason="OutOfStock",
            failures=1,
            until=NOW + timedelta(minutes=10),
        )
        for number in range(MANY_OFFERINGS // 2)
        for zone in ("r-a", "r-b")
    )

    def terms(template: NodeTemplate, pod: Pod, held: tuple[BackedOff, ...]) -> list[str]:
        look = a_look(template, shop=shop, waiting=[pod], backed_off=held)
        return [new.candidate.offering.capacity_type.value for new in plan_provisioning(look).machines]

    assert terms(fallback, selected("p"), held) == ["on-demand"]
    assert terms(fallback, selected("p"), held[1:]) == ["spot"], "one less is no shortage"
    assert terms(spot_only, selected("p"), held) == ["spot"], "there is no other way"
