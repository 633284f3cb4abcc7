"""Prices and sizes steer every decision, so a lookup must be right, quick, and plain about what it does not know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import NotFound
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import DEFAULT_REGIONS, load_catalog, regions
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


def test_a_slice_of_a_gpu_is_never_a_whole_one() -> None:
    """A pod that asks for one GPU must not end on an eighth of one, though its node would show it as one."""
    eighth = US_EAST.instance_type("g6f.large")

    assert eighth.gpu is not None
    assert eighth.gpu.is_fractional
    assert (eighth.gpu.count, eighth.gpu.devices) == (0.125, 0)
    assert eighth.gpu.resource not in node_allocatable("aws", eighth)


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


@pytest.mark.parametrize(
    ("cloud", "regions_listed", "types_at_least"),
    [("aws", 7, 500), ("azure", 3, 1000), ("gcp", 4, 300), ("oci", 1, 800)],
)
def test_every_region_of_every_cloud_loads(cloud: str, regions_listed: int, types_at_least: int) -> None:
    """Data that cannot be read would only show where somebody happens to look."""
    assert len(regions(cloud)) == regions_listed
    assert DEFAULT_REGIONS[cloud] in regions(cloud)
    for region in regions(cloud):
        catalog = load_catalog(cloud, region)
        assert len(catalog.instance_types) >= types_at_least
        assert all(catalog.offerings(name) for name in catalog.instance_types)


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
