"""What is different between two tables of prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stratos.catalog.instance_type import CapacityType
from stratos.catalog.tables import ListPrice, PriceRow

_SAME = 1e-9  # apart by no more than arithmetic


class Priced(NamedTuple):
    region: str
    name: str
    capacity_type: CapacityType
    price: ListPrice


class Repriced(NamedTuple):
    region: str
    name: str
    capacity_type: CapacityType
    before: ListPrice
    after: ListPrice

    @property
    def share(self) -> float:
        """By how much it rose: 0.1 is 10 % dearer."""
        return self.after.usd_per_hour / self.before.usd_per_hour - 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each part ordered by region, name and terms."""

    added: tuple[Priced, ...]
    gone: tuple[Priced, ...]
    changed: tuple[Repriced, ...]
    unchanged: int


def compare_prices(before: Iterable[PriceRow], after: Iterable[PriceRow]) -> Comparison:
    old, new = _by_key(before), _by_key(after)
    changed = [
        Repriced(*key, old[key], new[key])
        for key in sorted(old.keys() & new.keys())
        if abs(old[key].usd_per_hour - new[key].usd_per_hour) > _SAME
    ]
    return Comparison(
        added=tuple(Priced(*key, new[key]) for key in sorted(new.keys() - old.keys())),
        gone=tuple(Priced(*key, old[key]) for key in sorted(old.keys() - new.keys())),
        changed=tuple(changed),
        unchanged=len(old.keys() & new.keys()) - len(changed),
    )


def _by_key(rows: Iterable[PriceRow]) -> dict[tuple[str, str, CapacityType], ListPrice]:
    return {
        (row.region, row.name, capacity_type): price
        for row in rows
        for capacity_type, price in ((CapacityType.ON_DEMAND, row.on_demand), (CapacityType.SPOT, row.spot))
        if price is not None
    }
