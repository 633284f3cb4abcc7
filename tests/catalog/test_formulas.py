"""Machines priced by their parts are not in any list, so what is offered of them must follow the clouds' own limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.catalog.catalog import Catalog, load_catalog
from stratos.catalog.formulas_gcp import ATTACHABLE_GPUS, CUSTOM_PREMIUM
from stratos.catalog.formulas_oci import FLEX_SHAPES
from stratos.catalog.instance_type import CapacityType

GIBIBYTE = 2**30
GOOGLE = load_catalog("gcp", "us-central1")
ORACLE = load_catalog("oci", "us-ashburn-1")
WITH_GPUS = sorted(name for name in GOOGLE.instance_types if "+" in name)
CUSTOM = sorted(name for name, type_ in GOOGLE.instance_types.items() if type_.custom)
FLEXIBLE = sorted(name for name in ORACLE.instance_types if ".Flex:" in name)


def price(catalog: Catalog, name: str, capacity_type: CapacityType = CapacityType.ON_DEMAND) -> float:
    return next(
        offering.price_usd_per_hour for offering in catalog.offerings(name) if offering.capacity_type is capacity_type
    )


def test_a_machine_with_gpus_costs_what_its_parts_do() -> None:
    """n1-standard-32 is 1.519992, a T4 0.35."""
    type_ = GOOGLE.instance_type("n1-standard-32+2xT4")

    assert price(GOOGLE, "n1-standard-32+2xT4") == pytest.approx(1.519992 + 2 * 0.35)
    assert (type_.vcpu, type_.memory_bytes, type_.family) == (32, 120 * GIBIBYTE, "n1")
    assert type_.gpu is not None
    assert (type_.gpu.resource, type_.gpu.sku, type_.gpu.count) == ("nvidia.com/gpu", "T4", 2)


def test_a_machine_with_gpus_is_sold_only_where_both_are() -> None:
    """N1 is in five zones of us-central1, the P4 in two."""
    assert {offering.zone for offering in GOOGLE.offerings("n1-standard-4+1xP4")} == {"us-central1-a", "us-central1-c"}
    assert not any("xP4" in name for name in load_catalog("gcp", "us-east1").instance_types)


@pytest.mark.parametrize(
    ("name", "sold"),
    [
        ("n1-standard-16+1xV100", False),  # up to 12 cores with one
        ("n1-standard-16+2xV100", True),
        ("n1-standard-64+2xT4", False),
        ("n1-standard-64+4xT4", True),
        ("n1-standard-4+3xT4", False),  # 1, 2 or 4
        ("n1-standard-4+8xT4", False),
        ("n2-standard-4+1xT4", False),  # N1 only
    ],
)
def test_only_so_many_gpus_go_with_so_many_cores(name: str, sold: bool) -> None:
    assert (name in GOOGLE.instance_types) is sold


@given(name=st.sampled_from(WITH_GPUS))
def test_every_attachment_is_within_the_published_limits(name: str) -> None:
    type_ = GOOGLE.instance_types[name]
    assert type_.gpu is not None
    limits = {gpu.sku: gpu.vcpu_max for gpu in ATTACHABLE_GPUS}[type_.gpu.sku]

    assert type_.vcpu <= limits[int(type_.gpu.count)]
    assert price(GOOGLE, name) > price(GOOGLE, name.partition("+")[0])


@given(name=st.sampled_from(CUSTOM))
def test_a_size_made_to_measure_costs_its_cores_and_memory_and_five_percent(name: str) -> None:
    """Solved from two other named types of the family than the ones the formula starts from."""
    type_ = GOOGLE.instance_types[name]
    family = type_.family
    standard, rich = GOOGLE.instance_type(f"{family}-standard-4"), GOOGLE.instance_type(f"{family}-highmem-4")
    lean_price, rich_price = price(GOOGLE, standard.name), price(GOOGLE, rich.name)
    per_byte = (rich_price - lean_price) / (rich.memory_bytes - standard.memory_bytes)
    per_core = (lean_price - per_byte * standard.memory_bytes) / standard.vcpu

    parts = per_core * type_.vcpu + per_byte * type_.memory_bytes
    assert price(GOOGLE, name) == pytest.approx(CUSTOM_PREMIUM * parts, rel=1e-3)
    assert name == f"{family}-custom-{type_.vcpu}-{type_.memory_bytes // 2**20}"


def test_sizes_made_to_measure_are_many_but_not_countless() -> None:
    """Whoever plans has to look at each."""
    assert 100 < len(CUSTOM) < 400
    assert len(FLEXIBLE) < 1000


def test_a_flexible_shape_costs_its_cores_and_memory() -> None:
    """An OCPU of E4 is 0.025, a GiB 0.0015; a core is two vCPUs, but not on Ampere's A1."""
    assert price(ORACLE, "VM.Standard.E4.Flex:4o32g") == pytest.approx(4 * 0.025 + 32 * 0.0015)
    assert ORACLE.instance_type("VM.Standard.E4.Flex:4o32g").vcpu == 8
    assert ORACLE.instance_type("VM.Standard.A1.Flex:4o32g").vcpu == 4
    assert ORACLE.instance_type("VM.Standard.A1.Flex:4o32g").arch == "arm64"


@given(name=st.sampled_from(FLEXIBLE))
def test_every_flexible_shape_is_within_its_limits_and_half_price_on_spot(name: str) -> None:
    type_ = ORACLE.instance_types[name]
    shape = next(shape for shape in FLEX_SHAPES if shape.name == type_.family)

    assert type_.vcpu <= shape.ocpus_max * shape.vcpus_per_ocpu
    assert type_.memory_bytes <= shape.memory_gib_max * GIBIBYTE
    on_spot = [offer for offer in ORACLE.offerings(name) if offer.capacity_type is CapacityType.SPOT]
    assert all(offer.price_usd_per_hour == pytest.approx(price(ORACLE, name) / 2) for offer in on_spot)
