from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.nodeclaim import NodeClaim, Wanted
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod, SchedulingGate
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.plan import ProvisioningPlan
from stratos.snapshot.provisioning import Told
from stratos.testing.provisioning_builders import (
    NOW,
    a_gpu,
    a_look,
    a_shop,
    a_template,
    a_type,
    a_waiting_pod,
    claims_for,
    refused,
)

SHOP = a_shop(
    (a_type("c6a.xlarge", 4, 8), 0.153, 0.06),
    (a_type("m6a.xlarge", 4, 16), 0.173, 0.07),
    (a_type("r6a.xlarge", 4, 32), 0.227, 0.075),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), 0.526, 0.16),
    (a_type("g4dn.12xlarge", 48, 192, gpu=a_gpu("T4", 4)), 3.912, 1.2),
    (a_type("g6.xlarge", 4, 16, gpu=a_gpu("L4")), 0.805, 0.3),
)
LUNA = {"elotl-luna": "true"}


def plan_of(*templates: NodeTemplate, **look: Any) -> ProvisioningPlan:
    return plan_provisioning(a_look(*templates, shop=SHOP, **look), effort=Effort.FAST)


def everybodys(name: str = "default", **spec: Any) -> NodeTemplate:
    return a_template(name, isDefault=True, **spec)


def types_of(plan: ProvisioningPlan) -> list[str]:
    return sorted(new.candidate.offering.instance_type for new in plan.machines)


def selected(name: str, **more: Any) -> Pod:
    """A pod that gets a machine of its own under thresholds."""
    return a_waiting_pod(name, cpu=3, **more)


# Whose pods


def test_b01_only_pods_that_carry_one_of_the_labels_are_served() -> None:
    """Who installs this beside another autoscaler gets machines for what is marked, and for nothing else."""
    luna = a_template("luna", pods={"labels": {**LUNA, "team": "ml"}})
    marked, other, plain = (
        selected("marked", labels=LUNA),
        selected("other", labels={"team": "ml"}),
        selected("plain"),
    )
    plan = plan_of(luna, waiting=[marked, other, plain])

    assert sorted(pod for new in plan.machines for pod in new.pods) == ["default/marked", "default/other"]
    assert plan.unplaced == ()
    assert "1 pod that no template serves" in plan.report


def test_b02_a_pod_that_asks_to_be_ignored_is_ignored_whatever_its_labels() -> None:
    """The way out of a label that a chart puts on everything."""
    for annotation in ("pod.elotl.co/ignore", "stratos.sh/ignore"):
        pod = selected("p", labels=LUNA, annotations={annotation: "true"})
        assert plan_of(a_template("luna", pods={"labels": LUNA}), everybodys(), waiting=[pod]).machines == ()


def test_b03_annotations_mark_pods_as_well_as_labels() -> None:
    """Labels are limited in form, and selectors of services see them."""
    luna = a_template("luna", pods={"annotations": {"machines": "please"}})

    assert len(plan_of(luna, waiting=[selected("p", annotations={"machines": "please"})]).machines) == 1
    assert plan_of(luna, waiting=[selected("p", annotations={"machines": "no"})]).machines == ()


def test_b51_several_templates_side_by_side_serve_each_their_own() -> None:
    """One shape of shared nodes does not suit all teams."""
    small = a_template("small", strategy="thresholds", pods={"labels": {"shape": "small"}})
    large = a_template(
        "large", strategy="thresholds", pods={"labels": {"shape": "large"}}, binPacking={"nodeMemory": "32Gi"}
    )
    pods = [a_waiting_pod("a", labels={"shape": "small"}), a_waiting_pod("b", labels={"shape": "large"})]
    plan = plan_of(small, large, waiting=pods)

    assert {new.template: (new.candidate.offering.instance_type, new.pods) for new in plan.machines} == {
        "small": ("c6a.xlarge", ("default/a",)),
        "large": ("r6a.xlarge", ("default/b",)),
    }


@pytest.mark.parametrize("key", ["stratos.sh/template", "scheduling.cast.ai/node-template"])
def test_a_pod_that_selects_a_template_is_served_by_it_alone(key: str) -> None:
    """Either word will do, in a node selector or in required affinity."""
    by_selector = selected("s", nodeSelector={key: "gpu"})
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": ["gpu"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    by_affinity = selected("a", affinity={"nodeAffinity": required})
    plan = plan_of(a_template("gpu"), everybodys(weight=100), waiting=[by_selector, by_affinity])

    assert {new.template for new in plan.machines} == {"gpu"}
    assert sorted(pod for new in plan.machines for pod in new.pods) == ["default/a", "default/s"]


def test_a_pod_that_selects_a_pool_is_left_to_the_pool() -> None:
    """Two owners of one pod would get it two machines."""
    plan = plan_of(everybodys(), waiting=[selected("p", nodeSelector={"stratos.sh/pool": "warm"})])

    assert (plan.machines, plan.unplaced) == ((), ())


def test_d18_the_default_template_takes_what_selects_no_other_and_can_be_disabled() -> None:
    """Pods that name nothing run as well; and somebody must be able to say stop."""
    pods = [selected("plain"), selected("named", nodeSelector={"stratos.sh/template": "team"})]

    plan = plan_of(everybodys(), a_template("team"), waiting=pods)
    assert {new.template: new.pods for new in plan.machines} == {
        "default": ("default/plain",),
        "team": ("default/named",),
    }
    off = plan_of(everybodys(isEnabled=False), a_template("team"), waiting=pods)
    assert {new.template for new in off.machines} == {"team"}


def test_a_pod_that_selects_a_template_which_is_disabled_is_told() -> None:
    """It waits for ever otherwise, and nobody knows why."""
    plan = plan_of(
        a_template("team", isEnabled=False), waiting=[selected("p", nodeSelector={"stratos.sh/template": "team"})]
    )

    assert "template team: it is disabled" in plan.unplaced[0].message


def test_d12_a_template_for_gpus_alone_serves_no_pod_without() -> None:
    """A web server on a GPU machine is the dearest mistake there is."""
    plan = plan_of(everybodys(constraints={"isGpuOnly": True}), waiting=[selected("web"), selected("job", gpus=1)])

    assert [new.pods for new in plan.machines] == [("default/job",)]


KAI = r"(.*[Nn]o.*resources.*|^0/([0-9]+) nodes are available)"


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        ("0/5 nodes are available: 5 Insufficient nvidia.com/gpu.", True),
        ("No node in the default node-pool has GPU resources", True),
        ("no nodes with enough resources were found", True),
        ("OverLimit: default1 quota has reached the allowable limit of GPUs. Limit is 1 GPUs", False),
    ],
)
def test_b39_only_pods_that_wait_for_a_machine_get_one(message: str, counts: bool) -> None:
    """A queue that is over its quota is not helped by a machine that it may not use."""
    template = everybodys(pods={"pendingReasonRegexp": KAI})
    plan = plan_of(template, waiting=[selected("p", gpus=1, message=message)])

    assert bool(plan.machines) is counts


def test_b40_over_a_day_of_quotas_machines_are_added_only_for_pods_that_may_run() -> None:
    """Inference up to its quota in the morning, training at night: never a GPU for a queue that is over its limit."""
    template = everybodys(pods={"pendingReasonRegexp": KAI}, constraints={"gpu": {"maxCount": 1}})
    over = "OverLimit: quota has reached the allowable limit of GPUs. Limit is 8 GPUs, currently 8 GPUs allocated"
    no_room = "No node in the default node-pool has GPU resources"
    claims: list[NodeClaim] = []
    for asked, allowed in ((6, 4), (8, 8), (12, 8)):
        pods = [selected(f"p{n}", gpus=1, message=no_room if n < allowed else over) for n in range(asked)]
        plan = plan_of(template, waiting=pods, claims=claims)
        claims += claims_for(plan, first=len(claims) + 1)
        assert len(claims) == allowed


def test_b41_no_gpu_pods_no_gpu_machines() -> None:
    """Idle GPUs cost as much as busy ones."""
    plan = plan_of(everybodys(), waiting=[selected("web")])

    assert types_of(plan) == ["c6a.xlarge"]
    assert plan_of(everybodys()).machines == ()


def test_b61_nodes_carry_what_the_pods_select_and_pods_that_do_not_tolerate_stay_away() -> None:
    """The scheduler has the last word: a node that it refuses is money for nothing."""
    template = everybodys(
        customLabels={"team": "ml"},
        shouldTaint=True,
        customTaints=[{"key": "ml", "value": "yes", "effect": "NoSchedule"}],
    )
    tolerant = selected("in", nodeSelector={"team": "ml"}, tolerations=[{"key": "ml", "operator": "Exists"}])
    plan = plan_of(template, waiting=[tolerant, selected("out")])

    (new,) = plan.machines
    assert new.pods == ("default/in",)
    assert new.node.labels["team"] == "ml"
    assert [taint.key for taint in new.node.taints] == ["ml"]
    assert [left.pod for left in plan.unplaced] == ["default/out"]


def test_b62_a_pod_that_takes_either_kind_of_node_is_served() -> None:
    """One term for machine-made nodes, one for those that are always there."""
    made = {"matchExpressions": [{"key": "node.elotl.co/created-by", "operator": "In", "values": ["luna"]}]}
    fixed = {"matchExpressions": [{"key": "node.elotl.co/created-by", "operator": "DoesNotExist"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [fixed, made]}}

    plan = plan_of(everybodys(), waiting=[selected("p", affinity={"nodeAffinity": required})])
    assert [new.pods for new in plan.machines] == [("default/p",)]


def test_d05_taint_and_custom_label_are_in_the_claim() -> None:
    """Edits of the template touch only new nodes, so what a node is to look like stays with its claim."""
    template = everybodys("team", shouldTaint=True, customLabels={"team": "ml"})
    tolerations = [{"key": "scheduling.cast.ai/node-template", "operator": "Exists"}]
    (new,) = plan_of(template, waiting=[selected("p", tolerations=tolerations)]).machines

    assert new.node.labels["scheduling.cast.ai/node-template"] == "team"
    assert [(taint.key, taint.value) for taint in new.node.taints] == [("scheduling.cast.ai/node-template", "team")]


def test_the_heaviest_template_serves_and_the_next_takes_what_it_cannot() -> None:
    """Weight is a wish, not a wall."""
    spot = everybodys("spot", weight=10, constraints={"spot": True, "maxCpu": 4})
    rest = everybodys("rest")
    pods = [selected("small"), selected("large", memory="100Gi", gpus=4)]

    assert {new.template: new.pods for new in plan_of(spot, rest, waiting=pods).machines} == {
        "spot": ("default/small",),
        "rest": ("default/large",),
    }


# What is under way


def test_pods_that_a_machine_is_under_way_for_get_no_second_one() -> None:
    """Between the claim and the node lie minutes, and many plans."""
    pods = [selected(f"p{n}") for n in range(3)]
    first = plan_of(everybodys(), waiting=pods)
    claims = claims_for(first)

    again = plan_of(everybodys(), waiting=pods, claims=claims)
    assert again.machines == ()
    assert set(again.assignments) == {pod.metadata.key for pod in pods}
    more = plan_of(everybodys(), waiting=[*pods, selected("late")], claims=claims)
    assert [new.pods for new in more.machines] == [("default/late",)]


def test_b30_room_on_a_machine_that_is_coming_is_used_before_another_is_bought() -> None:
    """What pods have left behind, or never came to, is paid for already."""
    template = everybodys(strategy="thresholds")
    claims = claims_for(plan_of(template, waiting=[selected("gone")]))
    plan = plan_of(template, waiting=[selected("next")], claims=claims)

    assert plan.machines == ()
    assert plan.assignments == {"default/next": claims[0].metadata.name}


def test_selected_pods_do_not_take_room_of_machines_that_break_their_wishes() -> None:
    """A pod that wants an L4 is not served by room beside a T4, even if it asks for no GPU."""
    claims = claims_for(plan_of(everybodys(), waiting=[a_waiting_pod("t4", gpus=1)]))
    pod = a_waiting_pod("l4", annotations={"stratos.sh/instance-gpu-skus": "L4"})

    assert types_of(plan_of(everybodys(), waiting=[pod], claims=claims)) == ["g6.xlarge"]


def test_b50_a_pause_pod_holds_a_machine_and_is_replaced_when_it_loses_it() -> None:
    """Over-provisioning is pods of negative priority: they get machines like all others, after all others."""
    template = everybodys(limits={"nodes": 1})
    pods = [selected("pause", priority=-10), selected("real")]

    assert [new.pods for new in plan_of(template, waiting=pods).machines] == [("default/real",)]
    assert [new.pods for new in plan_of(template, waiting=pods[:1]).machines] == [("default/pause",)]


# Failures


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
        kept = _remembering(kept, plan)
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
        template = _remembering(template, plan)
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
    template = _remembering(template, failed)
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
        template = _remembering(template, plan)
    plan = plan_of(template, waiting=[selected("p")], claims=claims, at=at)

    (new,) = plan.machines
    assert new.candidate.offering.capacity_type == "on-demand"
    assert new.node.labels["scheduling.cast.ai/spot-fallback"] == "true"


def _remembering(template: NodeTemplate, plan: ProvisioningPlan) -> NodeTemplate:
    status = msgspec.structs.replace(template.status, backed_off=plan.backed_off[template.metadata.name])
    return msgspec.structs.replace(template, status=status)


# Limits


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
def test_budgets_hold_over_fifty_plans_at_once(asked: list[int], budget: float, gpus: int) -> None:
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


# Diversity


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


# Estimates


def gated(name: str, **asks: Any) -> Pod:
    pod = a_waiting_pod(name, labels=LUNA, **asks)
    return msgspec.structs.replace(
        pod, spec=msgspec.structs.replace(pod.spec, scheduling_gates=(SchedulingGate("nodecostestimate"),))
    )


LUNA_TEMPLATE = a_template("luna", strategy="thresholds", pods={"labels": LUNA})


def parse(message: str) -> tuple[float, int]:
    """As the script of the founding text does, with cut and awk."""
    assert message.startswith("Estimated cost $")
    return float(message[16:24]), int(message.split("; ")[1].split(" ")[3])


def test_b20_gated_pods_are_told_the_machine_the_price_and_the_number() -> None:
    """Three small pods share a node, three large ones need three; and no machine is asked for."""
    small = plan_of(LUNA_TEMPLATE, gated=tuple(gated(f"s{n}") for n in range(3)))
    large = plan_of(LUNA_TEMPLATE, gated=tuple(gated(f"l{n}", cpu=3) for n in range(3)))

    assert small.machines == large.machines == ()
    assert {parse(event.message) for event in small.events} == {(0.153, 1)}
    assert {parse(event.message) for event in large.events} == {(0.153, 3)}
    assert [event.reason for event in (*small.events, *large.events)] == ["NodeCostEstimate"] * 6


def test_b21_the_message_is_parsed_as_its_readers_parse_it() -> None:
    """Equal messages are counted once, so two groups of equal cost must not say the same."""
    pods = (gated("a", cpu=3), gated("b", cpu=3), gated("c", cpu="3500m"), gated("d", cpu="3500m"))
    messages = {event.message for event in plan_of(LUNA_TEMPLATE, gated=pods).events}

    assert sum(price * count for price, count in map(parse, messages)) == pytest.approx(4 * 0.153)
    assert len(messages) == 2


def test_b22_an_estimate_is_not_repeated_until_it_expires_or_is_deleted() -> None:
    """A pod has one answer at a time."""
    pods = (gated("a"), gated("b"))
    first = plan_of(LUNA_TEMPLATE, gated=pods)
    told = tuple(Told(event.pod, event.reason, event.message, NOW) for event in first.events)

    assert plan_of(LUNA_TEMPLATE, gated=pods, told=told).events == ()
    assert [event.pod for event in plan_of(LUNA_TEMPLATE, gated=pods, told=told[:1]).events] == ["default/b"]
    later = NOW + timedelta(minutes=61)
    assert plan_of(LUNA_TEMPLATE, gated=pods, told=told, at=later).events == first.events


def test_b23_an_estimate_heeds_back_offs_and_ignores_what_is_free() -> None:
    """It says what a machine would cost now, not whether one is needed."""
    pod = gated("p", cpu=3)
    claims = claims_for(plan_of(LUNA_TEMPLATE, waiting=[selected("other", labels=LUNA)]))
    failed = [refused(claim, "QuotaExceeded") for claim in claims]

    assert parse(plan_of(LUNA_TEMPLATE, gated=(pod,), claims=claims).events[0].message) == (0.153, 1)
    assert parse(plan_of(LUNA_TEMPLATE, gated=(pod,), claims=failed).events[-1].message) == (0.173, 1)


def test_b24_an_estimate_without_a_machine_says_so() -> None:
    """The cluster is then left out of the comparison."""
    (event,) = plan_of(LUNA_TEMPLATE, gated=(gated("p", cpu=500),)).events

    assert event.message.startswith("No node type found")


# What cannot be read


def test_an_annotation_without_meaning_leaves_its_pod_and_no_other_without_a_machine() -> None:
    """One typo must not hold up everybody's pods."""
    broken = selected("broken", annotations={"node.elotl.co/instance-max-cost": "cheap"})
    plan = plan_of(everybodys(), waiting=[broken, selected("fine")])

    assert [new.pods for new in plan.machines] == [("default/fine",)]
    (left,) = plan.unplaced
    assert left.message.startswith("metadata.annotations[node.elotl.co/instance-max-cost]: 'cheap' is not a price")


def test_a_template_that_contradicts_itself_buys_nothing_and_says_why() -> None:
    """What cannot be right is found before it is used."""
    plan = plan_of(everybodys(constraints={"minCpu": 8, "maxCpu": 4}), waiting=[selected("p")])

    assert plan.machines == ()
    assert "template default: spec.constraints.minCpu: 8 is more than maxCpu, 4: no machine is both" in plan.report


@settings(max_examples=25, deadline=None)
@given(
    asked=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_every_pod_is_placed_or_explained_in_any_order(asked: list[tuple[int, int]], order: Any) -> None:
    """The law, over two templates with limits."""
    pods = [a_waiting_pod(f"p{n}", cpu=f"{cpu * 900}m", gpus=gpus) for n, (cpu, gpus) in enumerate(asked)]
    templates = (everybodys("a", limits={"nodes": 1}, weight=1), everybodys("b", limits={"gpus": 1}))
    plan = plan_of(*templates, waiting=pods)
    placed = [pod for new in plan.machines for pod in new.pods]
    told = [left.pod for left in plan.unplaced]
    shuffled = list(pods)
    order.shuffle(shuffled)

    assert sorted([*placed, *told, *plan.assignments]) == sorted(pod.metadata.key for pod in pods)
    assert all(left.message for left in plan.unplaced)
    assert plan_of(*reversed(templates), waiting=shuffled) == plan
