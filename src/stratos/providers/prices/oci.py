"""Prices of Oracle Cloud, from the public price list: by core and GiB, by core alone, or by GPU, alike in all regions.

A preemptible machine costs half of on-demand, for shapes that can be had so. No list says it, the documentation does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec

from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unavailable
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.formulas_oci import GIB_PART, OCPU_PART
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import OF_ON_DEMAND, PriceKey, Quote
from stratos.providers.prices.oci_account import OciAccount
from stratos.providers.prices.source import KnownRegion, Reading, added_up
from stratos.providers.prices.web import Web

PRICE_LIST = "https://apexapps.oracle.com"
PREEMPTIBLE_SHARE = 0.5

_VENDOR = re.compile(r"^(?:OCI|Oracle Cloud Infrastructure) - ")
_CORE_OR_MEMORY = re.compile(
    r"^Compute - (?P<line>Standard|Optimized) - (?P<series>[A-Z]\d+) ?-? (?P<part>OCPU|Memory)$"
)
_GPU = re.compile(
    r"^Compute - (?:GPU|GPU Standard|Bare Metal GPU Standard|Virtual Machine GPU Standard) - (?P<model>.+)$"
)
_WHOLE = re.compile(r"^Compute - (?P<kind>Bare Metal|Virtual Machine) (?P<line>Standard|Dense I/O) - X7$")
_UNITS = {"OCPU Per Hour": "OCPU", "Gigabyte Per Hour": "Memory", "Gigabytes Per Hour": "Memory", "GPU Per Hour": "GPU"}
_FAMILY = re.compile(
    r"^(?P<kind>VM|BM)\.(?P<line>Standard|Optimized|DenseIO)(?P<generation>\d?)(?:\.(?P<series>[A-Z]\d+))?"
)
# The list names the older GPUs by the generation of their machines.
_GPU_SKUS = {"A100 - v2": "A100-80", "V2": "V100", "X7": "P100"}
_SERIES_OF_GENERATION = {"2": "X7", "3": "X9"}
_PROCESSORS_PER_CORE = {"Standard A1": 1}  # all others run two threads a core, or sell their cores in pairs


class _Tier(msgspec.Struct, rename="camel"):
    model: str
    value: float
    range_min: float = 0.0


class _Localization(msgspec.Struct, rename="camel"):
    currency_code: str
    prices: list[_Tier]


class _Product(msgspec.Struct, rename="camel"):
    display_name: str
    metric_name: str
    currency_code_localizations: list[_Localization] = []


class _Products(msgspec.Struct):
    items: list[_Product]


class OciPrices:
    """``account`` may be the reason why there is none."""

    cloud = "oci"

    def __init__(self, web: Web, clock: Clock, account: OciAccount | str, *, price_list: str = PRICE_LIST) -> None:
        self._web = web
        self._clock = clock
        self._account = account
        self._price_list = price_list

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        url = f"{self._price_list}/pls/apex/cetools/api/v1/products/"
        rates = _rates((await self._web.json(url, _Products, {"currencyCode": "USD"})).items)
        quotes: list[Quote] = []
        types: dict[str, InstanceType] = {}
        gaps: list[str] = []
        for here in known:
            told = await self._told(here, gaps)
            types |= told
            listed, unpriced = added_up(here, told, partial(self._quotes, here, rates=rates))
            quotes += listed
            if unpriced:
                some = ", ".join(unpriced[:3])
                gaps.append(f"{len(unpriced)} shapes of {here.region} have no price in the list, such as {some}")
        return Reading(tuple(quotes), types=tuple(types.values()), gaps=tuple(dict.fromkeys(gaps)))

    async def _told(self, here: KnownRegion, gaps: list[str]) -> dict[str, InstanceType]:
        """The shapes that the account sees in a region; without one, none and a gap."""
        if isinstance(self._account, str):
            gaps.append(f"shapes: {self._account}; known ones stay as they are")
            return {}
        try:
            return {type_.name: type_ for type_ in await self._account.types(here)}
        except Unavailable as error:
            gaps.append(f"{error}; known shapes stay as they are")
            return {}

    def _quotes(
        self, here: KnownRegion, name: str, type_: InstanceType | None, *, rates: Mapping[tuple[str, str], float]
    ) -> Iterator[Quote]:
        today = self._clock.now().date().isoformat()
        price = _price(type_, rates) if type_ is not None else _part_price(name, rates)
        if price is None:
            return
        on_demand = PriceKey(here.region, name, CapacityType.ON_DEMAND)
        yield Quote(on_demand, round(price, 6), source="oci-price-list", as_of=today)
        if name in here.prices and here.prices[name].spot:
            preemptible = on_demand._replace(capacity_type=CapacityType.SPOT)
            yield Quote(preemptible, PREEMPTIBLE_SHARE, source="oci-preemptible=50%", as_of=today, unit=OF_ON_DEMAND)


def _part_price(name: str, rates: Mapping[tuple[str, str], float]) -> float | None:
    """Of one core or gibibyte of a flexible shape."""
    for suffix, part in ((OCPU_PART, "OCPU"), (GIB_PART, "Memory")):
        if name.endswith(suffix):
            return rates.get((part, _line(name.removesuffix(suffix))))
    return None


def _price(type_: InstanceType, rates: Mapping[tuple[str, str], float]) -> float | None:
    """None if the list has no price for it, or for a part of it."""
    if type_.gpu:
        of_one = rates.get(("GPU", type_.gpu.sku))
        return None if of_one is None else of_one * type_.gpu.count
    line = _line(type_.family)
    cores = type_.vcpu / _PROCESSORS_PER_CORE.get(line, 2)
    whole = rates.get((type_.family.partition(".")[0], line))
    if whole is not None:  # the older shapes: a core brings its memory
        return whole * cores
    core, memory = rates.get(("OCPU", line)), rates.get(("Memory", line))
    return None if core is None or memory is None else core * cores + memory * type_.memory_bytes / GIBIBYTE


def _line(family: str) -> str:
    """What the price list calls a family: ``VM.Standard.E4.Flex`` is Standard E4, ``BM.Standard3`` is Standard X9."""
    found = _FAMILY.match(family)
    if not found:
        return family
    series = found["series"] or _SERIES_OF_GENERATION.get(found["generation"])
    return f"{found['line']} {series}"


def _rates(products: Sequence[_Product]) -> dict[tuple[str, str], float]:
    """USD an hour of each part. One listed at two prices has none that can be trusted."""
    listed: dict[tuple[str, str], set[float]] = defaultdict(set)
    for product in products:
        part = _part(product)
        if part is None:
            continue
        for localization in product.currency_code_localizations:
            if localization.currency_code != "USD":
                raise Invalid(
                    f"the price list has {product.display_name!r} in {localization.currency_code}, not in USD"
                )
            tiers = [tier for tier in localization.prices if tier.model == "PAY_AS_YOU_GO"]
            if tiers:  # the first tiers may be free, for a little of everything
                listed[part].add(max(tiers, key=lambda tier: tier.range_min).value)
    return {part: values.pop() for part, values in listed.items() if len(values) == 1}


def _part(product: _Product) -> tuple[str, str] | None:
    """What a product is a price of. None for all else that is sold there."""
    name = _VENDOR.sub("", " ".join(product.display_name.split()))
    unit = _UNITS.get(product.metric_name)
    if (found := _CORE_OR_MEMORY.match(name)) and unit == found["part"]:
        return found["part"], f"{found['line']} {found['series']}"
    if (found := _GPU.match(name)) and unit == "GPU":
        return "GPU", _GPU_SKUS.get(found["model"], found["model"])
    if (found := _WHOLE.match(name)) and unit == "OCPU":
        kind = "BM" if found["kind"] == "Bare Metal" else "VM"
        return kind, "DenseIO X7" if found["line"] == "Dense I/O" else "Standard X7"
    return None
