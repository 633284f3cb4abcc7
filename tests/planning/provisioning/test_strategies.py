from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratos.apis.nodetemplate import NodeTemplate
from stratos.apis.pod import Pod
from stratos.catalog.catalog import Catalog, load_catalog
from stratos.planning.packing.pack import Effort
from stratos.planning.provisioning.asks import asks_of
from stratos.planning.provisioning.strategies import BIN_PACKING, BIN_SELECTION, Group, choose_machines
from stratos.testing.provisioning_builders import a_gpu, a_shop, a_template, a_type, a_waiting_pod

SHOP = a_shop(
    (a_type("t3a.small", 2, 2, burstable=True), 0.0188),
    (a_type("c6a.xlarge", 4, 8), 0.153, 0.06),
    (a_type("m6a.xlarge", 4, 16), 0.173, 0.07),
    (a_type("m6a.2xlarge", 8, 32), 0.346, 0.14),
    (a_type("m6g.xlarge", 4, 16, arch="arm64"), 0.12, 0.05),
    (a_type("g4dn.xlarge", 4, 16, gpu=a_gpu("T4")), 0.526, 0.16),
    (a_type("g4dn.12xlarge", 48, 192, gpu=a_gpu("T4", 4)), 3.912, 1.2),
    (a_type("g6.xlarge", 4, 16, gpu=a_gpu("L4")), 0.805, 0.3),
    (a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)), 21.96, 8.8),
)


def chosen(*pods: Pod, shop: Catalog = SHOP, template: NodeTemplate | None = None, **spec: Any) -> tuple[Group, ...]:
    template = template or a_template(strategy="thresholds", **spec)
    return choose_machines([asks_of(pod) for pod in pods], template, shop, effort=Effort.FAST)


def bought(*groups: Group) -> list[tuple[str, str, int]]:
    """Type, terms and number of pods of each machine."""
    return [
        (machine.candidate.offering.instance_type, machine.candidate.offering.capacity_type.value, len(machine.pods))
        for group in groups
        for machine in group.packing.machines
    ]


@pytest.mark.parametrize(
    ("asks", "strategy"),
    [
        ({"cpu": "1999m"}, BIN_PACKING),
        ({"cpu": "2"}, BIN_SELECTION),
        ({"memory": "8191Mi"}, BIN_PACKING),
        ({"memory": "8Gi"}, BIN_SELECTION),
        ({"gpus": 1}, BIN_SELECTION),
        ({"annotations": {"node.elotl.co/instance-family-exclusions": "t3,t3a"}}, BIN_SELECTION),
    ],
)
def test_b06_a_pod_at_a_threshold_gets_a_machine_selected_for_it(asks: dict[str, Any], strategy: str) -> None:
    """Thresholds are inclusive, and any one of them is enough."""
    (group,) = chosen(a_waiting_pod("p", **asks))

    assert group.strategy == strategy


def test_b06_gpu_pods_below_the_gpu_threshold_share() -> None:
    """Small models side by side on one machine cost a share of it each."""
    pods = [a_waiting_pod(f"p{n}", gpus=1) for n in range(2)]
    (group,) = chosen(*pods, binSelection={"podGPUThreshold": 2}, binPacking={"nodeGPU": 2})

    assert group.strategy == BIN_PACKING
    assert bought(group) == [("g4dn.12xlarge", "on-demand", 2)]


def test_b07_any_instance_annotation_gives_even_a_tiny_pod_its_own_machine() -> None:
    """Who names a family wants it, whatever shared nodes are made of."""
    tiny = a_waiting_pod("tiny", annotations={"node.elotl.co/instance-family-inclusions": "m6a"})
    groups = chosen(tiny, a_waiting_pod("other"))

    assert {group.strategy: bought(group) for group in groups} == {
        BIN_SELECTION: [("m6a.xlarge", "on-demand", 1)],
        BIN_PACKING: [("c6a.xlarge", "on-demand", 1)],
    }


def test_b08_shared_nodes_are_the_cheapest_type_of_the_minimum_shape() -> None:
    """Four cores and 8 GiB on Google mean the smallest compute machine there, at the shipped prices."""
    google = load_catalog("gcp", "us-central1")
    spec: dict[str, Any] = {
        "binPacking": {"nodeCpu": "4", "nodeMemory": "8Gi"},
        "constraints": {"computeOptimizedState": "enabled"},
    }
    template = a_template(strategy="thresholds", **spec)
    (group,) = chosen(a_waiting_pod("p"), shop=google, template=template)

    assert bought(group) == [("c2d-highcpu-4", "on-demand", 1)]


def test_b08_shared_nodes_can_run_as_many_pods_as_they_have_to() -> None:
    """Where the cloud's network plugin allows few pods, a large node is half a node."""
    (small,) = chosen(a_waiting_pod("p"), binPacking={"nodeMinPodCount": 111})
    assert small.packing.machines == ()
    assert "binPacking.nodeMinPodCount" in small.packing.unplaced[0].message


def test_b10_families_and_expressions_hold_together() -> None:
    """Two annotations that each allow something may leave one type."""
    wants = {
        "node.elotl.co/instance-family-inclusions": "m6a,c6a",
        "stratos.sh/instance-type-regexp": "^*.2xlarge$",
    }
    assert bought(*chosen(a_waiting_pod("p", annotations=wants))) == [("m6a.2xlarge", "on-demand", 1)]


@pytest.mark.parametrize(
    ("skus", "expected"), [("L4,A10G", "g6.xlarge"), ("a100", "p4d.24xlarge"), ("T4,L4", "g4dn.xlarge")]
)
def test_b11_any_of_the_listed_gpus_will_do(skus: str, expected: str) -> None:
    """Preferred devices are often sold out: a list is how to say that others are as good."""
    pod = a_waiting_pod("p", gpus=1, annotations={"node.elotl.co/instance-gpu-skus": skus})

    assert bought(*chosen(pod)) == [(expected, "on-demand", 1)]


def test_b11_an_unknown_gpu_leaves_the_pod_with_the_names_there_are() -> None:
    """Waiting for a device that nobody sells is waiting for ever."""
    (group,) = chosen(a_waiting_pod("p", gpus=1, annotations={"node.elotl.co/instance-gpu-skus": "L5"}))

    assert group.packing.machines == ()
    assert "no machine here has a GPU called 'L5'; known are A100-40, L4, T4" in group.packing.unplaced[0].message


@pytest.mark.parametrize(
    "annotations", [{"node.elotl.co/instance-max-gpus": "2"}, {"node.elotl.co/instance-max-cost": "3.5"}]
)
def test_b12_a_type_above_the_cap_is_never_chosen(annotations: dict[str, str]) -> None:
    """A cap that gives way when nothing else is left is no cap."""
    (group,) = chosen(a_waiting_pod("p", cpu=1, gpus=4, annotations=annotations))

    assert group.packing.machines == ()
    assert [left.pod for left in group.packing.unplaced] == ["default/p"]


@pytest.mark.parametrize(
    ("offerings", "expected"),
    [
        ("spot", ("m6a.xlarge", "spot")),
        ("on-demand", ("m6a.xlarge", "on-demand")),
        ("spot,on-demand", ("m6a.xlarge", "spot")),
    ],
)
def test_b13_the_pod_says_which_terms_it_takes(offerings: str, expected: tuple[str, str]) -> None:
    """A job that can be repeated takes spot; the server next to it does not."""
    pod = a_waiting_pod("p", cpu=3, memory="12Gi", annotations={"node.elotl.co/instance-offerings": offerings})

    assert [each[:2] for each in bought(*chosen(pod))] == [expected]


def test_b13_fargate_is_understood_and_sold_by_nobody_here() -> None:
    """Manifests that name it are no mistake, but no machine comes of it."""
    (group,) = chosen(a_waiting_pod("p", annotations={"node.elotl.co/instance-offerings": "fargate"}))

    assert group.packing.machines == ()
    assert "instance-offerings" in group.packing.unplaced[0].message


def test_b36_slices_let_pods_share_a_gpu() -> None:
    """Two pods that each use half a device need one, once the device is shared."""
    pods = [a_waiting_pod(f"p{n}", gpus=1) for n in range(2)]
    shape: dict[str, Any] = {"binSelection": {"podGPUThreshold": 2}, "binPacking": {"nodeGPU": 2}}

    assert bought(*chosen(*pods, **shape)) == [("g4dn.12xlarge", "on-demand", 2)]
    assert bought(*chosen(*pods, nvidiaGPUTimeSlices=2, **shape)) == [("g4dn.xlarge", "on-demand", 2)]


def test_b37_slices_are_counted_before_machines_are_bought() -> None:
    """Bought one by one, every second machine would turn out to be one too many."""
    pods = [a_waiting_pod(f"p{n}", gpus=1) for n in range(4)]
    (group,) = chosen(*pods, nvidiaGPUTimeSlices=4)

    assert bought(group) == [("g4dn.xlarge", "on-demand", 4)]


def test_b45_arm_is_used_when_it_is_cheaper_and_allowed() -> None:
    """Images have to be built for it: nobody gets it unasked."""
    pod = a_waiting_pod("p", cpu=3)

    assert bought(*chosen(pod)) == [("c6a.xlarge", "on-demand", 1)]
    both = chosen(pod, constraints={"architectures": ["amd64", "arm64"]})
    assert bought(*both) == [("m6g.xlarge", "on-demand", 1)]


def test_b42_a_pod_that_is_resized_changes_sides() -> None:
    """Recommendations make large pods small and small ones large; each new pod is judged by what it asks for."""
    assert [group.strategy for group in chosen(a_waiting_pod("web", cpu="163m"))] == [BIN_PACKING]
    assert [group.strategy for group in chosen(a_waiting_pod("web", cpu="2406m"))] == [BIN_SELECTION]


def test_pods_alike_share_the_machine_that_the_price_of_one_node_chose() -> None:
    """The type is chosen for one pod; what it has left over is for the next."""
    pods = [a_waiting_pod(f"w{n}", cpu=16, memory="16Gi", gpus=2) for n in range(2)]

    assert bought(*chosen(*pods)) == [("g4dn.12xlarge", "on-demand", 2)]


_PODS = st.lists(
    st.tuples(
        st.sampled_from(["100m", "900m", "1900m", "2", "3500m", "7"]),
        st.sampled_from(["128Mi", "3Gi", "7Gi", "12Gi"]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(asked=_PODS, strategy=st.sampled_from(["optimal", "thresholds"]))
def test_every_pod_is_on_one_machine_that_holds_it_or_told_why_not(
    asked: list[tuple[str, str, int]], strategy: str
) -> None:
    """The law of provisioning, whatever the strategy."""
    pods = [a_waiting_pod(f"p{n}", cpu=cpu, memory=memory, gpus=gpus) for n, (cpu, memory, gpus) in enumerate(asked)]
    groups = chosen(*pods, template=a_template(strategy=strategy))
    asks = {each.key: each for each in map(asks_of, pods)}
    on_machines = [key for group in groups for machine in group.packing.machines for key in machine.pods]
    told = [left.pod for group in groups for left in group.packing.unplaced]
    shared = [key for group in groups for key in group.packing.assignments]

    assert sorted([*on_machines, *told, *shared]) == sorted(asks)
    for group in groups:
        for machine in group.packing.machines:
            for resource, amount in machine.candidate.node.allocatable.items():
                taken = sum(asks[key].amount(resource) for key in machine.pods)
                assert taken <= amount


@settings(max_examples=40)
@given(
    cpu=st.sampled_from(["2", "3500m", "7"]),
    memory=st.sampled_from(["1Gi", "7Gi", "12Gi", "28Gi"]),
    gpus=st.sampled_from([0, 1, 2]),
)
def test_b09_no_type_that_holds_the_pod_is_cheaper_than_the_one_chosen(cpu: str, memory: str, gpus: int) -> None:
    """The cheapest machine for any pod, literally."""
    pod = asks_of(a_waiting_pod("p", cpu=cpu, memory=memory, gpus=gpus))
    (group,) = choose_machines([pod], a_template(strategy="thresholds"), SHOP, effort=Effort.FAST)
    able = [
        candidate.price_usd_per_hour
        for candidate in group.candidates.all
        if all(amount <= candidate.node.allocatable.get(name, 0) for name, amount in pod.requirements.requests)
    ]

    assert group.packing.cost_usd_per_hour == min(able)


@settings(max_examples=25)
@given(asked=_PODS, seed=st.randoms(use_true_random=False))
def test_the_order_of_the_pods_makes_no_difference(asked: list[tuple[str, str, int]], seed: Any) -> None:
    """Two controllers, or two runs, must not buy different machines for the same pods."""
    pods = [a_waiting_pod(f"p{n}", cpu=cpu, memory=memory, gpus=gpus) for n, (cpu, memory, gpus) in enumerate(asked)]
    shuffled = list(pods)
    seed.shuffle(shuffled)

    assert [group.packing for group in chosen(*pods)] == [group.packing for group in chosen(*shuffled)]
