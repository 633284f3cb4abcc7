"""Budgets, and what diversity may cost."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.provisioning.plans import everybodys, plan_of, selected, types_of
from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.testing.provisioning_builders import a_waiting_pod, claims_for


def test_b38_the_ninth_gpu_is_refused_with_the_reason() -> None:
    """A limit on GPUs is a limit on the largest bill."""
    pods = [selected(f"p{n}", gpus=1) for n in range(9)]
    template = everybodys(constraints={"gpu": {"maxCount": 1}})
    plan = plan_of(template, waiting=pods, cluster_gpu_limit=8)

    assert len(plan.machines) == 8
    (left,) = plan.unplaced
    assert left.message == "the cluster's GPU limit is 8, 8 of it used, and a g4dn.xlarge takes 1"


def test_what_still_fits_a_budget_is_bought_when_the_best_does_not() -> None:
    """A large machine over budget is no reason to buy none."""
    pods = [a_waiting_pod(f"p{n}", cpu=1, memory="6Gi") for n in range(4)]
    plan = plan_of(everybodys(limits={"costUSDPerHour": 0.2}), waiting=pods)

    assert types_of(plan) == ["m6a.xlarge"]
    assert len(plan.machines[0].pods) == 2
    assert all("limits.costUSDPerHour of template default is $0.2000/h" in left.message for left in plan.unplaced)


@settings(max_examples=12, deadline=None)
@given(
    asked=st.lists(st.integers(1, 4), min_size=50, max_size=50),
    budget=st.sampled_from([1.0, 2.5]),
    gpus=st.sampled_from([2, 5]),
)
def test_budgets_hold_over_fifty_plans_while_all_their_machines_are_under_way(
    asked: list[int], budget: float, gpus: int
) -> None:
    """Dollars are spent by plans, not by templates: each plan counts what all before it have asked for."""
    templates = (everybodys("a", weight=1, limits={"costUSDPerHour": budget / 2}), everybodys("b"))
    claims: list[NodeClaim] = []
    for number, cpu in enumerate(asked):
        pod = a_waiting_pod(f"p{number}", cpu=f"{cpu * 900}m", gpus=number % 2)
        limits = {"cluster_cost_limit_usd_per_hour": budget, "cluster_gpu_limit": gpus}
        plan = plan_of(*templates, waiting=[pod], claims=claims, **limits)
        assert plan.machines or plan.assignments or plan.unplaced
        claims += claims_for(plan, first=len(claims) + 1)

    spent = [(claim.spec.template, claim.spec.price_usd_per_hour or 0) for claim in claims]
    assert sum(price for _, price in spent) <= budget + 1e-9
    assert sum(price for template, price in spent if template == "a") <= budget / 2 + 1e-9
    assert sum(1 for claim in claims if claim.spec.instance_type.startswith("g")) <= gpus


def test_machines_that_are_let_go_no_longer_count() -> None:
    """A budget that never comes back is spent once."""
    template = everybodys(limits={"nodes": 1})
    (claim,) = claims_for(plan_of(template, waiting=[selected("p")]))
    gone = msgspec.structs.replace(claim, spec=msgspec.structs.replace(claim.spec, wanted=Wanted.GONE))

    assert plan_of(template, waiting=[selected("q"), selected("p")], claims=[claim]).machines == ()
    assert len(plan_of(template, waiting=[selected("q")], claims=[gone]).machines) == 1


def test_d09_spot_is_spread_over_three_families_within_the_price_limit() -> None:
    """One family taken back leaves two thirds of the work running."""
    template = everybodys(
        constraints={"spot": True, "enableSpotDiversity": True, "spotDiversityPriceIncreaseLimitPercent": 30}
    )
    plan = plan_of(template, waiting=[selected(f"p{n}") for n in range(6)])

    assert types_of(plan) == ["c6a.xlarge"] * 2 + ["m6a.xlarge"] * 2 + ["r6a.xlarge"] * 2
    assert plan.cost_usd_per_hour <= 6 * 0.06 * 1.3
    strict = everybodys(
        constraints={"spot": True, "enableSpotDiversity": True, "spotDiversityPriceIncreaseLimitPercent": 20}
    )
    assert set(types_of(plan_of(strict, waiting=[selected(f"p{n}") for n in range(6)]))) == {"c6a.xlarge", "m6a.xlarge"}


def test_a_pod_that_no_machine_suits_is_not_told_of_a_limit() -> None:
    """Raising the budget would not help it, so the budget is not the reason."""
    pods = [selected("served"), selected("lost", nodeSelector={"disk": "tape"})]
    plan = plan_of(everybodys(limits={"nodes": 1}), waiting=pods)

    (left,) = plan.unplaced
    assert left.pod == "default/lost"
    assert "disk=tape" in left.message
    assert "limits.nodes" not in left.message
