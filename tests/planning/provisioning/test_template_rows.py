"""Rows about templates that no other file here has by nature: mass interruption, cost over time, edits, four clouds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.nodeclaim import NodeClaim
from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.catalog.catalog import load_catalog
from stratos.planning.packing.pack import Effort
from stratos.planning.packing.problem import Packing
from stratos.planning.provisioning import plan_provisioning
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.candidates import candidates_of
from stratos.planning.provisioning.plan import ProvisioningPlan
from stratos.planning.provisioning.strategies import choose_machines
from stratos.planning.scheduling.cluster import ClusterState
from stratos.planning.scheduling.placement import PlacedPod
from stratos.testing.provisioning_builders import (
    GROUND,
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

GPU_SHOP = a_shop(
    (a_type("c6a.large", 2, 4), 0.0765),
    (a_type("p2.xlarge", 4, 61, gpu=a_gpu("K80")), 0.9),
    (a_type("p2.8xlarge", 32, 488, gpu=a_gpu("K80", 8)), 7.2),
    (a_type("p3.2xlarge", 8, 61, gpu=a_gpu("V100")), 3.06, 0.3),
    (a_type("p3dn.24xlarge", 96, 768, gpu=a_gpu("V100-32", 8)), 31.2),
    (a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)), 21.96),
    (a_type("g3.4xlarge", 16, 122, gpu=a_gpu("M60")), 1.14, 0.34),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), 0.526, 0.16),
    (a_type("g5.xlarge", 4, 16, gpu=a_gpu("A10G")), 1.006, 0.43),
    (a_type("g4ad.xlarge", 4, 16, gpu=a_gpu("V520", 1, "amd")), 0.379),
    (a_type("g6.xlarge", 4, 16, gpu=a_gpu("L4")), 0.805, 0.1),
)


def planned(template: NodeTemplate, waiting: Sequence[Pod], *, claims: Sequence[NodeClaim] = ()) -> ProvisioningPlan:
    return plan_provisioning(a_look(template, waiting=waiting, claims=claims, shop=GPU_SHOP), effort=Effort.FAST)


def matches(**constraints: Any) -> list[str]:
    return sorted(candidates_of(a_template(constraints=constraints), GPU_SHOP, GROUND).types)


@pytest.mark.parametrize(
    ("architectures", "found"),
    [(["amd64"], ["m6a.large"]), (["arm64"], ["m6g.large"]), (["amd64", "arm64"], ["m6a.large", "m6g.large"])],
)
def test_d11_one_architecture_or_both(architectures: list[str], found: list[str]) -> None:
    """Images decide it, and only their owner knows."""
    shop = a_shop((a_type("m6a.large", 2, 8), 0.0864), (a_type("m6g.large", 2, 8, arch="arm64"), 0.077))

    assert sorted(candidates_of(a_template(constraints={"architectures": architectures}), shop, GROUND).types) == found


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("", ["c6a.large", "i4i.large", "m6a.large"]),
        ("enabled", ["c6a.large"]),
        ("disabled", ["i4i.large", "m6a.large"]),
    ],
)
def test_d13_compute_optimised_in_three_states(state: str, found: list[str]) -> None:
    """Unset is not the same as no."""
    shop = a_shop(
        (a_type("c6a.large", 2, 4), 0.0765),
        (a_type("m6a.large", 2, 8), 0.0864),
        (a_type("i4i.large", 2, 16, local_nvme_gb=468), 0.172),
    )

    found_types = candidates_of(a_template(constraints={"computeOptimizedState": state}), shop, GROUND).types
    assert sorted(found_types) == found


def test_d14_cores_and_memory_within_their_bounds() -> None:
    """Both ends belong to the range."""
    assert matches(minCpu=8, maxCpu=32, minMemory=61 * 1024, maxMemory=122 * 1024) == ["g3.4xlarge", "p3.2xlarge"]


def test_d10_when_all_spot_is_taken_back_at_once_every_pod_has_a_machine_on_demand() -> None:
    """Each refusal takes one offering away; the last resort is dearer, and there."""
    constraints = {"spot": True, "useSpotFallbacks": True, "instanceFamilies": {"include": ["g3", "g4dn"]}}
    template = a_template(isDefault=True, constraints=constraints)
    pods = [a_waiting_pod(f"train-{n}", cpu=2, gpus=1) for n in range(4)]
    claims: list[NodeClaim] = []
    for _ in range(5):
        plan = planned(template, pods, claims=claims)
        status = msgspec.structs.replace(template.status, backed_off=plan.backed_off["general"])
        template = msgspec.structs.replace(template, status=status)
        if all(new.candidate.offering.capacity_type == "on-demand" for new in plan.machines):
            break
        claims = [refused(claim) for claim in claims_for(plan)]

    assert sorted(pod for new in plan.machines for pod in new.pods) == [pod.metadata.key for pod in pods]
    assert {new.node.labels["stratos.sh/spot-fallback"] for new in plan.machines} == {"true"}


def test_d16_a_gpu_on_spot_saves_up_to_nine_tenths() -> None:
    """The claim of the founding text, where the market gives it."""
    pods = [asks_of(a_waiting_pod(f"p{n}", cpu=6, gpus=1)) for n in range(3)]
    only_v100 = {"gpu": {"includeNames": ["V100"]}, "maxCpu": 8}
    full, spot = (
        sum(
            group.packing.cost_usd_per_hour
            for group in choose_machines(pods, a_template(constraints={**only_v100, **terms}), GPU_SHOP)
        )
        for terms in ({}, {"spot": True})
    )

    assert 1 - spot / full == pytest.approx(0.902, abs=0.001)


def test_d15_the_next_pod_without_a_gpu_gets_a_cheap_machine() -> None:
    """What was bought for a job is not the measure of what comes after it."""
    template = a_template(isDefault=True)
    (job,) = planned(template, [a_waiting_pod("job", gpus=1)]).machines
    (web,) = planned(template, [a_waiting_pod("web")]).machines

    assert job.candidate.offering.instance_type == "g4dn.xlarge"
    assert web.candidate.offering.instance_type == "c6a.large"


def test_d19_an_edit_changes_new_machines_and_leaves_those_under_way_as_they_were() -> None:
    """A node that changes its labels under its pods is a node they were not scheduled to."""
    before = a_template(isDefault=True, customLabels={"version": "1"})
    pod = a_waiting_pod("old", nodeSelector={"version": "1"})
    claims = claims_for(planned(before, [pod]))
    after = a_template(isDefault=True, customLabels={"version": "2"})
    waiting = [pod, a_waiting_pod("new", nodeSelector={"version": "2"})]
    plan = planned(after, waiting, claims=claims)

    assert plan.assignments == {"default/old": claims[0].metadata.name}
    assert [(new.pods, new.node.labels["version"]) for new in plan.machines] == [(("default/new",), "2")]


def test_d25_pods_are_packed_where_a_spreading_scheduler_would_have_used_every_node() -> None:
    """Six small pods on the three nodes of a fixed pool keep three nodes busy; packed, they need one."""
    template = a_template(constraints={"minCpu": 4, "gpu": {"maxCount": 0}})
    shop = a_shop((a_type("m6a.xlarge", 4, 16), 0.173))
    pods = [asks_of(a_waiting_pod(f"p{n}", cpu="500m", memory="1Gi")) for n in range(6)]
    (group,) = choose_machines(pods, template, shop)

    assert len(group.packing.machines) == 1


@pytest.mark.parametrize(
    ("cloud", "region", "expected"),
    [
        ("aws", "us-west-2", "t3a.xlarge"),
        ("gcp", "us-central1", "e2-standard-4"),
        ("azure", "eastus", "Standard_B4als_v2"),
        ("oci", "us-ashburn-1", "VM.Standard.E3.Flex:2o8g"),
    ],
)
def test_b52_the_same_words_find_a_shared_node_on_each_of_four_clouds(cloud: str, region: str, expected: str) -> None:
    """One template, four price lists."""
    catalog = load_catalog(cloud, region)
    template = a_template(strategy="thresholds", binPacking={"nodeCpu": 4, "nodeMemory": "8Gi"})
    (group,) = choose_machines([asks_of(a_waiting_pod("p"))], template, catalog)
    (machine,) = group.packing.machines

    type_ = catalog.instance_type(machine.candidate.offering.instance_type)
    assert type_.vcpu >= 4
    assert type_.memory_bytes >= 8 * 2**30
    assert type_.name == expected


def test_pods_that_must_be_together_are_not_torn_apart_by_a_limit() -> None:
    """Half a group that looks for its other half is a machine for nothing."""
    near = {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "db"}}}
            ]
        }
    }
    database = a_waiting_pod("db", cpu=14, labels={"app": "db"})
    follower = a_waiting_pod("web", cpu=3, affinity=near, priority=10)
    shop = a_shop((a_type("m6a.xlarge", 4, 16), 0.173), (a_type("m6a.4xlarge", 16, 64), 0.692))

    def plan(cost: float) -> ProvisioningPlan:
        template = a_template(isDefault=True, limits={"costUSDPerHour": cost})
        return plan_provisioning(a_look(template, waiting=[database, follower], shop=shop), effort=Effort.FAST)

    assert [new.pods for new in plan(0.9).machines] == [("default/db",), ("default/web",)]
    alone = plan(0.5)
    assert alone.machines == ()
    assert {left.pod for left in alone.unplaced} == {"default/db", "default/web"}


def test_the_record_of_a_machine_says_why_it_and_no_other() -> None:
    """Months later, the claim is all there is to ask."""
    template = a_template(isDefault=True, strategy="thresholds", constraints={"minCpu": 4})
    (new,) = planned(template, [a_waiting_pod("p", cpu=2, gpus=1)]).machines

    assert new.decision.at == NOW
    assert new.decision.message == (
        "g4dn.xlarge in r-a (on-demand) at $0.5260/h for 1 pod: the cheapest that holds one of them,"
        " of 20 offerings of 10 types"
    )
    assert new.decision.rejected == (
        "g6.xlarge (on-demand): $0.2790/h more",
        "p2.xlarge (on-demand): $0.3740/h more",
        "1 type: constraints.minCpu",
    )


MIXED_SHOP = a_shop(
    (a_type("t3a.small", 2, 2, burstable=True), 0.0188),
    (a_type("c6a.large", 2, 4), 0.0765, 0.03),
    (a_type("c6a.4xlarge", 16, 32), 0.612, 0.2),
    (a_type("m6a.xlarge", 4, 16), 0.173, 0.07),
    (a_type("r6a.2xlarge", 8, 64), 0.4536, 0.15),
)
_CONSTRAINTS: dict[str, Any] = {
    "minCpu": 4,
    "burstableInstances": "disabled",
    "maxMemory": 32 * 1024,
    "instanceFamilies": {"exclude": ["c6a"]},
    "azs": ["r-a"],
}


@settings(max_examples=15, deadline=None)
@given(
    asked=st.lists(
        st.tuples(st.sampled_from(["250m", "900m", "1500m"]), st.sampled_from(["512Mi", "2Gi", "6Gi"])),
        min_size=1,
        max_size=12,
    ),
    stated=st.sets(st.sampled_from(sorted(_CONSTRAINTS)), min_size=1),
)
def test_d04_leaving_out_a_constraint_never_costs_more_than_the_gap_that_is_told(
    asked: list[tuple[str, str]], stated: set[str]
) -> None:
    """The fewer constraints the cheaper: exactly so for the best answer, and within its gap for ours."""
    pods = [asks_of(a_waiting_pod(f"p{n}", cpu=cpu, memory=memory)) for n, (cpu, memory) in enumerate(asked)]

    def packed(names: set[str]) -> Packing:
        constraints = {name: _CONSTRAINTS[name] for name in sorted(names)}
        (group,) = choose_machines(pods, a_template(constraints=constraints), MIXED_SHOP)
        return group.packing

    narrow = packed(stated)
    for name in sorted(stated):
        wide = packed(stated - {name})
        assert not wide.unplaced
        assert wide.cost_usd_per_hour <= narrow.cost_usd_per_hour * (1 + wide.gap) + 1e-9


@settings(max_examples=15, deadline=None)
@given(
    asked=st.lists(
        st.tuples(st.sampled_from(["250m", "1500m", "3"]), st.sampled_from(["512Mi", "6Gi"])), min_size=1, max_size=8
    ),
    strategy=st.sampled_from(["optimal", "thresholds"]),
)
def test_the_bound_of_a_plan_is_below_the_cost_of_the_best_mix(asked: list[tuple[str, str]], strategy: str) -> None:
    """A bound that a better answer undercuts is no bound, whatever strategy it was told with."""
    pods = [a_waiting_pod(f"p{n}", cpu=cpu, memory=memory) for n, (cpu, memory) in enumerate(asked)]
    wishful = a_waiting_pod("wishful", annotations={"stratos.sh/instance-type-regexp": "xlarge"})

    def plan(strategy: str) -> ProvisioningPlan:
        template = a_template(isDefault=True, strategy=strategy)
        return plan_provisioning(a_look(template, waiting=[*pods, wishful], shop=MIXED_SHOP))

    best = plan("optimal")
    assert 0 < plan(strategy).lower_bound_usd_per_hour <= best.cost_usd_per_hour + 1e-9


def test_the_order_of_a_group_s_pods_is_one_in_which_all_can_be_bound() -> None:
    """A pod that spreads away from others fits before they come, and not after."""
    away = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    spread = [{**away, "labelSelector": {"matchLabels": {"app": "web"}}}]
    pods = [a_waiting_pod(f"web-{n}", cpu=3, labels={"app": "web"}, topologySpreadConstraints=spread) for n in range(4)]
    asks = {each.key: each for each in map(asks_of, pods)}
    (group,) = choose_machines(list(asks.values()), a_template(), MIXED_SHOP)
    state, node_of = ClusterState(), dict[str, str]()
    for number, machine in enumerate(group.packing.machines):
        state.set_node(replace(machine.candidate.node, name=f"n{number}"))
        node_of |= dict.fromkeys(machine.pods, f"n{number}")

    assert sorted(group.packing.order) == sorted(asks)
    for key in group.packing.order:
        node = state.nodes[node_of[key]]
        assert state.reject(state.check(asks[key].requirements), node, key) is None
        state.add_pod(PlacedPod(key, asks[key].requirements), node.name)
