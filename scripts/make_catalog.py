"""Distil a cloud's price list into the catalog's data file: ``make_catalog.py aws.csv aws``.

The price list has one row for each instance type and region, with the columns that `COLUMNS` names among others. What
nobody can rent (no price) or should start on (retired types) is left out. Old types whose row names no zones are
offered in all zones of their region, and run as many pods as a kubelet does by default. The result is sorted and
compressed without a timestamp, so that the same list always gives the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

DATA = Path(__file__).parent.parent / "src/stratos/catalog/data"
COLUMNS = (
    "region",
    "zone_scope",
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
    "on_demand_usd_hr",
    "spot_usd_hr",
)
KUBELET_DEFAULT_MAX_PODS = "110"


def distil(price_list: Path) -> bytes:
    with price_list.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["on_demand_usd_hr"] and row["lifecycle"] != "retired"]
    zones = {
        region: "|".join(sorted({zone for row in rows if row["region"] == region for zone in _zones(row)}))
        for region in {row["region"] for row in rows}
    }
    for row in rows:
        row["zone_scope"] = row["zone_scope"] or zones[row["region"]]
        row["max_pods"] = row["max_pods"] or KUBELET_DEFAULT_MAX_PODS
    rows.sort(key=lambda row: (row["region"], row["instance_type"]))
    lines = [",".join(COLUMNS), *(",".join(row[column] for column in COLUMNS) for row in rows)]
    return gzip.compress("\n".join(lines).encode() + b"\n", compresslevel=9, mtime=0)


def _zones(row: dict[str, str]) -> list[str]:
    return row["zone_scope"].split("|") if row["zone_scope"] else []


def main() -> None:
    price_list, cloud = Path(sys.argv[1]), sys.argv[2]
    target = DATA / f"{cloud}.csv.gz"
    target.write_bytes(distil(price_list))
    print(f"{target.relative_to(Path.cwd())}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
