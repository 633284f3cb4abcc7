"""``stratos catalog`` answers what something costs without a cluster, an account or a network."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stratos.base.errors import Invalid, NotFound, StratosError
from stratos.catalog.catalog import SHIPPED
from stratos.catalog.tables import read_prices, write_prices
from stratos.cli.catalog import catalog_app


def told(*arguments: str) -> str:
    result = CliRunner().invoke(catalog_app, list(arguments))
    if isinstance(result.exception, StratosError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def told_json(*arguments: str) -> Any:
    return json.loads(told(*arguments, "--json"))


def test_the_list_begins_with_the_cheapest_of_all_clouds() -> None:
    """Where is it cheapest? is the first question of all."""
    rows = told_json("list", "--min-cpu", "4", "--min-memory", "16Gi", "--arch", "amd64")
    prices = [row["on_demand_usd_per_hour"] for row in rows]

    assert prices == sorted(prices)
    assert {row["cloud"] for row in rows} == {"aws", "azure", "gcp", "oci"}
    assert all(row["vcpu"] >= 4 and row["memory_gib"] >= 16 and row["arch"] == "amd64" for row in rows)


def test_a_gpu_is_found_by_its_name_in_all_its_sizes() -> None:
    """A100 means both; any means all, shares of one included."""
    models = {row["gpu"]["sku"] for row in told_json("list", "--gpu", "a100")}

    assert models == {"A100-40", "A100-80"}
    assert any(row["gpu"]["count"] < 1 for row in told_json("list", "--gpu", "any"))


def test_spot_prices_and_limits_decide_when_asked_for() -> None:
    rows = told_json("list", "--cloud", "aws", "--pricing", "spot", "--max-price", "0.05", "--family", "M5")

    assert rows
    assert all(row["family"] == "m5" and row["spot_usd_per_hour"] <= 0.05 for row in rows)
    assert any(row["spot_interruption_bucket"] is not None for row in rows)


def test_sizes_made_to_measure_and_retired_types_are_shown_on_request() -> None:
    plain = {row["instance_type"] for row in told_json("list", "--cloud", "gcp")}
    custom = {row["instance_type"] for row in told_json("list", "--cloud", "gcp", "--custom")}
    retired = told_json("list", "--cloud", "azure", "--retired", "--gpu", "M60")

    assert not any("custom" in name for name in plain)
    assert "e2-custom-4-20480" in custom
    assert {row["lifecycle"] for row in retired} == {"retired"}


def test_a_long_list_says_how_much_it_left_out() -> None:
    lines = told("list", "--cloud", "aws", "--limit", "3").splitlines()

    assert len(lines) == 1 + 3 + 1
    assert "dearer ones" in lines[-1]


def test_nothing_like_that_is_an_answer() -> None:
    assert "nothing sold" in told("list", "--cloud", "oci", "--max-price", "0.0001")


def test_showing_a_type_tells_what_is_left_for_pods_and_where_prices_are_from() -> None:
    text = told("show", "g5.2xlarge")
    [shown] = told_json("show", "g5.2xlarge", "--cloud", "aws", "--region", "us-east-1")

    for part in ("A10G", "allocatable", "for your pods", "us-west-2a", "on-demand", "1.2120", "2026-07-20"):
        assert part in text
    assert shown["left_for_pods"]["cpu"] == shown["allocatable"]["cpu"] - 150
    assert shown["allocatable"]["nvidia.com/gpu"] == 1
    assert shown["offerings"][0]["price_source"]


def test_a_share_of_a_gpu_is_called_no_gpu() -> None:
    assert "a share of one device" in told("show", "g6f.large")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--cloud", "nimbus"], "aws, azure, gcp, oci"),
        (["list", "--cloud", "aws", "--region", "us-west-9"], "us-west-2"),
        (["list", "--region", "us-west-2"], "--cloud"),
        (["list", "--gpu", "L5"], "L40S"),
        (["list", "--family", "m5x"], "m5n"),
        (["list", "--min-memory", "lots"], "--min-memory"),
        (["show", "m5.larg"], "m5.large"),
        (["show", "m5.large", "--tables", "/nowhere"], "/nowhere is no directory"),
        (["diff", "shipped"], "name a file"),
        (["diff", "/nowhere/aws-prices.csv.gz"], "/nowhere/aws-prices.csv.gz"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(arguments: list[str], says: str) -> None:
    """Somebody mistyped; the answer is one try away."""
    with pytest.raises((NotFound, Invalid)) as caught:
        told(*arguments)

    assert says in caught.value.explain()
    assert caught.value.looked_at or caught.value.hint


def test_a_difference_names_what_came_what_went_and_what_changed(tmp_path: Path) -> None:
    """Before a refreshed table is trusted somebody wants to see what it changes."""
    rows = read_prices((SHIPPED / "oci-prices.csv.gz").read_bytes())
    gone, dearer, *same = rows
    assert dearer.on_demand is not None
    raised = dearer._replace(on_demand=dearer.on_demand._replace(usd_per_hour=2 * dearer.on_demand.usd_per_hour))
    table = tmp_path / "oci-prices.csv.gz"
    table.write_bytes(write_prices([raised, *same, dearer._replace(name="VM.New")]))

    text = told("diff", "shipped", str(table))
    difference = told_json("diff", "shipped", str(table))

    assert "+100.0%" in text
    assert {each["name"] for each in difference["added"]} == {"VM.New"}
    assert {each["name"] for each in difference["gone"]} == {gone.name}
    assert [each["name"] for each in difference["changed"]] == [dearer.name]


def test_a_file_that_tells_no_cloud_is_not_compared_with_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "new.csv.gz").write_bytes(write_prices([]))

    with pytest.raises(Invalid) as caught:
        told("diff", "shipped", str(tmp_path / "new.csv.gz"))

    assert "which cloud" in caught.value.explain()


def test_other_tables_are_read_from_where_they_are_said_to_be(tmp_path: Path) -> None:
    for file in SHIPPED.iterdir():
        if file.name.startswith("oci-"):
            (tmp_path / file.name).write_bytes(file.read_bytes())

    assert {row["cloud"] for row in told_json("list", "--tables", str(tmp_path))} == {"oci"}
