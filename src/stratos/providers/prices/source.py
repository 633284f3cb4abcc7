"""What a price adapter is given, and what it hands back. Whether to believe it is decided in ``catalog.revision``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import Quote
from stratos.catalog.tables import PriceRow


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """What the catalog has of a region. Some lists price parts only: these sizes are what they are added up for."""

    region: str
    types: Mapping[str, InstanceType]  # all of the cloud
    prices: Mapping[str, PriceRow]  # of the region, by the name of a type or a part


@dataclass(frozen=True, slots=True)
class Reading:
    """What the lists of one cloud say of the regions asked about."""

    quotes: tuple[Quote, ...]
    types: tuple[InstanceType, ...] = ()  # where an account tells
    zones: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)  # by region and type, likewise
    gaps: tuple[str, ...] = ()  # what could not be read, and why


class PriceSource(Protocol):
    """Reads the lists of one cloud."""

    @property
    def cloud(self) -> str: ...

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        """All prices of these regions. Raises `Unavailable` when a list cannot be had, `Invalid` when it is none."""
        ...


def added_up(
    here: KnownRegion,
    told: Mapping[str, InstanceType],
    quotes_of: Callable[[str, InstanceType | None], Iterable[Quote]],
) -> tuple[list[Quote], list[str]]:
    """Quotes of what is sold in a region, by the catalog or as an account has ``told``; and the names of what has no
    price on demand. ``quotes_of`` adds a type up from its parts, or says what a part alone costs (None: no type).
    """
    types = {**told, **here.types}
    quotes: list[Quote] = []
    unpriced: list[str] = []
    for name in sorted(here.prices.keys() | told.keys()):
        found = list(quotes_of(name, types.get(name)))
        quotes += found
        if not any(each.key.capacity_type is CapacityType.ON_DEMAND for each in found):
            unpriced.append(name)
    return quotes, unpriced


def number(text: str) -> float:
    """What a list states as a number. One that is none makes a price nobody believes, and does not end the rest."""
    try:
        return float(text)
    except ValueError:
        return math.nan
