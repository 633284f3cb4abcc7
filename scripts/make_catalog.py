"""Distil price lists into the catalog's tables: ``make_catalog.py DIRECTORY`` reads ``aws.csv``, ``gcp.csv`` and so on.

A price list has one row for each instance type and region. What nobody can rent (no price) is left out. Rows that name
no zones are sold in all zones of their region. Machines that are priced by their parts (Google's GPUs on N1, Oracle's
flexible shapes) become the prices of those parts; `stratos.catalog.formulas` puts them together again, and the script
stops if the sums do not give the listed prices back. The result is sorted and compressed without a timestamp: the same
lists always give the same bytes.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from stratos.base.quantity import MEBIBYTE
from stratos.catalog import aks, eks, gke, oke
from stratos.catalog.formulas import computed_types
from stratos.catalog.formulas_gcp import PART_PREFIX
from stratos.catalog.formulas_oci import GIB_PART, OCPU_PART
from stratos.catalog.instance_type import Gpu, InstanceType
from stratos.catalog.tables import ListPrice, PriceRow, write_prices, write_types

DATA = Path(__file__).parent.parent / "src/stratos/catalog/data"
MAX_PODS = {
    "aws": eks.KUBELET_DEFAULT_MAX_PODS,
    "azure": aks.MAX_PODS,
    "gcp": gke.MAX_PODS,
    "oci": oke.MAX_PODS,
}
ZONES_WHERE_NONE_ARE_LISTED = ("1", "2", "3")  # of every region listed so far of Azure and Oracle
# What a cloud's list calls legacy. Azure has announced the day on which each of these sizes is switched off; AWS and
# Oracle keep selling theirs, with newer ones beside them.
LEGACY = {"azure": "retired"}
PREVIOUS = "previous"
ATTACHED = re.compile(r"(?P<machine>.+)\+(?P<count>\d+)x(?P<gpu>\w+)")
FLEX = re.compile(r"(?P<shape>.+):(?P<ocpus>\d+)o(?P<gib>\d+)g")
DATED = re.compile(r"(?P<source>.+?)-(?P<as_of>\d{4}-\d{2}(-\d{2})?)(:-?\d+%)?(?P<more>.*)")  # source, when, saving

Row = dict[str, str]


def main() -> None:
    lists = Path(sys.argv[1])
    for cloud in sorted(MAX_PODS):
        with (lists / f"{cloud}.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["on_demand_usd_hr"]]
        types, prices = distil(cloud, rows)
        for name, table in ((f"{cloud}-types", write_types(types.values())), (f"{cloud}-prices", write_prices(prices))):
            (DATA / f"{name}.csv.gz").write_bytes(table)
            print(f"{name}: {len(table)} bytes")
        print(f"{cloud}: {len(types)} types, {len(prices)} prices, {check_sums(cloud, rows, types, prices)} computed")


def distil(cloud: str, rows: list[Row]) -> tuple[dict[str, InstanceType], list[PriceRow]]:
    zones = all_zones(rows)
    plain = [row for row in rows if not is_computed(row["instance_type"])]
    types = {row["instance_type"]: instance_type(cloud, row) for row in plain}
    prices = [price_row(row["instance_type"], row, zones) for row in plain]
    return types, [*prices, *gpu_parts(rows, zones), *flex_parts(rows, zones)]


def is_computed(name: str) -> bool:
    return bool(ATTACHED.fullmatch(name) or FLEX.fullmatch(name))


def all_zones(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    named: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        named[row["region"]].update(filter(None, row["zone_scope"].split("|")))
    return {region: tuple(sorted(zones)) or ZONES_WHERE_NONE_ARE_LISTED for region, zones in named.items()}


def instance_type(cloud: str, row: Row) -> InstanceType:
    gpus = 0.0 if row["gpu_sku"].endswith("-FPGA") else float(row["gpu_count"] or 0)  # no GPU, though listed as one
    lifecycle = LEGACY.get(cloud, PREVIOUS) if row["lifecycle"] == "legacy" else row["lifecycle"]
    return InstanceType(
        name=row["instance_type"],
        family=row["family"],
        arch=row["arch"],
        vcpu=int(row["vcpu"]),
        memory_bytes=int(float(row["memory_gib"]) * 1024) * MEBIBYTE,  # 1.7 GiB are 1740 MiB
        max_pods=int(row["max_pods"] or MAX_PODS[cloud]),
        gpu=Gpu(row["gpu_manufacturer"].lower(), row["gpu_sku"], gpus, float(row["gpu_memory_gib"] or 0))
        if gpus
        else None,
        local_nvme_gb=int(float(row["local_nvme_gb"] or 0)),
        network_gbps=float(row["network_gbps"] or 0),
        burstable=row["burstable"] == "true",
        bare_metal=row["bare_metal"] == "true",
        lifecycle=lifecycle,
    )


def price_row(name: str, row: Row, zones: dict[str, tuple[str, ...]]) -> PriceRow:
    listed = tuple(row["zone_scope"].split("|")) if row["zone_scope"] else zones[row["region"]]
    return PriceRow(row["region"], name, listed, on_demand(row), spot(row))


def on_demand(row: Row) -> ListPrice:
    return ListPrice(float(row["on_demand_usd_hr"]), row["price_source"], row["price_asof"])


def spot(row: Row) -> ListPrice | None:
    if not row["spot_usd_hr"]:
        return None
    dated = DATED.fullmatch(row["spot_source"])
    source = dated["source"] + dated["more"] if dated else row["spot_source"]
    as_of = dated["as_of"] if dated else row["price_asof"]
    bucket = row["spot_interrupt_bucket"]
    return ListPrice(float(row["spot_usd_hr"]), source, as_of, int(bucket) if bucket else None)


def gpu_parts(rows: list[Row], zones: dict[str, tuple[str, ...]]) -> list[PriceRow]:
    """What one GPU costs, from a machine with it and the same machine without."""
    listed = {(row["region"], row["instance_type"]): row for row in rows}
    parts = {}
    for row in rows:
        attached = ATTACHED.fullmatch(row["instance_type"])
        if attached is None:
            continue
        bare = listed[row["region"], attached["machine"]]
        count, part = int(attached["count"]), PART_PREFIX + attached["gpu"]
        price, spot_price, spot_bare = on_demand(row), spot(row), spot(bare)
        assert spot_price is not None
        assert spot_bare is not None
        one = (price.usd_per_hour - on_demand(bare).usd_per_hour) / count
        one_spot = (spot_price.usd_per_hour - spot_bare.usd_per_hour) / count
        parts[row["region"], part] = PriceRow(
            row["region"],
            part,
            price_row(part, row, zones).zones,
            ListPrice(round(one, 4), price.source.rpartition("+")[2], price.as_of),
            ListPrice(round(one_spot, 4), spot_price.source.rpartition("+")[2], spot_price.as_of),
        )
    return list(parts.values())


def flex_parts(rows: list[Row], zones: dict[str, tuple[str, ...]]) -> list[PriceRow]:
    """What one OCPU and one GiB cost, from two sizes of a shape that differ in one of them."""
    shapes: dict[tuple[str, str], dict[tuple[int, int], Row]] = defaultdict(dict)
    for row in rows:
        if flex := FLEX.fullmatch(row["instance_type"]):
            shapes[row["region"], flex["shape"]][int(flex["ocpus"]), int(flex["gib"])] = row
    parts = []
    for (region, shape), sizes in shapes.items():
        small, larger = sizes[1, 1], sizes[1, 2]
        gib, gib_spot = _difference(on_demand(larger), on_demand(small)), _difference(spot(larger), spot(small))
        assert gib is not None
        listed = price_row(shape, small, zones).zones
        ocpu, ocpu_spot = _difference(on_demand(small), gib), _difference(spot(small), gib_spot)
        parts.append(PriceRow(region, shape + GIB_PART, listed, gib, gib_spot))
        parts.append(PriceRow(region, shape + OCPU_PART, listed, ocpu, ocpu_spot))
    return parts


def _difference(whole: ListPrice | None, part: ListPrice | None) -> ListPrice | None:
    if whole is None or part is None:
        return None
    return whole._replace(usd_per_hour=round(whole.usd_per_hour - part.usd_per_hour, 6))


def check_sums(cloud: str, rows: list[Row], types: dict[str, InstanceType], prices: list[PriceRow]) -> int:
    """Every listed machine that formulas stand in for must come back from them, with its size and price."""
    computed = {}
    for region in sorted({row["region"] for row in rows}):
        for type_, price in computed_types(cloud, types, [row for row in prices if row.region == region]):
            computed[region, type_.name] = (type_, price)
    zones = all_zones(rows)
    for row in rows:
        name = row["instance_type"]
        if not is_computed(name):
            continue
        type_, price = computed[row["region"], name]
        listed, expected = instance_type(cloud, row), price_row(name, row, zones)
        assert (type_.vcpu, type_.memory_bytes, type_.gpu, type_.arch) == (
            listed.vcpu,
            listed.memory_bytes,
            listed.gpu,
            listed.arch,
        ), name
        for ours, theirs in ((price.on_demand, expected.on_demand), (price.spot, expected.spot)):
            assert (ours is None) == (theirs is None), name
            assert ours is None or theirs is None or abs(ours.usd_per_hour - theirs.usd_per_hour) < 2e-6, name
    return len(computed)


if __name__ == "__main__":
    main()
