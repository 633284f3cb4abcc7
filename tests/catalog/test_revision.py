"""A wrong price misleads every decision after it: newly read ones are believed only if nothing speaks against them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.catalog import DEFAULT_REGIONS, PRICES_SUFFIX, SHIPPED, TYPES_SUFFIX, clouds
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import OF_ON_DEMAND, PriceKey, Quote
from stratos.catalog.revision import Revision, new_types, revise, revised_rows
from stratos.catalog.tables import ListPrice, PriceRow, read_prices, read_types

REGION = "us-west-2"
SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
PER_VCPU = 0.048


def a_type(name: str, vcpu: int, *, family: str = "m5", gib_per_vcpu: int = 4) -> InstanceType:
    return InstanceType(name, family, "amd64", vcpu, vcpu * gib_per_vcpu * GIBIBYTE, max_pods=29)


M5 = {f"m5.{size}": a_type(f"m5.{size}", vcpu) for size, vcpu in SIZES.items()}


def a_row(name: str, on_demand: float | None, spot: float | None = None, *, source: str = "list") -> PriceRow:
    return PriceRow(
        REGION,
        name,
        ("az1", "az2"),
        ListPrice(on_demand, source, "2026-01-01") if on_demand else None,
        ListPrice(spot, source, "2026-01-01", 2) if spot else None,
    )


KNOWN = [a_row(name, type_.vcpu * PER_VCPU, type_.vcpu * PER_VCPU * 0.4) for name, type_ in M5.items()]


def a_quote(
    name: str,
    amount: float,
    capacity_type: CapacityType = CapacityType.ON_DEMAND,
    *,
    region: str = REGION,
    sold_as: str | None = None,
    unit: str = "USD per hour",
    bucket: int | None = None,
) -> Quote:
    key = PriceKey(region, name, capacity_type)
    return Quote(key, amount, "new-list", "2026-06-01", unit=unit, sold_as=sold_as, interruption_bucket=bucket)


def revised(*quotes: Quote, rows: list[PriceRow] = KNOWN, types: dict[str, InstanceType] = M5) -> Revision:
    return revise(rows, quotes, types, {REGION})


def the_reason(revision: Revision) -> str:
    assert len(revision.refused) == 1
    return revision.refused[0].reason


def price(revision: Revision, name: str, capacity_type: CapacityType = CapacityType.ON_DEMAND) -> ListPrice:
    return revision.prices[PriceKey(REGION, name, capacity_type)]


def test_a_price_that_moves_a_little_is_believed_with_its_source_and_date() -> None:
    """The point of reading lists: the price of today, and where it is from."""
    revision = revised(a_quote("m5.large", 0.092))

    assert price(revision, "m5.large") == ListPrice(0.092, "new-list", "2026-06-01")
    assert [(change.before_usd_per_hour, change.after_usd_per_hour) for change in revision.changed] == [(0.096, 0.092)]
    assert revision.is_trustworthy


def test_a_price_that_stays_counts_as_unchanged_and_is_dated_anew() -> None:
    """That nothing changed is worth knowing: the price is now known to hold today."""
    revision = revised(a_quote("m5.large", 0.096))

    assert (revision.unchanged, revision.changed) == (1, ())
    assert price(revision, "m5.large").as_of == "2026-06-01"


def test_what_the_list_does_not_mention_keeps_its_price() -> None:
    """A list that lost a page must not empty the catalog."""
    revision = revised(a_quote("m5.large", 0.096))

    assert price(revision, "m5.xlarge").usd_per_hour == pytest.approx(0.192)
    assert PriceKey(REGION, "m5.xlarge", CapacityType.ON_DEMAND) in revision.not_listed


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0.192, "2.0 times the price of 2026-01-01"), (0.031, "0.32 of the price of 2026-01-01")],
)
def test_a_price_far_from_the_one_before_is_refused_and_the_old_one_kept(amount: float, said: str) -> None:
    """List prices are cut now and then and hardly ever rise; a jump is another product's price."""
    revision = revised(a_quote("m5.large", amount))

    assert said in the_reason(revision)
    assert price(revision, "m5.large").usd_per_hour == pytest.approx(0.096)
    assert revision.refused[0].kept_usd_per_hour == pytest.approx(0.096)


def test_a_price_that_was_only_derived_may_be_corrected_by_more() -> None:
    """An estimate of ours may be off; the list itself is then right."""
    rows = [a_row("m5.large", 0.055, source="derived:sibling"), *KNOWN[1:]]

    assert revised(a_quote("m5.large", 0.096), rows=rows).refused == ()


@pytest.mark.parametrize("other", ["Windows", "dedicated tenancy", "Linux with SQL Server"])
def test_a_price_that_equals_that_of_another_product_is_refused_by_that_name(other: str) -> None:
    """Mix-ups of system and tenancy happen in published data; the list itself gives them away."""
    revision = revised(a_quote("m5.large", 0.12), a_quote("m5.large", 0.12, sold_as=other))

    assert the_reason(revision) == f"0.12 is its price for {other}"
    assert revision.other_products == {other: 1}


def test_a_price_that_did_not_change_is_believed_though_another_product_costs_the_same() -> None:
    """Some clouds charge nothing for dedicated hardware: equality alone proves no mix-up."""
    revision = revised(a_quote("m5.large", 0.096), a_quote("m5.large", 0.096, sold_as="dedicated tenancy"))

    assert revision.refused == ()


def test_a_new_size_beside_the_line_of_its_family_is_refused() -> None:
    """Without a price of before, the other sizes tell: here the new one has the price of Windows."""
    types = M5 | {"m5.16xlarge": a_type("m5.16xlarge", 64)}

    refused = revised(a_quote("m5.16xlarge", 64 * 0.094), types=types)
    believed = revised(a_quote("m5.16xlarge", 64 * PER_VCPU), types=types)

    assert "2.0 times what other sizes of m5 suggest" in the_reason(refused)
    assert refused.refused[0].kept_usd_per_hour is None
    assert [change.key.name for change in believed.added] == ["m5.16xlarge"]


def test_a_family_whose_prices_fall_together_is_believed() -> None:
    """Price cuts come for a family at once: then the line itself has moved."""
    quotes = [a_quote(name, type_.vcpu * PER_VCPU * 0.56) for name, type_ in M5.items()]

    assert len(revised(*quotes).changed) == len(M5)


def test_one_size_that_leaves_its_family_is_refused() -> None:
    """The same step that is a price cut for all is a mistake for one."""
    assert "what other sizes of m5 suggest" in the_reason(revised(a_quote("m5.large", 0.096 * 0.56)))


@pytest.mark.parametrize("amount", [0.0, -0.1, math.nan, math.inf])
def test_what_is_no_price_is_refused(amount: float) -> None:
    """A machine for nothing would win every comparison."""
    assert "is no price" in the_reason(revised(a_quote("m5.large", amount)))


@pytest.mark.parametrize("unit", ["EUR per hour", "USD per month", "USD per Quantity"])
def test_a_price_in_another_unit_is_refused(unit: str) -> None:
    """A number alone is no price."""
    assert unit in the_reason(revised(a_quote("m5.large", 0.096, unit=unit)))


def test_a_price_of_another_region_is_refused() -> None:
    """Asked for one region, some lists answer with more."""
    revision = revised(a_quote("m5.large", 0.096, region="eu-west-1"))

    assert "eu-west-1" in the_reason(revision)
    assert all(key.region == REGION for key in revision.prices)


def test_two_prices_for_one_machine_are_both_refused() -> None:
    """Nobody can say which of them is right."""
    assert "two prices for it: 0.096 and 0.1" in the_reason(
        revised(a_quote("m5.large", 0.1), a_quote("m5.large", 0.096))
    )


@pytest.mark.parametrize(("amount", "said"), [(0.13, "1.4 times on-demand"), (0.001, "0.03 of the price")])
def test_spot_far_above_on_demand_or_next_to_nothing_is_refused(amount: float, said: str) -> None:
    """Nobody would buy the first, and the second would be bought for everything."""
    assert said in the_reason(revised(a_quote("m5.large", amount, CapacityType.SPOT)))


def test_spot_given_as_a_share_follows_the_on_demand_price_that_is_believed() -> None:
    """Of a refused on-demand price no spot price may be derived."""
    share = a_quote("m5.large", 0.3, CapacityType.SPOT, unit=OF_ON_DEMAND, bucket=4)

    with_good_news = revised(a_quote("m5.large", 0.08), share)
    with_bad_news = revised(a_quote("m5.large", 8.0), share)

    assert price(with_good_news, "m5.large", CapacityType.SPOT).usd_per_hour == pytest.approx(0.024)
    assert price(with_bad_news, "m5.large", CapacityType.SPOT).usd_per_hour == pytest.approx(0.0288)
    assert price(with_good_news, "m5.large", CapacityType.SPOT).interruption_bucket == 4


def test_an_interruption_bucket_that_is_not_told_anew_stays() -> None:
    """The market's history says nothing of interruptions; what is known of them is not lost."""
    revision = revised(a_quote("m5.large", 0.04, CapacityType.SPOT))

    assert price(revision, "m5.large", CapacityType.SPOT).interruption_bucket == 2


def test_a_type_of_unknown_size_is_named_and_not_added() -> None:
    """Without its size no pod can be placed on it."""
    revision = revised(a_quote("m9.large", 0.1), a_quote("m5.large", 0.096))

    assert revision.unknown_types == ("m9.large",)
    assert PriceKey(REGION, "m9.large", CapacityType.ON_DEMAND) not in revision.prices


def test_a_list_of_which_most_is_refused_is_not_trusted_at_all() -> None:
    """If most of it is wrong, the rest is right by accident."""
    wrong = [a_quote(name, type_.vcpu * 4.8) for name, type_ in M5.items()]

    assert not revised(*wrong).is_trustworthy
    assert not revised(*wrong[1:], a_quote("m5.large", 0.096)).is_trustworthy
    assert not revised().is_trustworthy


def test_rows_keep_their_zones_unless_somebody_tells_better() -> None:
    """Price lists seldom say where a machine is; the account does."""
    types = M5 | {"m5.16xlarge": a_type("m5.16xlarge", 64)}
    revision = revised(a_quote("m5.large", 0.09), a_quote("m5.16xlarge", 64 * PER_VCPU), types=types)

    rows = {row.name: row for row in revised_rows(KNOWN, revision, {REGION: {"m5.large": ("az4",)}})}

    assert rows["m5.large"].zones == ("az4",)
    assert rows["m5.xlarge"] == next(row for row in KNOWN if row.name == "m5.xlarge")
    assert rows["m5.16xlarge"].zones == ("az1", "az2")
    assert len(rows) == len(KNOWN) + 1


def test_rows_of_other_regions_pass_through() -> None:
    """Refreshing one region leaves the rest of the table alone."""
    elsewhere = KNOWN[0]._replace(region="eu-west-1")
    revision = revised(a_quote("m5.large", 0.09), rows=[*KNOWN, elsewhere])

    assert elsewhere in revised_rows([*KNOWN, elsewhere], revision, {})


def test_a_type_told_with_another_size_is_refused_and_a_new_one_taken() -> None:
    """Types never change: one that seems to is another one, or a mistake."""
    large = M5["m5.large"]
    new = a_type("m9.large", 2, family="m9")

    added, contradictions = new_types(M5, [large, replace(large, vcpu=4), new, replace(new, name="m9.none", vcpu=0)])

    assert added == {"m9.large": new}
    assert ["m5.large is told" in contradictions[0], "m9.none is told" in contradictions[1]] == [True, True]


@pytest.mark.parametrize("cloud", clouds())
def test_what_is_shipped_speaks_hardly_ever_against_itself(cloud: str) -> None:
    """The marks of a mix-up must be rare among prices that are right: even read as all new, nearly all are believed."""
    types = read_types((SHIPPED / f"{cloud}{TYPES_SUFFIX}").read_bytes())
    rows = read_prices((SHIPPED / f"{cloud}{PRICES_SUFFIX}").read_bytes())
    quotes = [
        Quote(PriceKey(row.region, row.name, terms), each.usd_per_hour, each.source, each.as_of)
        for row in rows
        for terms, each in ((CapacityType.ON_DEMAND, row.on_demand), (CapacityType.SPOT, row.spot))
        if each and row.name in types
    ]

    revision = revise([], quotes, types, {row.region for row in rows})

    assert len(revision.refused) <= 0.003 * len(quotes)


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_a_windows_price_among_those_of_linux_is_found_whatever_its_type(cloud: str) -> None:
    """One in twenty rows has the wrong label, as has happened in published data: all of them, and no others, go."""
    types = read_types((SHIPPED / f"{cloud}{TYPES_SUFFIX}").read_bytes())
    region = DEFAULT_REGIONS[cloud]
    rows = [row for row in read_prices((SHIPPED / f"{cloud}{PRICES_SUFFIX}").read_bytes(), region) if row.on_demand]
    licence_per_vcpu = 0.046
    quotes, mislabelled = [], set()
    for number, row in enumerate(rows):
        assert row.on_demand
        key = PriceKey(region, row.name, CapacityType.ON_DEMAND)
        windows = row.on_demand.usd_per_hour + licence_per_vcpu * types[row.name].vcpu
        quotes.append(Quote(key, windows, "list", "2026-06-01", sold_as="Windows"))
        if number % 20 == 7:
            mislabelled.add(key)
            quotes.append(Quote(key, windows, "list", "2026-06-01"))
        else:
            quotes.append(Quote(key, row.on_demand.usd_per_hour * 0.97, "list", "2026-06-01"))

    refused = {refusal.key for refusal in revise(rows, quotes, types, {region}).refused}

    assert len(mislabelled) > 50
    assert refused == mislabelled


amounts = st.one_of(st.floats(), st.sampled_from([0.096, 0.1, 0.192, 0.2]))
quotes_of_m5 = st.builds(
    a_quote,
    st.sampled_from(sorted([*M5, "m9.large"])),
    amounts,
    st.sampled_from(CapacityType),
    region=st.sampled_from([REGION, "eu-west-1"]),
    sold_as=st.sampled_from([None, "Windows"]),
    unit=st.sampled_from(["USD per hour", OF_ON_DEMAND, "EUR per hour"]),
)


@given(quotes=st.lists(quotes_of_m5, max_size=12))
def test_whatever_is_read_no_price_is_lost_and_none_absurd(quotes: list[Quote]) -> None:
    """The law of a refresh: afterwards every known price is there, old or believed, and all can be paid."""
    revision = revise(KNOWN, quotes, M5, {REGION})
    before = {key for row in KNOWN for key in revise([row], [], M5, {REGION}).prices}

    assert before <= revision.prices.keys()
    assert all(0 < each.usd_per_hour < 10 for each in revision.prices.values())
    assert all(refusal.reason for refusal in revision.refused)


@given(quotes=st.lists(quotes_of_m5, max_size=8).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_the_list_does_not_matter(quotes: tuple[list[Quote], list[Quote]]) -> None:
    """Pages come in any order; the outcome is the same."""
    listed, shuffled = (revise(KNOWN, some, M5, {REGION}) for some in quotes)

    assert listed.prices == shuffled.prices
    assert [r.reason for r in listed.refused] == [r.reason for r in shuffled.refused]
