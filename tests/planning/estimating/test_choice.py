"""Why this machine: the law is that nothing that would have done was cheaper, whatever is asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.nodetemplate import NodeTemplateSpec
from stratos.planning.estimating.choice import Choice, choice_for
from stratos.planning.estimating.estimate import Place, estimate
from stratos.planning.estimating.workloads import read_workload
from stratos.planning.provisioning.asks import PodAsks, asks_of, fits
from stratos.planning.provisioning.strategies import Shelf
from stratos.testing.provisioning_builders import GROUND, a_gpu, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop(
    (a_type("s.small", 2, 4), 0.05, 0.02),
    (a_type("s.large", 8, 16), 0.20, 0.06),
    (a_type("m.large", 8, 64), 0.40, None),
    (a_type("a.large", 8, 16, arch="arm64"), 0.15, 0.05),
    (a_type("g.one", 8, 32, gpu=a_gpu("T4")), 0.90, 0.30),
    (a_type("g.four", 32, 128, gpu=a_gpu("L4", 4)), 3.60, 1.10),
)


def shelf(**constraints: Any) -> Shelf:
    return Shelf(a_template(strategy="thresholds", constraints=constraints), SHOP, GROUND)


def asks(cpu: str = "1", memory: str = "1Gi", gpus: int = 0, **annotations: str) -> PodAsks:
    stated = {f"stratos.sh/instance-{name.replace('_', '-')}": value for name, value in annotations.items()}
    return asks_of(a_waiting_pod("web", cpu=cpu, memory=memory, gpus=gpus, annotations=stated))


def without(choice: Choice) -> dict[str, str]:
    return {each.constraint: each.instance_type for each in choice.what_if}


@settings(max_examples=60, deadline=None)
@given(
    cpu=st.integers(1, 40),
    memory=st.integers(1, 150),
    gpus=st.integers(0, 5),
    offerings=st.sampled_from(["on-demand", "spot", "spot,on-demand"]),
    skus=st.sampled_from(["", "T4", "L4,T4"]),
)
def test_b09_nothing_that_would_do_is_cheaper(cpu: int, memory: int, gpus: int, offerings: str, skus: str) -> None:
    """And what nothing would do for has no machine at all."""
    wished = {"offerings": offerings} | ({"gpu_skus": skus} if skus else {})
    pod = asks(str(cpu), f"{memory}Gi", gpus, **wished)
    choice = choice_for(pod, shelf())
    able = [
        each
        for each in shelf().candidates(pod.wishes, any_terms=True).all
        if fits(pod, each) and each.offering.capacity_type in offerings
    ]
    if choice.best is None:
        assert able == []
    else:
        assert choice.best.price_usd_per_hour == min(each.price_usd_per_hour for each in able)
        assert all(each.price_usd_per_hour >= choice.best.price_usd_per_hour for each in choice.runners_up)
        assert all(each.saving_usd_per_hour is not None and each.saving_usd_per_hour > 0 for each in choice.what_if)


def test_b59_each_constraint_that_costs_something_says_how_much() -> None:
    """What costs most comes first: it is the first to think about."""
    choice = choice_for(asks(type_regexp="large$", family_exclusions="s"), shelf(minCpu=8))
    assert choice.best is not None
    assert choice.best.offering.instance_type == "m.large"
    assert without(choice) == {"annotation instance-family-exclusions": "s.large"}
    assert choice.what_if[0].saving_usd_per_hour == pytest.approx(0.20)


def test_constraints_of_the_template_count_like_those_of_the_pod() -> None:
    """Those that cost nothing are left out: giving them up would change nothing."""
    assert without(choice_for(asks(), shelf(architectures=["amd64"], maxCpu=64))) == {}
    choice = choice_for(asks("6"), shelf(gpu={"manufacturers": ["NVIDIA"]}))
    assert without(choice) == {"constraints.gpu": "s.large"}


def test_without_a_machine_the_way_out_is_told_with_its_price() -> None:
    """Nothing fits is an answer; what would make something fit is a better one."""
    choice = choice_for(asks("6", max_cost="0.1"), shelf())
    assert choice.best is None
    assert choice.what_if[0].constraint == "annotation instance-max-cost"
    assert choice.what_if[0].instance_type == "s.large"
    assert choice.what_if[0].saving_usd_per_hour is None
    assert [each.instance_type for each in choice.too_small] == ["s.small"]


@settings(max_examples=25, deadline=None)
@given(replicas=st.integers(1, 9), cpu=st.integers(1, 6), others=st.integers(0, 5))
def test_an_estimate_adds_up_and_is_never_below_its_bound(replicas: int, cpu: int, others: int) -> None:
    """Every pod is counted once, every machine paid for once, and the bound is one."""

    def deployment(name: str, count: int, cores: int) -> Any:
        container = {"name": "main", "resources": {"requests": {"cpu": str(cores), "memory": "1Gi"}}}
        spec = {"replicas": count, "template": {"spec": {"containers": [container]}}}
        return read_workload({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})

    workloads = [deployment("a", replicas, cpu), deployment("b", others, 1)]
    spec = msgspec.convert(
        {"nodeClassRef": {"kind": "SimNodeClass", "name": "x"}, "strategy": "thresholds"}, NodeTemplateSpec
    )
    answer = estimate(workloads, spec, Place(SHOP), mixes_small_pods=True)

    assert sum(group.pods for each in answer.workloads for group in each.groups) == replicas + others
    assert sum(each.total_usd_per_hour for each in answer.workloads) == pytest.approx(answer.total_usd_per_hour)
    assert sum(group.share for each in answer.workloads for group in each.groups) == pytest.approx(answer.machines)
    assert answer.lower_bound_usd_per_hour <= answer.total_usd_per_hour + 1e-9
