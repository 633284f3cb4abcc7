"""Prices and sizes steer every decision, so a lookup must be right, quick, and plain about what it does not know."""

import re
import time
import timeit
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import Invalid, NotFound
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import SHIPPED, clouds, load_catalog, read_catalog, regions
from stratos.catalog.instance_type import CapacityType, Offering
from stratos.catalog.tables import ListPrice, PriceRow, write_prices, write_types
from stratos.catalog.zones import DEFAULT_REGIONS

US_EAST = load_catalog("aws", "us-east-1")


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


def test_every_price_says_where_it_is_from_and_of_when() -> None:
    """A price without a date is a rumour."""
    for cloud in clouds():
        offerings = load_catalog(cloud, DEFAULT_REGIONS[cloud]).offerings_by_type.values()
        assert all(offering.price_source and offering.price_as_of for each in offerings for offering in each)


def test_interruptions_are_known_where_the_cloud_publishes_them() -> None:
    """AWS does, in five buckets."""
    spot = [o for each in US_EAST.offerings_by_type.values() for o in each if o.capacity_type is CapacityType.SPOT]

    assert {offering.interruption_bucket for offering in spot} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("cloud", "region", "zone"),
    [
        ("aws", "us-east-1", "us-east-1a"),
        ("azure", "eastus", "eastus-1"),
        ("gcp", "us-central1", "us-central1-f"),
        ("oci", "us-ashburn-1", "US-ASHBURN-AD-1"),
    ],
)
def test_zones_are_called_as_nodes_are_labelled(cloud: str, region: str, zone: str) -> None:
    """A plan that names them otherwise would never match a pod's zone."""
    assert zone in load_catalog(cloud, region).zones


def test_a_type_is_offered_only_in_the_zones_that_have_it() -> None:
    """g2 machines are in three of the five zones of us-central1."""
    google = load_catalog("gcp", "us-central1")

    assert {offering.zone[-1] for offering in google.offerings("g2-standard-4")} == {"a", "b", "c"}
    assert google.offering("g2-standard-4", "us-central1-f", CapacityType.ON_DEMAND) is None


def test_what_a_cloud_takes_away_is_not_offered_unless_asked_for() -> None:
    """Of two old types one is still sold for good (g3), the other is going (g2)."""
    everything = load_catalog("aws", "us-east-1", retired=True)

    assert US_EAST.instance_type("g3.8xlarge").lifecycle == "previous"
    assert "g2.8xlarge" not in US_EAST.instance_types
    assert everything.instance_type("g2.8xlarge").lifecycle == "retired"


def test_d02_a_family_added_at_run_time_is_found_like_any_other() -> None:
    """A cloud's new machines are of use the day they are published, with nothing edited."""
    new = replace(US_EAST.instance_type("m5.large"), name="m99.large", family="m99")
    offers = [Offering("m99.large", zone, CapacityType.ON_DEMAND, 0.01) for zone in ("us-east-1b", "us-east-1a")]

    catalog = US_EAST.with_types([new], offers)

    assert catalog.instance_type("m99.large") is new
    assert [offer.zone for offer in catalog.offerings("m99.large")] == ["us-east-1a", "us-east-1b"]
    assert catalog.offerings("m5.large") == US_EAST.offerings("m5.large")
    assert "m99.large" not in US_EAST.instance_types


def test_an_offering_of_a_type_nobody_described_is_refused() -> None:
    """Its size would be anybody's guess."""
    with pytest.raises(Invalid, match="m99"):
        US_EAST.with_types([], [Offering("m99.large", "us-east-1a", CapacityType.ON_DEMAND, 0.01)])


def test_accelerators_are_asked_for_by_the_name_of_their_makers_plugin() -> None:
    """A pod that asks for nvidia.com/gpu has no use for another maker's; an FPGA is no GPU at all."""
    azure = load_catalog("azure", "eastus")
    gpus = {type_.gpu.resource for type_ in US_EAST.instance_types.values() if type_.gpu}

    assert gpus == {"nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi"}
    assert azure.instance_type("Standard_NP10s").gpu is None


def test_other_tables_take_the_place_of_those_shipped(tmp_path: Path) -> None:
    """As ``stratos catalog refresh`` leaves them in a directory."""
    row = PriceRow("here", "m5.large", ("1",), ListPrice(1.5, "test", "2026-01-01"), None)
    unpriced = PriceRow("here", "m5.xlarge", ("1",), None, None)
    (tmp_path / "aws-types.csv.gz").write_bytes(write_types(US_EAST.instance_types.values()))
    (tmp_path / "aws-prices.csv.gz").write_bytes(write_prices([row, unpriced]))

    assert clouds(tmp_path) == ("aws",)
    assert regions("aws", tmp_path) == ("here",)
    catalog = read_catalog("aws", "here", tmp_path)
    assert set(catalog.instance_types) == {"m5.large"}
    offers = catalog.offerings("m5.large")
    assert [(offer.zone, offer.price_usd_per_hour, offer.price_source) for offer in offers] == [("herea", 1.5, "test")]


def test_the_data_is_small_and_a_region_is_read_in_a_moment() -> None:
    """It ships with every copy, and every command that decides something reads it first."""
    files = [file for file in SHIPPED.iterdir() if file.name.endswith(".gz")]
    assert len(files) == 2 * len(clouds())
    assert sum(len(file.read_bytes()) for file in files) < 1_000_000

    def read() -> None:
        read_catalog("aws", "us-east-1", SHIPPED)

    # of our own time: what else the machine does meanwhile says nothing about us
    assert min(timeit.repeat(read, number=1, repeat=5, timer=time.process_time)) < 0.1


@given(data=st.data(), cloud=st.sampled_from(sorted(DEFAULT_REGIONS)))
def test_spot_is_never_dearer_than_on_demand(data: st.DataObject, cloud: str) -> None:
    """A spot price above on-demand would mean that columns were swapped on the way in."""
    catalog = load_catalog(cloud, DEFAULT_REGIONS[cloud])
    offerings = catalog.offerings(data.draw(st.sampled_from(sorted(catalog.instance_types))))
    prices = {(offering.zone, offering.capacity_type): offering.price_usd_per_hour for offering in offerings}

    for (zone, capacity_type), price in prices.items():
        assert price > 0
        if capacity_type is CapacityType.SPOT:
            assert price <= prices[zone, CapacityType.ON_DEMAND]


@pytest.mark.parametrize("cloud", clouds())
def test_what_nodes_bear_as_their_type_is_a_label(cloud: str) -> None:
    """A node whose labels are none never joins, however well its machine runs."""
    catalog = load_catalog(cloud, regions(cloud)[0])

    for type_ in catalog.instance_types.values():
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", type_.cloud_name), type_.name
