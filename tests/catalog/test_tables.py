"""The tables are written by one tool, refreshed by another and read at every start: all come back as they went."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import Invalid
from stratos.catalog.catalog import PRICES_SUFFIX, SHIPPED, TYPES_SUFFIX, clouds
from stratos.catalog.comparison import compare_prices
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType
from stratos.catalog.tables import (
    ListPrice,
    PriceRow,
    read_prices,
    read_types,
    write_prices,
    write_types,
)

words = st.text(st.sampled_from("abcxyz019.-_+:, \"'é"), min_size=1, max_size=12)
amounts = st.floats(0.0001, 500).map(lambda price: float(f"{price:.6g}"))
gpus = st.builds(Gpu, words, words, st.sampled_from([0.125, 0.1667, 1.0, 8.0]), st.sampled_from([0.0, 22.35, 80.0]))
types = st.builds(
    InstanceType,
    name=words,
    family=words,
    arch=st.sampled_from(["amd64", "arm64"]),
    vcpu=st.integers(1, 512),
    memory_bytes=st.integers(1, 32 * 2**20).map(lambda mebibytes: mebibytes * 2**20),
    max_pods=st.integers(1, 737),
    gpu=st.none() | gpus,
    local_nvme_gb=st.integers(0, 60000),
    network_gbps=st.sampled_from([0.0, 3.125, 100.0]),
    burstable=st.booleans(),
    bare_metal=st.booleans(),
    lifecycle=st.sampled_from(["current", "previous", "retired"]),
)
list_prices = st.builds(ListPrice, amounts, words, words, st.none())
spot_prices = st.builds(ListPrice, amounts, words, words, st.none() | st.integers(0, 4))
price_rows = st.builds(
    PriceRow,
    region=st.sampled_from(["here", "there"]),
    name=words,
    zones=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    on_demand=st.none() | list_prices,
    spot=st.none() | spot_prices,
)


def a_price(region: str, name: str, on_demand: float, spot: float | None = None) -> PriceRow:
    return PriceRow(
        region,
        name,
        ("a",),
        ListPrice(on_demand, "list", "2026-01-01"),
        None if spot is None else ListPrice(spot, "list", "2026-01-01", 2),
    )


@given(st.lists(types, unique_by=lambda type_: type_.name))
def test_types_come_back_as_they_were_written(written: list[InstanceType]) -> None:
    assert read_types(write_types(written)) == {type_.name: type_ for type_ in written}


@given(st.lists(price_rows, unique_by=lambda row: (row.region, row.name)))
def test_prices_come_back_as_they_were_written(written: list[PriceRow]) -> None:
    """In any order the same bytes: a table that did not change makes no difference to whoever keeps it."""
    table = write_prices(written)

    assert sorted(read_prices(table), key=repr) == sorted(written, key=repr)
    assert write_prices(reversed(written)) == table


def test_one_region_can_be_read_alone() -> None:
    table = write_prices([a_price("here", "m", 1), a_price("hereabouts", "m", 2), a_price("there", "m", 3)])

    assert [row.region for row in read_prices(table, "here")] == ["here"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"not even compressed", "gzipped"),
        (gzip.compress(b""), "first line"),
        (gzip.compress(b"name,price\nm,1\n"), "name,price"),
        (write_types([]), "instance_type,family"),
        (gzip.compress(gzip.decompress(write_prices([])) + b"here,m\n"), "row 2"),
        (gzip.compress(gzip.decompress(write_prices([])) + b"here,m,a,-1,,,,,,\n"), "-1 is no price"),
        (gzip.compress(gzip.decompress(write_prices([])) + b"here,m,a,nan,,,,,,\n"), "nan is no price"),
        (gzip.compress(gzip.decompress(write_prices([])) + b"here,m,a,cheap,,,,,,\n"), "cheap"),
    ],
)
def test_what_is_no_table_of_prices_is_refused_with_the_place(table: bytes, says: str) -> None:
    """A wrong price steers every decision; nobody should have to search for the line."""
    with pytest.raises(Invalid) as caught:
        read_prices(table)

    assert says in caught.value.explain()


def test_a_comparison_tells_what_came_what_went_and_what_costs_more() -> None:
    before = [a_price("r", "kept", 1, 0.4), a_price("r", "gone", 2), a_price("r", "dearer", 1)]
    after = [a_price("r", "kept", 1, 0.4), a_price("r", "new", 3), a_price("r", "dearer", 1.5)]

    difference = compare_prices(before, after)

    assert [each.name for each in difference.added] == ["new"]
    assert [(each.name, each.capacity_type) for each in difference.gone] == [("gone", CapacityType.ON_DEMAND)]
    assert [(each.name, each.share) for each in difference.changed] == [("dearer", 0.5)]
    assert difference.unchanged == 2


@pytest.mark.parametrize("cloud", clouds())
def test_the_shipped_tables_do_not_change_by_being_read_and_written(cloud: str) -> None:
    """Else every refresh would move sizes and prices a little, and no comparison would mean anything."""
    types_table = (SHIPPED / f"{cloud}{TYPES_SUFFIX}").read_bytes()
    prices_table = (SHIPPED / f"{cloud}{PRICES_SUFFIX}").read_bytes()

    assert gzip.decompress(write_types(read_types(types_table).values())) == gzip.decompress(types_table)
    assert gzip.decompress(write_prices(read_prices(prices_table))) == gzip.decompress(prices_table)
