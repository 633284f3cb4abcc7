"""``stratos catalog``: what clouds sell, at which price. Needs no cluster and no account."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

catalog_app = typer.Typer(
    help="What clouds sell, at which price, and how much of it pods may use.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Pricing(StrEnum):
    ON_DEMAND = "on-demand"
    SPOT = "spot"
    BOTH = "both"


class Arch(StrEnum):
    AMD64 = "amd64"
    ARM64 = "arm64"


Cloud = Annotated[str | None, typer.Option(help="aws, azure, gcp or oci. Default: all of them.")]
Region = Annotated[str | None, typer.Option(help="With --cloud. Default: the cloud's largest.")]
Tables = Annotated[
    Path | None,
    typer.Option(help="A directory of tables, as `stratos catalog refresh` writes one. Default: those shipped."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@catalog_app.command("list")
def list_types(
    cloud: Cloud = None,
    region: Region = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this family; may be given again.")] = None,
    arch: Annotated[Arch | None, typer.Option(help="Only this architecture.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Only with this GPU, such as L4 or A100; any: with one.")] = None,
    min_cpu: Annotated[float, typer.Option(min=0, help="At least so many vCPUs.")] = 0,
    min_memory: Annotated[str, typer.Option(help="At least so much memory, such as 16Gi.")] = "0",
    max_price: Annotated[float | None, typer.Option(min=0, help="At most so many US dollars per hour.")] = None,
    pricing: Annotated[Pricing, typer.Option(help="Which terms the price is of; both: the cheaper.")] = (
        Pricing.ON_DEMAND
    ),
    custom: Annotated[bool, typer.Option("--custom", help="Also sizes that are made to measure.")] = False,
    retired: Annotated[bool, typer.Option("--retired", help="Also types that their cloud is taking away.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show; --json shows all.")] = 40,
    tables: Tables = None,
    json_output: Json = False,
) -> None:
    """Instance types, cheapest first."""
    from stratos.cli.catalog_list import Filter, run_list

    wanted = Filter(
        families=tuple(family or ()),
        arch=arch,
        gpu=gpu,
        min_cpu=min_cpu,
        min_memory=min_memory,
        max_price=max_price,
        pricing=pricing,
        custom=custom,
        retired=retired,
    )
    run_list(cloud, region, wanted, limit=limit, tables=tables, as_json=json_output)


@catalog_app.command("show")
def show_type(
    instance_type: Annotated[str, typer.Argument(help="Such as g5.2xlarge, e2-standard-4 or n1-standard-4+1xT4.")],
    cloud: Cloud = None,
    region: Region = None,
    tables: Tables = None,
    json_output: Json = False,
) -> None:
    """All that is known of one type: size, what is left for pods, zones, prices, and where the prices are from."""
    from stratos.cli.catalog_show import run_show

    run_show(instance_type, cloud, region, tables=tables, as_json=json_output)


@catalog_app.command("diff")
def diff_prices(
    before: Annotated[str, typer.Argument(help="A table of prices (CLOUD-prices.csv.gz), or shipped.")],
    after: Annotated[str, typer.Argument(help="Another, or shipped.")] = "shipped",
    limit: Annotated[int, typer.Option(min=1, help="How many of each kind to show; --json shows all.")] = 40,
    json_output: Json = False,
) -> None:
    """What is sold in one table of prices and not in the other, and what costs more or less."""
    from stratos.cli.catalog_diff import run_diff

    run_diff(before, after, limit=limit, as_json=json_output)


@catalog_app.command("refresh")
def refresh_prices(
    cloud: Annotated[str | None, typer.Option(help="aws, azure, gcp or oci. Default: all of them.")] = None,
    region: Annotated[
        list[str] | None, typer.Option(help="With --cloud, may be given again. Default: all in the tables.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Where to write the tables; those there already are what is brought up to date.")
    ] = Path("~/.stratos/catalog"),
    json_output: Json = False,
) -> None:
    """Read price lists anew: public ones, and those your accounts open. What cannot be right is refused, and told."""
    from stratos.cli.catalog_refresh import run_refresh

    sys.exit(run_refresh(cloud, region or [], output, as_json=json_output))
