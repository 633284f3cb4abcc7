from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis import labels
from stratos.catalog.instance_type import CapacityType
from stratos.planning.provisioning.annotations import NO_WISHES, Wishes
from stratos.planning.provisioning.candidates import Candidates, candidates_of
from stratos.planning.scheduling.requirements import requirements_of
from stratos.testing.provisioning_builders import GROUND, a_gpu, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop(
    (a_type("t3a.small", 2, 2, burstable=True), 0.0188),
    (a_type("c6a.xlarge", 4, 8), 0.153, 0.06),
    (a_type("m6a.xlarge", 4, 16), 0.173, 0.07),
    (a_type("m6g.xlarge", 4, 16, arch="arm64"), 0.154, 0.05),
    (a_type("m6i.metal", 128, 512, bare_metal=True), 6.144),
    (a_type("i4i.xlarge", 4, 32, local_nvme_gb=937), 0.343, 0.14),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4"), local_nvme_gb=125), 0.526, 0.16),
    (a_type("g4dn.12xlarge", 48, 192, gpu=a_gpu("T4", 4), local_nvme_gb=900), 3.912, 1.2),
    (a_type("g6f.large", 2, 8, gpu=a_gpu("L4", 0.125)), 0.202),
    (a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)), 21.96, 8.8),
    (a_type("g4ad.xlarge", 4, 16, gpu=a_gpu("V520", 1, "amd")), 0.379),
    buckets={"i4i.xlarge": 4, "c6a.xlarge": 0, "m6a.xlarge": 1},
)
ANY_ARCH = ["amd64", "arm64"]


def found(wishes: Wishes = NO_WISHES, **spec: Any) -> Candidates:
    return candidates_of(a_template(**spec), SHOP, GROUND).narrowed(wishes)


def types(**constraints: Any) -> list[str]:
    return sorted(found(constraints=constraints).types)


def test_d01_types_are_found_by_what_they_are_not_by_name() -> None:
    """A template names no type: it is read off the catalog."""
    assert types(minCpu=4, maxCpu=8, minMemory=16 * 1024, gpu={"maxCount": 0}) == ["i4i.xlarge", "m6a.xlarge"]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({"instanceFamilies": {"include": ["c6a", "p4d"]}}, ["c6a.xlarge", "p4d.24xlarge"]),
        (
            {"instanceFamilies": {"exclude": ["p4d"]}, "isGpuOnly": True, "gpu": {"manufacturers": ["nvidia"]}},
            ["g4dn.12xlarge", "g4dn.xlarge"],
        ),
        ({"instanceTypeRegexp": "^*.xlarge$", "gpu": {"maxCount": 0}}, ["c6a.xlarge", "i4i.xlarge", "m6a.xlarge"]),
        ({"instanceTypeRegexp": "6a"}, ["c6a.xlarge", "m6a.xlarge"]),
        ({"minMemory": 512 * 1024, "bareMetal": "enabled"}, ["m6i.metal"]),
        ({"architectures": ["arm64"]}, ["m6g.xlarge"]),
        ({"os": ["windows"]}, []),
        ({"burstableInstances": "enabled"}, ["t3a.small"]),
        ({"burstableInstances": "disabled", "maxMemory": 8 * 1024}, ["c6a.xlarge", "g6f.large"]),
        ({"computeOptimizedState": "enabled"}, ["c6a.xlarge"]),
        ({"storageOptimizedState": "enabled", "gpu": {"maxCount": 0}}, ["i4i.xlarge"]),
        ({"cpuManufacturers": ["AWS"], "architectures": ANY_ARCH}, ["m6g.xlarge"]),
        ({"cpuManufacturers": ["AMD"], "minMemory": 4096, "gpu": {"maxCount": 0}}, ["c6a.xlarge", "m6a.xlarge"]),
        ({"gpu": {"includeNames": ["a100"]}}, ["p4d.24xlarge"]),
        ({"gpu": {"includeNames": ["nvidia T4"], "minCount": 2}}, ["g4dn.12xlarge"]),
        ({"gpu": {"manufacturers": ["AMD"]}}, ["g4ad.xlarge"]),
        ({"customerSpecific": "enabled"}, []),
        ({"azs": ["r-z"]}, []),
        ({"maxPrice": 0.1}, ["t3a.small"]),
    ],
)
def test_each_constraint_keeps_the_types_that_satisfy_it(constraints: dict[str, Any], expected: list[str]) -> None:
    """Constraints are all that a template says about machines: each has to mean what it says."""
    assert types(**constraints) == expected


def test_d02_a_family_that_is_sold_anew_is_used_without_an_edit() -> None:
    """Who describes machines by what they are gets new ones the day they appear."""
    template = a_template(constraints={"minCpu": 4, "maxCpu": 4})
    larger = a_shop((a_type("m9a.xlarge", 4, 16), 0.1), (a_type("m6a.xlarge", 4, 16), 0.173))

    assert "m9a.xlarge" not in candidates_of(template, SHOP, GROUND).types
    assert candidates_of(template, larger, GROUND).all[0].offering.instance_type == "m9a.xlarge"


def test_b59_every_type_that_will_not_do_is_told_with_the_rule_that_says_so() -> None:
    """Without the reason nobody can tell a wish from a mistake."""
    answer = found(constraints={"minCpu": 4, "instanceFamilies": {"exclude": ["c6a"]}, "gpu": {"maxCount": 1}})

    assert answer.rejected["t3a.small"] == "constraints.minCpu"
    assert answer.rejected["c6a.xlarge"] == "constraints.instanceFamilies.exclude"
    assert answer.rejected["p4d.24xlarge"] == "constraints.gpu.maxCount"
    assert answer.rejected["m6g.xlarge"] == "constraints.architectures"
    assert set(answer.rejected) | set(answer.types) == set(SHOP.instance_types)
    assert answer.rejections()["constraints.gpu.maxCount"] == 2


def test_an_unknown_gpu_is_answered_with_those_there_are() -> None:
    """A misspelt device otherwise looks like a cloud without machines."""
    notes = found(constraints={"gpu": {"includeNames": ["L5"]}}).notes

    assert notes == ("no machine here has a GPU called 'L5'; known are A100-40, L4, T4, V520",)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, {"on-demand"}),
        ({"spot": True}, {"spot"}),
        ({"spot": True, "onDemand": True}, {"spot", "on-demand"}),
        ({"onDemand": True}, {"on-demand"}),
    ],
)
def test_d07_spot_on_demand_or_both_as_the_template_says(terms: dict[str, Any], expected: set[str]) -> None:
    """Terms decide price and risk: nobody gets others than they allowed."""
    assert {candidate.offering.capacity_type.value for candidate in found(constraints=terms).all} == expected


def test_d08_on_demand_that_stands_in_for_spot_comes_after_all_spot_and_says_what_it_is() -> None:
    """It is dearer, so it is for pods that no spot machine takes; and it must be found again to be given back."""
    spot, stand_in = found(constraints={"spot": True, "useSpotFallbacks": True}).stages

    assert {candidate.offering.capacity_type for candidate in spot} == {CapacityType.SPOT}
    for candidate in stand_in:
        assert candidate.offering.capacity_type is CapacityType.ON_DEMAND
        assert candidate.node.labels[labels.SPOT_FALLBACK] == "true"
        assert candidate.node.labels[labels.CAST_SPOT_FALLBACK] == "true"
        assert candidate.node.labels[labels.CAST_SPOT] == "true"


def test_b14_spot_without_a_known_price_is_estimated_from_the_full_one() -> None:
    """Clouds that publish no spot prices still sell it, and the estimate decides the order."""
    for ratio in (0.5, 0.9):
        answer = found(constraints={"spot": True, "minMemory": 1024}, spotPriceRatioEstimate=ratio)
        small = next(each for each in answer.all if each.offering.instance_type == "t3a.small")
        assert small.price_usd_per_hour == pytest.approx(0.0188 * ratio)


def test_b15_spot_is_left_alone_above_the_bucket_or_the_price_ratio() -> None:
    """Cheap spot that is taken back every hour costs more than it saves."""
    calm = found(constraints={"spot": True, "maxSpotInterruptBucket": 0, "gpu": {"maxCount": 0}})
    cheap = found(constraints={"spot": True, "maxSpotPriceRatio": 0.4, "gpu": {"maxCount": 0}})

    assert calm.rejected["m6a.xlarge"] == "constraints.maxSpotInterruptBucket"
    assert "c6a.xlarge" in calm.types
    assert cheap.rejected["m6a.xlarge"] == "constraints.maxSpotPriceRatio"
    assert cheap.rejected["i4i.xlarge"] == "constraints.maxSpotPriceRatio"
    assert "c6a.xlarge" in cheap.types


def test_d17_tiers_of_priority_are_stages_tried_in_order() -> None:
    """Who bought savings plans for a family wants it used first, whatever else is cheap."""
    tiers = [{"instanceFamilies": ["i4i"], "onDemand": True}, {"instanceFamilies": ["m6a"]}]
    first, second, rest = found(constraints={"customPriority": tiers}).stages

    assert {candidate.offering.instance_type for candidate in first} == {"i4i.xlarge"}
    assert {candidate.offering.instance_type for candidate in second} == {"m6a.xlarge"}
    assert not {"i4i.xlarge", "m6a.xlarge"} & {candidate.offering.instance_type for candidate in rest}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "rack", "operator": "In", "values": ["7"]}, True),
        ({"key": "rack", "operator": "NotIn", "values": ["7"]}, False),
        ({"key": "rack", "operator": "Exists"}, True),
        ({"key": "rack", "operator": "DoesNotExist"}, False),
        ({"key": "rack", "operator": "Gt", "values": ["6"]}, True),
        ({"key": "rack", "operator": "Lt", "values": ["7"]}, False),
    ],
)
def test_d24_nodes_on_hosts_of_our_own_go_nowhere_else(expression: dict[str, Any], holds: bool) -> None:
    """Sole tenancy is a promise to somebody's auditor, in all six operators."""
    group = {"name": "vault", "azName": "r-b", "instanceTypes": ["m6a.xlarge"], "affinity": [expression]}
    answer = found(
        customLabels={"rack": "7"}, constraints={"dedicatedNodeAffinity": [group], "spot": True, "onDemand": True}
    )

    offerings = [(each.offering, each.node.labels[labels.DEDICATED_GROUP]) for each in answer.all]
    assert offerings == ([(("m6a.xlarge", "r-b", CapacityType.ON_DEMAND), "vault")] if holds else [])


def test_a_candidate_carries_the_labels_and_taints_its_node_will_have() -> None:
    """Whether pods may run there is decided on these, before the node exists."""
    template = a_template("team", customLabels={"team": "ml"}, shouldTaint=True, constraints={"azs": ["r-b"]})
    (candidate,) = (each for each in candidates_of(template, SHOP, GROUND).all if "m6a" in each.offering.instance_type)

    assert candidate.node.labels == {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m6a.xlarge",
        "topology.kubernetes.io/region": "r",
        "topology.kubernetes.io/zone": "r-b",
        "stratos.sh/template": "team",
        "scheduling.cast.ai/node-template": "team",
        "node.elotl.co/created-by": "luna",
        "stratos.sh/capacity-type": "on-demand",
        "scheduling.cast.ai/on-demand": "true",
        "team": "ml",
        "stratos.sh/instance-family": "m6a",
        "stratos.sh/instance-type": "m6a.xlarge",
        "stratos.sh/gpu-count": "0",
        "stratos.sh/price-micro-usd-per-hour": "173000",
    }
    assert [(taint.key, taint.value, taint.effect) for taint in candidate.node.taints] == [
        ("scheduling.cast.ai/node-template", "team", "NoSchedule")
    ]


def test_daemon_sets_take_their_share_where_they_run() -> None:
    """A node that is full of pods and then gets its agents is overfull."""
    everywhere = requirements_of(a_waiting_pod("agent", cpu="200m", memory="64Mi"))
    on_arm = requirements_of(a_waiting_pod("arm", cpu=1, nodeSelector={"kubernetes.io/arch": "arm64"}))
    template = a_template(constraints={"architectures": ANY_ARCH})
    bare = {each.offering: each.node.allocatable for each in candidates_of(template, SHOP, GROUND).all}
    shared = candidates_of(template, SHOP, GROUND, (("ns/agent", everywhere), ("ns/arm", on_arm)))

    for candidate in shared.all:
        arm = candidate.node.labels[labels.ARCH] == "arm64"
        before = bare[candidate.offering]
        assert before["cpu"] - candidate.node.allocatable["cpu"] == (1200 if arm else 200)
        assert before["pods"] - candidate.node.allocatable["pods"] == (2 if arm else 1)
        assert before["memory"] - candidate.node.allocatable["memory"] >= 64 * 2**20


def test_a_share_of_a_gpu_is_none_to_pods_and_time_slices_are_many() -> None:
    """A pod that asks for a GPU means a whole one, unless the template shares them on purpose."""
    one = {each.offering.instance_type: each.node.allocatable for each in found().all}
    sliced = {
        each.offering.instance_type: each.node.allocatable
        for each in found(constraints={"isGpuOnly": True}, nvidiaGPUTimeSlices=2).all
    }

    assert "nvidia.com/gpu" not in one["g6f.large"]
    assert one["g4dn.12xlarge"]["nvidia.com/gpu"] == 4
    assert sliced["g4dn.12xlarge"]["nvidia.com/gpu"] == 8
    assert sliced["g4ad.xlarge"]["amd.com/gpu"] == 1


_CONSTRAINTS = st.fixed_dictionaries(
    {},
    optional={
        "minCpu": st.sampled_from([2, 4]),
        "maxMemory": st.sampled_from([8192, 16384]),
        "instanceFamilies": st.sampled_from([{"exclude": ["c6a"]}, {"include": ["m6a", "m6g", "t3a"]}]),
        "burstableInstances": st.just("disabled"),
        "maxPrice": st.sampled_from([0.16, 1.0]),
        "azs": st.just(["r-a"]),
        "gpu": st.just({"maxCount": 0}),
        "isGpuOnly": st.just(True),
        "maxSpotInterruptBucket": st.just(0),
    },
)


@given(constraints=_CONSTRAINTS, spot=st.booleans())
def test_d04_leaving_a_constraint_out_never_takes_a_candidate_away(constraints: dict[str, Any], spot: bool) -> None:
    """The fewer constraints, the better the match and the price: so says the promise."""
    terms = {"spot": spot, "onDemand": True}
    narrow = {each.offering for each in found(constraints={**constraints, **terms}).all}

    for name in constraints:
        less = {key: value for key, value in constraints.items() if key != name}
        assert narrow <= {each.offering for each in found(constraints={**less, **terms}).all}
