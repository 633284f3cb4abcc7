"""A plan is only as good as what it believes of nodes nobody has seen yet: rules are held to nodes that were seen."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import NotFound
from stratos.catalog import aks, eks, gke, oke
from stratos.catalog.allocatable import default_disk_gib, node_allocatable, node_capacity
from stratos.catalog.catalog import load_catalog
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import EVICTION_MEMORY_BYTES, cpu_by_steps, memory_by_steps
from stratos.catalog.zones import DEFAULT_REGIONS

KIBIBYTE, MEBIBYTE, GIBIBYTE = 2**10, 2**20, 2**30
CATALOGS = {cloud: load_catalog(cloud, region) for cloud, region in DEFAULT_REGIONS.items()}


def a_machine(memory_gib: float, *, vcpu: int = 4) -> InstanceType:
    return InstanceType("m", "m", "amd64", vcpu, int(memory_gib * GIBIBYTE), max_pods=110)


@pytest.mark.parametrize(
    ("cloud", "memory_gib", "seen_kib"),
    [
        ("aws", 16, 16038616),
        ("aws", 32, 32399860),
        ("azure", 4, 4016988),
        ("azure", 7, 7097600),
        ("azure", 16, 16403296),
        ("gcp", 32, 32880872),
        ("gcp", 128, 131919220),
        ("gcp", 512, 528365196),
        ("oci", 8, 7657 * 1024),
        ("oci", 12, 11669 * 1024),
        ("oci", 50, 49825 * 1024),
        ("oci", 128, 128292 * 1024),
    ],
)
def test_a_node_has_at_least_the_memory_we_count_on_and_not_much_more(
    cloud: str, memory_gib: int, seen_kib: int
) -> None:
    """A pod planned onto memory that the kernel keeps for itself would wait forever beside its new machine."""
    counted_on = node_capacity(cloud, a_machine(memory_gib))["memory"]

    assert 0.97 * seen_kib * KIBIBYTE < counted_on <= seen_kib * KIBIBYTE * 1.0003


@pytest.mark.parametrize(
    ("reserved", "capacity_kib", "allocatable_kib"),
    [
        (eks.reserved_memory_bytes(58), 32399860, 31383028),
        (gke.reserved_memory_bytes(32880872 * KIBIBYTE), 32880872, 29085928),
        (gke.reserved_memory_bytes(131919220 * KIBIBYTE), 131919220, 122210676),
        (gke.reserved_memory_bytes(528365196 * KIBIBYTE), 528365196, 510603916),
        (aks.reserved_memory_bytes(7097600 * KIBIBYTE, 30), 7097600, 6329600),
    ],
)
def test_memory_is_reserved_as_on_nodes_that_were_seen(reserved: int, capacity_kib: int, allocatable_kib: int) -> None:
    """The difference between capacity and allocatable of real nodes; Google rounds large ones its own way."""
    left = capacity_kib * KIBIBYTE - reserved - EVICTION_MEMORY_BYTES

    assert abs(left - allocatable_kib * KIBIBYTE) < 0.004 * reserved


@pytest.mark.parametrize(("vcpu", "reserved"), [(1, 60), (2, 70), (4, 80), (8, 90), (16, 110), (64, 230), (96, 310)])
def test_cpu_is_reserved_by_the_published_steps(vcpu: int, reserved: int) -> None:
    """The steps that EKS, GKE and OKE share."""
    assert cpu_by_steps(vcpu) == reserved


@pytest.mark.parametrize(("vcpu", "reserved"), [(1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740)])
def test_aks_reserves_cpu_by_its_own_table(vcpu: int, reserved: int) -> None:
    """Every line of the published table."""
    assert aks.reserved_cpu_millis(vcpu) == reserved


@pytest.mark.parametrize(
    ("gibibytes", "reserved_gib"), [(4, 1.0), (8, 1.8), (16, 2.6), (128, 9.32), (228, 11.32), (0, 0)]
)
def test_memory_is_reserved_by_the_published_steps(gibibytes: int, reserved_gib: float) -> None:
    assert memory_by_steps(gibibytes * GIBIBYTE) == pytest.approx(reserved_gib * GIBIBYTE, abs=8)


def test_a_shared_core_of_google_has_less_than_one_core_for_pods() -> None:
    """It shows two, and 1060 millicores of them are reserved."""
    assert node_allocatable("gcp", CATALOGS["gcp"].instance_type("e2-medium"))["cpu"] == 940


def test_what_is_left_for_pods_matches_a_node_of_eks() -> None:
    """m5.large: 29 pods, so 255 + 11 × 29 MiB for the kubelet and 100 MiB before eviction."""
    machine = CATALOGS["aws"].instance_type("m5.large")
    allocatable, capacity = node_allocatable("aws", machine), node_capacity("aws", machine)

    assert allocatable["cpu"] == 1930
    assert capacity["memory"] - allocatable["memory"] == (255 + 11 * 29 + 100) * MEBIBYTE
    assert allocatable["pods"] == 29


def test_oke_keeps_some_for_the_system_beside_the_kubelet() -> None:
    assert oke.reserved_cpu_millis(2) == 70 + 100
    assert oke.reserved_memory_bytes(4 * GIBIBYTE) == GIBIBYTE + 100 * MEBIBYTE


def test_a_disk_of_gke_is_as_small_to_pods_as_it_was_seen_to_be() -> None:
    """43.8 GiB of 100 were left."""
    left = node_allocatable("gcp", a_machine(16))["ephemeral-storage"]

    assert default_disk_gib("gcp") == 100
    assert 0.95 * 47060071478 < left <= 47060071478


@given(data=st.data(), max_pods=st.none() | st.integers(1, 250), disk_gib=st.integers(8, 4000))
def test_nothing_is_allocatable_that_the_machine_does_not_have(
    data: st.DataObject, max_pods: int | None, disk_gib: int
) -> None:
    catalog = CATALOGS[data.draw(st.sampled_from(sorted(CATALOGS)))]
    type_ = catalog.instance_types[data.draw(st.sampled_from(sorted(catalog.instance_types)))]
    capacity = node_capacity(catalog.cloud, type_, max_pods=max_pods, disk_gib=disk_gib)
    allocatable = node_allocatable(catalog.cloud, type_, max_pods=max_pods, disk_gib=disk_gib)

    assert capacity.keys() == allocatable.keys()
    assert all(0 <= allocatable[resource] <= capacity[resource] for resource in capacity)
    assert capacity["memory"] < type_.memory_bytes


@given(memory_gib=st.integers(2, 1000), cloud=st.sampled_from(sorted(CATALOGS)))
def test_a_larger_machine_never_leaves_less(memory_gib: int, cloud: str) -> None:
    """Steps that overlap or leave gaps would show here."""
    smaller = a_machine(memory_gib)
    larger = replace(smaller, memory_bytes=smaller.memory_bytes + GIBIBYTE, vcpu=smaller.vcpu + 1)

    for resource, amount in node_allocatable(cloud, smaller).items():
        assert node_allocatable(cloud, larger)[resource] >= amount


def test_a_cloud_nobody_knows_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFound) as caught:
        node_capacity("nimbus", a_machine(4))

    assert "azure" in caught.value.explain()
