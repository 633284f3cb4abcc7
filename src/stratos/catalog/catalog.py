"""Look up what a cloud offers in a region.

The data ships with the package: no network, and the same answer for everyone. A newer set of tables may be read from
elsewhere (a shelf, as ``stratos catalog refresh`` writes one). Types that their cloud is about to take away are left
out unless asked for: whoever starts on one has to move soon.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeVar

from stratos.base.errors import Invalid, NotFound
from stratos.catalog.formulas import computed_types
from stratos.catalog.instance_type import CapacityType, InstanceType, Offering
from stratos.catalog.tables import PriceRow, price_regions, read_prices, read_types
from stratos.catalog.zones import DEFAULT_REGIONS as DEFAULT_REGIONS  # part of looking things up, and asked for here
from stratos.catalog.zones import zone_name

TYPES_SUFFIX, PRICES_SUFFIX = "-types.csv.gz", "-prices.csv.gz"
RETIRED = "retired"  # of an instance type's lifecycle
SHIPPED: Traversable = resources.files("stratos.catalog") / "data"

_T = TypeVar("_T")


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

    def with_types(self, types: Iterable[InstanceType], offerings: Iterable[Offering]) -> Catalog:
        """The same catalog with further types, or with known ones as they are now; offerings say where they are sold.

        Raises `Invalid` for an offering of none of them.
        """
        added = {type_.name: type_ for type_ in types}
        sold: dict[str, list[Offering]] = {name: [] for name in added}
        for offering in offerings:
            if offering.instance_type not in sold:
                raise Invalid(
                    f"{offering.instance_type!r} is offered in {offering.zone}, and is none of the types added"
                )
            sold[offering.instance_type].append(offering)
        by_type = {name: tuple(sorted(each, key=_by_zone_and_terms)) for name, each in sold.items()}
        return replace(
            self,
            zones=tuple(sorted({*self.zones, *(each.zone for offers in by_type.values() for each in offers)})),
            instance_types={**self.instance_types, **added},
            offerings_by_type={**self.offerings_by_type, **by_type},
        )


def clouds(shelf: Traversable = SHIPPED) -> tuple[str, ...]:
    """The clouds that there are tables of."""
    names = (file.name for file in shelf.iterdir())
    return tuple(sorted(name.removesuffix(PRICES_SUFFIX) for name in names if name.endswith(PRICES_SUFFIX)))


def regions(cloud: str, shelf: Traversable = SHIPPED) -> tuple[str, ...]:
    """The regions that there are prices of. Raises `NotFound` for an unknown cloud."""
    return _of(cloud, PRICES_SUFFIX, shelf, price_regions)


@lru_cache(maxsize=16)
def load_catalog(cloud: str, region: str, *, retired: bool = False) -> Catalog:
    """The shipped catalog of one region. Raises `NotFound` for a cloud or region that is not in it."""
    return read_catalog(cloud, region, SHIPPED, retired=retired)


def read_catalog(cloud: str, region: str, shelf: Traversable, *, retired: bool = False) -> Catalog:
    """The same from another shelf, read anew. Raises `Invalid` if its tables are none."""
    prices = _of(cloud, PRICES_SUFFIX, shelf, lambda table: read_prices(table, region))
    if not prices:
        known = regions(cloud, shelf)
        alike = difflib.get_close_matches(region, known, n=1)
        raise NotFound(
            f"the catalog knows no region {region!r} of {cloud}",
            looked_at=(f"regions: {', '.join(known)}",),
            hint=f"did you mean {alike[0]}?" if alike else "choose one of these regions",
        )
    types = _of(cloud, TYPES_SUFFIX, shelf, read_types)
    sold = [
        (type_, row)
        for row in prices
        if (type_ := types.get(row.name)) is not None and (retired or type_.lifecycle != RETIRED)
    ]
    sold += computed_types(cloud, types, prices)
    zones = {short: zone_name(cloud, region, short) for row in prices for short in row.zones}
    offerings = {type_.name: _offerings(row, zones) for type_, row in sold if row.on_demand or row.spot}
    return Catalog(
        cloud=cloud,
        region=region,
        zones=tuple(sorted(zones.values())),
        instance_types={type_.name: type_ for type_, _ in sold if type_.name in offerings},
        offerings_by_type=offerings,
    )


def _of(cloud: str, suffix: str, shelf: Traversable, read: Callable[[bytes], _T]) -> _T:
    """What ``read`` makes of a table; complaints about it name the file."""
    file = shelf / f"{cloud}{suffix}"
    if not file.is_file():
        raise NotFound(
            f"there is no catalog of {cloud!r}",
            looked_at=(f"catalogs: {', '.join(clouds(shelf))}",),
            hint="choose one of these clouds",
        )
    try:
        return read(file.read_bytes())
    except Invalid as error:
        raise Invalid(f"{file}: {error.message}", looked_at=error.looked_at, hint=error.hint) from error


def _offerings(row: PriceRow, zones: Mapping[str, str]) -> tuple[Offering, ...]:
    terms = ((CapacityType.ON_DEMAND, row.on_demand), (CapacityType.SPOT, row.spot))
    return tuple(
        Offering(
            row.name, zone, capacity_type, price.usd_per_hour, price.interruption_bucket, price.source, price.as_of
        )
        for zone in (zones[short] for short in row.zones)
        for capacity_type, price in terms
        if price is not None
    )


def _by_zone_and_terms(offering: Offering) -> tuple[str, str]:
    return offering.zone, offering.capacity_type
