"""Look up what a cloud offers in a region.

The data ships with the package: no network, and the same answer for everyone. Clouds hide which data centre is behind
a zone's letter from one customer to the next; the data counts zones by their fixed number, and the first is ``a``.
"""

from __future__ import annotations

import csv
import difflib
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from stratos.base.errors import NotFound
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType, Offering


@dataclass(frozen=True, slots=True)
class Catalog:
    """All instance types of one region, and their offerings."""

    cloud: str
    region: str
    zones: tuple[str, ...]
    instance_types: Mapping[str, InstanceType]
    offerings_by_type: Mapping[str, tuple[Offering, ...]]

    def instance_type(self, name: str) -> InstanceType:
        """Raises `NotFound`, with names that look alike."""
        found = self.instance_types.get(name)
        if found is None:
            alike = difflib.get_close_matches(name, self.instance_types, n=3)
            raise NotFound(
                f"{self.cloud} offers no instance type {name!r} in {self.region}",
                looked_at=(f"{len(self.instance_types)} instance types",),
                hint=f"did you mean {' or '.join(alike)}?" if alike else None,
            )
        return found

    def offerings(self, name: str) -> tuple[Offering, ...]:
        """Where a type can be had and for how much, ordered by zone and terms. Raises `NotFound`."""
        self.instance_type(name)
        return self.offerings_by_type[name]

    def offering(self, name: str, zone: str, capacity_type: CapacityType) -> Offering | None:
        """The offering, if the type is sold in that zone under those terms."""
        matching = (
            offering
            for offering in self.offerings_by_type.get(name, ())
            if offering.zone == zone and offering.capacity_type is capacity_type
        )
        return next(matching, None)


@lru_cache(maxsize=8)
def load_catalog(cloud: str, region: str) -> Catalog:
    """The shipped catalog of one region. Raises `NotFound` for a cloud or region that is not in it."""
    lines = _read_data(cloud).splitlines()
    here = region + ","
    rows = list(csv.DictReader([lines[0], *(line for line in lines if line.startswith(here))]))
    if not rows:
        regions = sorted({line.partition(",")[0] for line in lines[1:]})
        raise NotFound(
            f"the catalog knows no region {region!r} of {cloud}",
            looked_at=(f"regions: {', '.join(regions)}",),
            hint="choose one of these regions",
        )
    types = [_instance_type(row) for row in rows]
    offerings = {type_.name: _offerings(row) for type_, row in zip(types, rows, strict=True)}
    return Catalog(
        cloud=cloud,
        region=region,
        zones=tuple(sorted({offering.zone for each in offerings.values() for offering in each})),
        instance_types={type_.name: type_ for type_ in types},
        offerings_by_type=offerings,
    )


def _read_data(cloud: str) -> str:
    data = resources.files("stratos.catalog") / "data"
    file = data / f"{cloud}.csv.gz"
    if not file.is_file():
        clouds = sorted(each.name.removesuffix(".csv.gz") for each in data.iterdir() if each.name.endswith(".csv.gz"))
        raise NotFound(f"there is no catalog of {cloud!r}", looked_at=(f"catalogs: {', '.join(clouds)}",))
    return gzip.decompress(file.read_bytes()).decode()


def _instance_type(row: Mapping[str, str]) -> InstanceType:
    return InstanceType(
        name=row["instance_type"],
        family=row["family"],
        arch=row["arch"],
        vcpu=int(row["vcpu"]),
        memory_bytes=int(float(row["memory_gib"]) * 2**30),
        max_pods=int(row["max_pods"]),
        gpu=_gpu(row),
        local_nvme_gb=int(float(row["local_nvme_gb"] or 0)),
        network_gbps=float(row["network_gbps"] or 0),
        burstable=row["burstable"] == "true",
        bare_metal=row["bare_metal"] == "true",
    )


def _gpu(row: Mapping[str, str]) -> Gpu | None:
    count = float(row["gpu_count"] or 0)
    if not count:
        return None
    return Gpu(
        manufacturer=row["gpu_manufacturer"].lower(),
        sku=row["gpu_sku"],
        count=count,
        memory_gib=float(row["gpu_memory_gib"] or 0),
    )


def _offerings(row: Mapping[str, str]) -> tuple[Offering, ...]:
    prices = ((CapacityType.ON_DEMAND, row["on_demand_usd_hr"]), (CapacityType.SPOT, row["spot_usd_hr"]))
    return tuple(
        Offering(row["instance_type"], zone, capacity_type, float(price))
        for zone in _zones(row["region"], row["zone_scope"].split("|"))
        for capacity_type, price in prices
        if price
    )


def _zones(region: str, numbered: Iterable[str]) -> list[str]:
    return [region + chr(ord("a") + int(zone.removeprefix("az")) - 1) for zone in numbered]
