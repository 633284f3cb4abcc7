"""What spot capacity is taken to cost, where the user knows better than the catalog.

The advice is the public spot advisor file: by region and type, the saving against on-demand over the last month in
percent, and the bucket of how often such machines are interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from stratos.base.errors import Invalid
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, Offering

_OPERATING_SYSTEM = "Linux"
_WHERE = "spot_advisor → region → Linux → instance type → {s: saving in percent, r: interruption bucket}"


class Advice(msgspec.Struct, frozen=True):
    """About one type in one region."""

    saving_percent: int = msgspec.field(name="s")
    interruption_bucket: int = msgspec.field(name="r")


@dataclass(frozen=True, slots=True)
class SpotPrices:
    """How spot prices follow from those on demand: as advised, and where there is no advice by ``ratio``."""

    ratio: float
    advice: Mapping[str, Mapping[str, Advice]]  # by region and type; empty: ``ratio`` for all

    def apply(self, catalog: Catalog) -> Catalog:
        """``catalog`` with these spot prices in place of its own."""
        advised = self.advice.get(catalog.region, {})
        return replace(
            catalog,
            offerings_by_type={
                name: self._priced(offerings, advised.get(name))
                for name, offerings in catalog.offerings_by_type.items()
            },
        )

    def _priced(self, offerings: tuple[Offering, ...], advice: Advice | None) -> tuple[Offering, ...]:
        """Advice about a type is proof enough that it is sold as spot, wherever it is sold at all."""
        spot = {offering.zone: offering for offering in offerings if offering.capacity_type is CapacityType.SPOT}
        priced = []
        for offering in offerings:
            if offering.capacity_type is CapacityType.SPOT:
                continue
            priced.append(offering)
            bucket: int | None
            if advice is not None:
                ratio, bucket = 1 - advice.saving_percent / 100, advice.interruption_bucket
            elif offering.zone in spot:
                ratio, bucket = self.ratio, spot[offering.zone].interruption_bucket
            else:
                continue
            price = offering.price_usd_per_hour * ratio
            priced.append(
                replace(offering, capacity_type=CapacityType.SPOT, price_usd_per_hour=price, interruption_bucket=bucket)
            )
        return tuple(priced)


def read_advice(document: object) -> dict[str, dict[str, Advice]]:
    """What the spot advisor file says about Linux. Raises `Invalid` naming the place."""
    if not isinstance(document, dict) or not isinstance(document.get("spot_advisor"), dict):
        raise Invalid("this is no spot advisor file", hint=f"it holds {_WHERE}")
    advice = {}
    for region, systems in document["spot_advisor"].items():
        types = systems.get(_OPERATING_SYSTEM, {}) if isinstance(systems, dict) else None
        if not isinstance(types, dict):
            raise Invalid(f"spot_advisor.{region} is no mapping of operating systems", hint=f"it holds {_WHERE}")
        place = f"spot_advisor.{region}.{_OPERATING_SYSTEM}"
        advice[region] = {name: _advice(value, f"{place}[{name}]") for name, value in types.items()}
    return advice


def _advice(value: Any, place: str) -> Advice:
    try:
        advice = msgspec.convert(value, Advice)
    except msgspec.ValidationError as error:
        raise Invalid(f"{place}: {error}", hint=f"it holds {_WHERE}") from error
    if not 0 <= advice.saving_percent < 100:
        raise Invalid(f"{place}.s: a saving of {advice.saving_percent} %", hint="a saving is 0 to 99 percent")
    if not 0 <= advice.interruption_bucket <= 4:
        raise Invalid(
            f"{place}.r: there is no interruption bucket {advice.interruption_bucket}", hint="they are 0 to 4"
        )
    return advice
