"""The form in which the catalog is kept: two gzipped CSV tables a cloud, one of types and one of prices.

A type is the same everywhere and stands there once; its price differs by region. The table of prices also holds what
`stratos.catalog.formulas` adds up: the price of one GPU to attach, of one core or one gibibyte of a flexible shape.
Written twice, the same rows give the same bytes. Reading files is left to others.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from stratos.base.errors import Invalid
from stratos.base.quantity import GIBIBYTE, MEBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType

TYPE_COLUMNS = (
    "instance_type",
    "family",
    "arch",
    "vcpu",
    "memory_gib",
    "gpu_manufacturer",
    "gpu_sku",
    "gpu_count",
    "gpu_memory_gib",
    "local_nvme_gb",
    "network_gbps",
    "burstable",
    "bare_metal",
    "max_pods",
    "lifecycle",
)
PRICE_COLUMNS = (
    "region",
    "name",
    "zones",
    "on_demand_usd_per_hour",
    "on_demand_source",
    "on_demand_as_of",
    "spot_usd_per_hour",
    "spot_source",
    "spot_as_of",
    "interruption_bucket",
)
_LARGEST_BYTES = 64 * MEBIBYTE  # unpacked; all that one cloud sells takes a few
_CORRECT = "correct that row, or make the tables anew: stratos catalog refresh"


class ListPrice(NamedTuple):
    usd_per_hour: float
    source: str
    as_of: str
    interruption_bucket: int | None = None  # of spot


class PriceRow(NamedTuple):
    """What something costs in the zones of one region. ``name`` is a type, or a part that formulas know."""

    region: str
    name: str
    zones: tuple[str, ...]  # short: ``az1`` at AWS, ``a`` at Google, ``1`` elsewhere
    on_demand: ListPrice | None
    spot: ListPrice | None


def read_types(table: bytes) -> dict[str, InstanceType]:
    """By name. Raises `Invalid` for anything but a table of types."""
    return {row[0]: _instance_type(row) for row in _rows(table, TYPE_COLUMNS, "instance types")}


def read_prices(table: bytes, region: str | None = None) -> list[PriceRow]:
    """All rows, or those of one region, which is much quicker. Raises `Invalid` for anything but a table of prices."""
    return [_price_row(row) for row in _rows(table, PRICE_COLUMNS, "prices", region)]


def price_regions(table: bytes) -> tuple[str, ...]:
    lines = _text(table, "prices").splitlines()
    return tuple(sorted({line.partition(",")[0] for line in lines[1:]}))


def write_types(types: Iterable[InstanceType]) -> bytes:
    return _table(TYPE_COLUMNS, sorted(_type_cells(type_) for type_ in types))


def write_prices(rows: Iterable[PriceRow]) -> bytes:
    return _table(PRICE_COLUMNS, sorted(_price_cells(row) for row in rows))


def _rows(table: bytes, columns: tuple[str, ...], what: str, first: str | None = None) -> list[list[str]]:
    lines = _text(table, what).splitlines()
    if not lines or tuple(lines[0].split(",")) != columns:
        raise Invalid(
            f"this is no table of {what}",
            looked_at=(f"its first line: {lines[0][:200] if lines else 'there is none'}",),
            hint=f"the columns are {','.join(columns)}",
        )
    here = "" if first is None else first + ","
    rows = list(csv.reader(line for line in lines[1:] if line.startswith(here)))
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise Invalid(
                f"row {number} of the table of {what} has {len(row)} columns in place of {len(columns)}", hint=_CORRECT
            )
    return rows


def _text(table: bytes, what: str) -> str:
    try:
        with gzip.open(io.BytesIO(table)) as stream:
            text = stream.read(_LARGEST_BYTES + 1)
        if len(text) > _LARGEST_BYTES:
            raise Invalid(
                f"this is no table of {what}: unpacked it is larger than {_LARGEST_BYTES // MEBIBYTE} MiB",
                hint="is it the right file? Tables of all regions of a cloud take a few MiB",
            )
        return text.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Invalid(f"this is no table of {what}: {error}", hint="it must be a gzipped CSV file in UTF-8") from error


def _instance_type(row: list[str]) -> InstanceType:
    (name, family, arch, vcpu, memory, maker, sku, gpus, gpu_memory, nvme, network, burstable, metal, pods, cycle) = row
    try:
        gpu_count = float(gpus or 0)
        return InstanceType(
            name=name,
            family=family,
            arch=arch,
            vcpu=int(vcpu),
            memory_bytes=round(float(memory) * 1024) * MEBIBYTE,  # clouds count in MiB: nothing is lost on the way
            max_pods=int(pods),
            gpu=Gpu(maker, sku, gpu_count, float(gpu_memory or 0)) if gpu_count else None,
            local_nvme_gb=int(float(nvme or 0)),
            network_gbps=float(network or 0),
            burstable=burstable == "true",
            bare_metal=metal == "true",
            lifecycle=cycle,
        )
    except ValueError as error:
        raise Invalid(f"instance type {name!r}: {error}", hint=_CORRECT) from error


def _type_cells(type_: InstanceType) -> tuple[str, ...]:
    gpu = type_.gpu
    return (
        type_.name,
        type_.family,
        type_.arch,
        str(type_.vcpu),
        _number(type_.memory_bytes / GIBIBYTE),
        gpu.manufacturer if gpu else "",
        gpu.sku if gpu else "",
        _number(gpu.count) if gpu else "",
        _number(gpu.memory_gib) if gpu else "",
        _number(type_.local_nvme_gb),
        _number(type_.network_gbps),
        _truth(type_.burstable),
        _truth(type_.bare_metal),
        str(type_.max_pods),
        type_.lifecycle,
    )


def _price_row(row: list[str]) -> PriceRow:
    region, name, zones, price, source, as_of, spot_price, spot_source, spot_as_of, bucket = row
    try:
        return PriceRow(
            region,
            name,
            tuple(zones.split("|")),
            ListPrice(_price(price), source, as_of) if price else None,
            ListPrice(_price(spot_price), spot_source, spot_as_of, int(bucket) if bucket else None)
            if spot_price
            else None,
        )
    except ValueError as error:
        raise Invalid(f"the price of {name!r} in {region}: {error}", hint=_CORRECT) from error


def _price(text: str) -> float:
    price = float(text)
    if not 0 < price < float("inf"):
        raise ValueError(f"{text} is no price")
    return price


def _price_cells(row: PriceRow) -> tuple[str, ...]:
    on_demand, spot = row.on_demand, row.spot
    return (
        row.region,
        row.name,
        "|".join(row.zones),
        *((_number(on_demand.usd_per_hour), on_demand.source, on_demand.as_of) if on_demand else ("", "", "")),
        *((_number(spot.usd_per_hour), spot.source, spot.as_of) if spot else ("", "", "")),
        str(spot.interruption_bucket) if spot and spot.interruption_bucket is not None else "",
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


def _number(value: float) -> str:
    """As short as can be, and read back the same; nothing for zero."""
    return f"{value:.10g}" if value else ""


def _truth(value: bool) -> str:
    return "true" if value else ""
