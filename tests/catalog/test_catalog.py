"""Prices and sizes steer every decision, so a lookup must be right, quick, and plain about what it does not know."""

import gzip
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import NotFound
from stratos.catalog.catalog import load_catalog
from stratos.catalog.eks import node_allocatable, node_capacity, reserved_cpu_millis
from stratos.catalog.instance_type import CapacityType

US_EAST = load_catalog("aws", "us-east-1")
type_names = st.sampled_from(sorted(US_EAST.instance_types))


def test_a_type_is_found_with_its_size_and_prices() -> None:
    """The types of the example manifests, as the price list has them."""
    inference = US_EAST.instance_type("g5.2xlarge")
    on_demand = US_EAST.offering("g5.2xlarge", "us-east-1a", CapacityType.ON_DEMAND)
    spot = US_EAST.offering("g5.2xlarge", "us-east-1a", CapacityType.SPOT)

    assert (inference.vcpu, inference.memory_bytes, inference.arch) == (8, 32 * 2**30, "amd64")
    assert inference.gpu is not None
    assert (inference.gpu.resource, inference.gpu.sku, inference.gpu.count) == ("nvidia.com/gpu", "A10G", 1)
    assert on_demand is not None and spot is not None
    assert (on_demand.price_usd_per_hour, spot.price_usd_per_hour) == (1.212, 0.50904)


def test_a_slice_of_a_gpu_is_one_device_to_its_machine() -> None:
    """A pod asks for whole devices: an eighth of one must not round down to none."""
    gpu = US_EAST.instance_type("g6f.large").gpu

    assert gpu is not None and gpu.devices == 1 and gpu.memory_gib < 3


@pytest.mark.parametrize(
    ("cloud", "region", "named"),
    [("aws", "us-east-9", "us-east-1"), ("nimbus", "us-east-1", "aws")],
)
def test_an_unknown_region_or_cloud_is_answered_with_those_there_are(cloud: str, region: str, named: str) -> None:
    with pytest.raises(NotFound) as caught:
        load_catalog(cloud, region)

    assert named in caught.value.explain()


def test_a_misspelt_type_is_answered_with_the_one_meant() -> None:
    with pytest.raises(NotFound) as caught:
        US_EAST.offerings("m5.larg")

    assert "m5.large" in (caught.value.hint or "")


def test_every_region_of_the_data_loads() -> None:
    data = gzip.decompress((resources.files("stratos.catalog") / "data/aws.csv.gz").read_bytes()).decode()
    regions = {line.partition(",")[0] for line in data.splitlines()[1:]}

    assert len(regions) == 7
    for region in regions:
        catalog = load_catalog("aws", region)
        assert len(catalog.instance_types) > 500
        assert all(zone.startswith(region) for zone in catalog.zones)


@given(name=type_names)
def test_spot_is_never_dearer_than_on_demand(name: str) -> None:
    """A spot price above on-demand would mean that columns were swapped on the way in."""
    prices = {
        (offering.zone, offering.capacity_type): offering.price_usd_per_hour for offering in US_EAST.offerings(name)
    }

    for (zone, capacity_type), price in prices.items():
        assert price > 0
        if capacity_type is CapacityType.SPOT:
            assert price <= prices[zone, CapacityType.ON_DEMAND]


@pytest.mark.parametrize(("vcpu", "reserved"), [(1, 60), (2, 70), (4, 80), (8, 90), (96, 310)])
def test_cpu_is_reserved_by_the_published_steps(vcpu: int, reserved: int) -> None:
    assert reserved_cpu_millis(vcpu) == reserved


def test_what_is_left_for_pods_matches_a_node_of_the_cloud() -> None:
    """m5.large: 29 pods, so 255 + 11 × 29 MiB for the kubelet and 100 MiB before eviction."""
    allocatable = node_allocatable(US_EAST.instance_type("m5.large"))

    assert allocatable["cpu"] == 1930
    assert allocatable["memory"] == (8192 - 255 - 11 * 29 - 100) * 2**20
    assert allocatable["pods"] == 29


@given(name=type_names, max_pods=st.none() | st.integers(1, 250), disk_gib=st.integers(8, 4000))
def test_nothing_is_allocatable_that_the_machine_does_not_have(name: str, max_pods: int | None, disk_gib: int) -> None:
    type_ = US_EAST.instance_type(name)
    capacity = node_capacity(type_, max_pods=max_pods, disk_gib=disk_gib)
    allocatable = node_allocatable(type_, max_pods=max_pods, disk_gib=disk_gib)

    assert capacity.keys() == allocatable.keys()
    assert all(0 <= allocatable[resource] <= capacity[resource] for resource in capacity)
