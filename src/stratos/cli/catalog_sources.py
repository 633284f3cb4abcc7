"""Which catalogs a command looks into."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from stratos.base.errors import Invalid
from stratos.catalog.catalog import DEFAULT_REGIONS, Catalog, clouds, load_catalog, read_catalog, regions

_ENDLESS = 1000  # columns: a line is as long as it has to be, whatever the terminal


def catalogs(cloud: str | None, region: str | None, tables: Path | None, *, retired: bool) -> list[Catalog]:
    """Of one cloud or of all, in the region named or the default one. Raises `NotFound` and `Invalid`."""
    if cloud is None and region is not None:
        raise Invalid(f"--region {region} belongs to no cloud", hint="name the cloud as well: --cloud aws")
    names = [cloud] if cloud is not None else clouds_in(tables)
    return [_catalog(name, region, tables, retired=retired) for name in names]


def print_table(columns: list[str], rows: list[list[str]], *, right: frozenset[str] = frozenset()) -> None:
    """Plain columns, as kubectl prints them; those in ``right`` end in one line."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=_ENDLESS, highlight=False, markup=False)
    with console.capture() as printed:
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def clouds_in(tables: Path | None) -> tuple[str, ...]:
    """The clouds of a directory of tables, or of those shipped. Raises `Invalid` if it is none."""
    if tables is None:
        return clouds()
    if not tables.is_dir():
        raise Invalid(f"{tables} is no directory", hint="name the one that `stratos catalog refresh` wrote to")
    found = clouds(tables)
    if not found:
        hint = "they are called CLOUD-types.csv.gz and CLOUD-prices.csv.gz"
        raise Invalid(f"there are no tables in {tables}", hint=hint)
    return found


def _catalog(cloud: str, region: str | None, tables: Path | None, *, retired: bool) -> Catalog:
    if tables is None:
        return load_catalog(cloud, region or DEFAULT_REGIONS.get(cloud, ""), retired=retired)
    default = DEFAULT_REGIONS.get(cloud, "")
    known = regions(cloud, tables)
    return read_catalog(cloud, region or (default if default in known else known[0]), tables, retired=retired)
