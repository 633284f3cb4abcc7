"""Which pods get machines, and of which template."""

from __future__ import annotations

import pytest

from planning.provisioning.plans import LUNA, everybodys, plan_of, selected, types_of
from stratos.apis.nodeclaim import NodeClaim
from stratos.testing.provisioning_builders import a_template, a_waiting_pod, claims_for


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
