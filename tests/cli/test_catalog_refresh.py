"""Refreshing replaces the data every decision rests on: what can be believed of it, with reasons for the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stratos.base.errors import Invalid, NotFound, Unavailable
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.catalog import PRICES_SUFFIX, SHIPPED, load_catalog, read_catalog
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import PriceKey, Quote
from stratos.catalog.tables import read_prices
from stratos.cli.catalog_refresh import Ending, Outcome, exit_status, refresh_cloud, run_refresh
from stratos.cli.catalog_refresh_view import outcomes_as_json, print_outcomes
from stratos.cli.estimate.targets import Target, catalog_of
from stratos.providers.prices.source import KnownRegion, Reading

REGION = "us-west-2"
M5_LARGE = next(
    row.on_demand.usd_per_hour
    for row in read_prices((SHIPPED / f"aws{PRICES_SUFFIX}").read_bytes(), REGION)
    if row.name == "m5.large" and row.on_demand
)


@dataclass
class FakeSource:
    """A cloud whose lists say what a test wants."""

    reading: Reading | Unavailable
    cloud: str = "aws"
    asked: list[str] = field(default_factory=list)

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        self.asked += [here.region for here in known]
        if isinstance(self.reading, Unavailable):
            raise self.reading
        return self.reading


def a_quote(name: str, amount: float, *, sold_as: str | None = None) -> Quote:
    return Quote(
        PriceKey(REGION, name, CapacityType.ON_DEMAND), amount, "aws-price-list", "2026-06-01", sold_as=sold_as
    )


def refreshed(reading: Reading | Unavailable, directory: Path, *regions: str) -> Outcome:
    return asyncio.run(refresh_cloud(FakeSource(reading), regions or (REGION,), directory))


def price_in(directory: Path, name: str) -> float:
    offerings = read_catalog("aws", REGION, directory).offerings(name)
    return next(each.price_usd_per_hour for each in offerings if each.capacity_type is CapacityType.ON_DEMAND)


def test_believed_prices_are_written_as_tables_that_can_be_looked_up(tmp_path: Path) -> None:
    """The same form as the tables shipped: whoever reads those reads these."""
    outcome = refreshed(Reading((a_quote("m5.large", 0.09),)), tmp_path / "new")

    assert (outcome.ending, exit_status([outcome])) == (Ending.WRITTEN, 0)
    assert price_in(tmp_path / "new", "m5.large") == 0.09
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["aws-prices.csv.gz", "aws-types.csv.gz"]


def test_regions_that_were_not_asked_about_stay_as_they_are(tmp_path: Path) -> None:
    """Refreshing one region loses none of the others."""
    refreshed(Reading((a_quote("m5.large", 0.09),)), tmp_path)
    before = read_prices((SHIPPED / f"aws{PRICES_SUFFIX}").read_bytes())
    after = read_prices((tmp_path / f"aws{PRICES_SUFFIX}").read_bytes())

    assert [row for row in after if row.region != REGION] == [row for row in before if row.region != REGION]
    assert len(after) == len(before)


def test_a_second_refresh_starts_from_the_first(tmp_path: Path) -> None:
    """Prices move in small steps; each is judged by the latest known one."""
    refreshed(Reading((a_quote("m5.large", 0.08),)), tmp_path)
    outcome = refreshed(Reading((a_quote("m5.xlarge", 0.18),)), tmp_path)

    assert outcome.ending is Ending.WRITTEN
    assert price_in(tmp_path, "m5.large") == 0.08


def test_a_refused_price_leaves_the_old_one_and_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody must be able to see what was not believed, and judge for himself."""
    quotes = (a_quote("m5.large", 0.188), a_quote("m5.large", 0.188, sold_as="Windows"), a_quote("m5.xlarge", 0.18))

    outcome = refreshed(Reading(quotes, gaps=("spot price history: no AWS credentials were found",)), tmp_path)
    print_outcomes([outcome])
    told = capsys.readouterr().out

    assert price_in(tmp_path, "m5.large") == M5_LARGE
    for said in (
        "0 new, 1 changed, 0 unchanged, 1 refused",
        "m5.large on-demand in us-west-2",
        "0.188 is its price for Windows",
        "passed over: 1 for Windows",
        "spot price history: no AWS credentials were found",
        f"--tables {tmp_path}",
    ):
        assert said in told


def test_lists_of_which_most_is_absurd_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list in cents, say: the few prices that look right are right by accident."""
    quotes = (a_quote("m5.large", 9.6), a_quote("m5.xlarge", 19.2), a_quote("m5.2xlarge", 0.384))

    outcome = refreshed(Reading(quotes), tmp_path)
    print_outcomes([outcome])

    assert (outcome.ending, exit_status([outcome])) == (Ending.NOT_TRUSTED, 1)
    assert list(tmp_path.iterdir()) == []
    assert "nothing is believed" in capsys.readouterr().out


def test_a_list_that_cannot_be_read_changes_nothing_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cloud out of reach must not hide what became of the others."""
    down = Unavailable("cannot read the list", looked_at=("HTTP 503",), hint="try again")

    outcome = refreshed(down, tmp_path)
    print_outcomes([outcome])
    told = capsys.readouterr().out

    assert (outcome.ending, exit_status([outcome])) == (Ending.FAILED, 1)
    assert list(tmp_path.iterdir()) == []
    assert [said in told for said in ("cannot read the list", "HTTP 503", "hint: try again")] == [True] * 3


def test_a_cloud_whose_lists_are_closed_to_us_is_no_failure_beside_one_that_is_open(tmp_path: Path) -> None:
    """Without a key for one cloud, a refresh of all is still a good refresh of the rest."""
    closed = refreshed(Reading((), gaps=("all prices: GOOGLE_API_KEY is not set",)), tmp_path)
    opened = refreshed(Reading((a_quote("m5.large", 0.09),)), tmp_path)

    assert closed.ending is Ending.NOTHING_READ
    assert (exit_status([closed, opened]), exit_status([closed])) == (0, 1)


def test_a_new_type_that_an_account_tells_of_is_written_with_its_zones(tmp_path: Path) -> None:
    """From then on it is chosen wherever it is the cheapest that fits."""
    new = InstanceType("m99.large", "m99", "arm64", 2, 8 * GIBIBYTE, max_pods=29)
    unpriced = InstanceType("m99.xlarge", "m99", "arm64", 4, 16 * GIBIBYTE, max_pods=58)
    reading = Reading((a_quote("m99.large", 0.05),), types=(new, unpriced), zones={REGION: {"m99.large": ("az2",)}})

    outcome = refreshed(reading, tmp_path)
    catalog = read_catalog("aws", REGION, tmp_path)

    assert outcome.new_types == ("m99.large",)
    assert catalog.instance_type("m99.large") == new
    assert [offering.zone for offering in catalog.offerings("m99.large")] == ["us-west-2b"]


def test_the_document_says_all_that_the_text_shortens(tmp_path: Path) -> None:
    """Programs get every row, not the first ten."""
    nothing = tuple(a_quote(f"m5.{size}", 0.0) for size in ("large", "xlarge", "2xlarge"))
    good = tuple(a_quote(f"c5.{size}", 0.085 * times) for size, times in (("large", 1), ("xlarge", 2), ("2xlarge", 4)))

    (cloud,) = json.loads(outcomes_as_json([refreshed(Reading(nothing + good), tmp_path)]))["clouds"]

    assert (cloud["cloud"], cloud["ending"], cloud["regions"]) == ("aws", "written", [REGION])
    assert sorted(each["name"] for each in cloud["refused"]) == ["m5.2xlarge", "m5.large", "m5.xlarge"]
    assert len(cloud["added"]) + len(cloud["changed"]) + cloud["unchanged"] == 3
    assert cloud["error"] is None


def test_no_region_named_means_all_that_the_tables_have(tmp_path: Path) -> None:
    """Whoever asks for a refresh wants none of it stale."""
    source = FakeSource(Reading(()))

    asyncio.run(refresh_cloud(source, (), tmp_path))

    assert source.asked == sorted({row.region for row in read_prices((SHIPPED / f"aws{PRICES_SUFFIX}").read_bytes())})


@pytest.mark.parametrize(
    ("cloud", "regions", "said"),
    [("nimbus", [], "nimbus"), ("aws", ["us-west-9"], "us-west-2"), (None, ["us-west-2"], "--cloud")],
)
def test_unknown_places_are_refused_before_anything_is_read(
    tmp_path: Path, cloud: str | None, regions: list[str], said: str
) -> None:
    """Minutes of reading must not end in a misspelling."""
    with pytest.raises((NotFound, Invalid)) as caught:
        run_refresh(cloud, regions, tmp_path, as_json=False)

    assert said in caught.value.explain()


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Likewise for the place where it would all end up."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Invalid, match="nothing can be written"):
        run_refresh("aws", [], tmp_path / "file", as_json=False)


def test_an_estimate_goes_by_the_tables_it_is_given_and_by_those_shipped_for_other_clouds(tmp_path: Path) -> None:
    """Otherwise fresh prices would be there, and nobody would use them."""
    refreshed(Reading((a_quote("m5.large", 0.09),)), tmp_path)

    fresh = catalog_of(Target("aws", REGION), tmp_path).offering("m5.large", "us-west-2a", CapacityType.ON_DEMAND)

    assert fresh is not None and fresh.price_usd_per_hour == 0.09
    assert catalog_of(Target("gcp", "us-central1"), tmp_path) == load_catalog("gcp", "us-central1")


def test_an_estimate_from_a_directory_without_tables_says_so(tmp_path: Path) -> None:
    """A misspelt directory must not quietly mean the shipped prices."""
    with pytest.raises(Invalid, match="no tables"):
        catalog_of(Target("aws", REGION), tmp_path)
