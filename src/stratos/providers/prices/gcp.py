"""Prices of Google Cloud, from the billing catalog: cores, memory, GPUs and local disks, by family and region.

Machines have no price of their own there: it is the sum of their parts. The sizes come from the catalog we have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unavailable
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.formulas_gcp import PART_PREFIX
from stratos.catalog.instance_type import HOURS_PER_MONTH, CapacityType, InstanceType
from stratos.catalog.quotes import PriceKey, Quote
from stratos.providers.prices.gcp_account import GcpAccount
from stratos.providers.prices.source import KnownRegion, Reading, added_up
from stratos.providers.prices.web import Web

BILLING = "https://cloudbilling.googleapis.com"
_COMPUTE_ENGINE = "services/6F81-5844-456A"
_PAGES_MAX = 200

_CORE_OR_RAM = re.compile(
    r"^(?:Spot Preemptible )?(?P<family>[A-Z]\d[A-Z]?)(?: AMD| Arm)?(?: Predefined)? "
    r"Instance (?P<part>Core|Ram) running in "
)
_UNNAMED_FAMILIES = (
    (re.compile(r"^(?:Spot Preemptible )?Compute optimized(?: Instance)? (?P<part>Core|Ram) running in "), "c2"),
    (re.compile(r"^(?:Spot Preemptible )?Memory-optimized Instance (?P<part>Core|Ram) running in "), "m1"),
    (re.compile(r"^(?:Spot Preemptible )?M3 Memory-optimized Instance (?P<part>Core|Ram) running in "), "m3"),
)
_GPU = re.compile(
    r"^Nvidia (?:Tesla )?(?P<gpu>[\w ]+?) GPU (?:attached to Spot Preemptible VMs )?running in ", re.IGNORECASE
)
_GPU_SKUS = {"A100": "A100-40", "A100 80GB": "A100-80", "H100 80GB": "H100"}  # the rest are called what we call them
_LOCAL_DISK = re.compile(r"^SSD backed Local Storage\b")
_TERMS = {"OnDemand": CapacityType.ON_DEMAND, "Preemptible": CapacityType.SPOT}
_HOURS_OF_A_UNIT = {"h": 1, "GiBy.h": 1, "GiBy.mo": HOURS_PER_MONTH}
# Shared-core machines show two processors and pay for part of them.
_PROCESSORS_PAID = {"e2-micro": 0.25, "e2-small": 0.5, "e2-medium": 1.0}


class _UnitPrice(msgspec.Struct, rename="camel"):
    currency_code: str = "USD"
    units: int | str = 0
    nanos: int = 0


class _Rate(msgspec.Struct, rename="camel"):
    unit_price: _UnitPrice


class _Expression(msgspec.Struct, rename="camel"):
    usage_unit: str
    tiered_rates: list[_Rate] = []


class _Pricing(msgspec.Struct, rename="camel"):
    pricing_expression: _Expression


class _Category(msgspec.Struct, rename="camel"):
    usage_type: str = ""


class _Sku(msgspec.Struct, rename="camel"):
    description: str
    category: _Category
    service_regions: list[str] = []
    pricing_info: list[_Pricing] = []


class _Page(msgspec.Struct, rename="camel"):
    skus: list[_Sku] = []
    next_page_token: str = ""


class _Part(NamedTuple):
    region: str
    terms: CapacityType
    kind: str  # Core, Ram, GPU or disk
    of: str  # the family, or the SKU of the GPU


class GcpPrices:
    """``api_key`` and ``account`` may be missing; the latter then says why."""

    cloud = "gcp"

    def __init__(
        self, web: Web, clock: Clock, api_key: str | None, account: GcpAccount | str, *, billing: str = BILLING
    ) -> None:
        self._web = web
        self._clock = clock
        self._api_key = api_key
        self._account = account
        self._billing = billing

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        gaps: list[str] = []
        types, zones = tuple[InstanceType, ...](), dict[str, dict[str, tuple[str, ...]]]()
        if isinstance(self._account, str):
            gaps.append(f"machine types and their zones: {self._account}; known ones stay as they are")
        else:
            try:
                types, zones = await self._account.types(known)
            except Unavailable as error:
                gaps.append(f"{error}; known machine types stay as they are")
        if not self._api_key:
            gaps.append("all prices: the billing catalog wants an API key, and GOOGLE_API_KEY is not set")
            return Reading((), types=types, zones=zones, gaps=tuple(gaps))
        parts = _parts(await self._skus(self._api_key), {here.region for here in known})
        quotes: list[Quote] = []
        for here in known:
            sold = {name: type_ for type_ in types if (name := type_.name) in zones.get(here.region, {})}
            listed, unpriced = added_up(here, sold, partial(self._quotes, here.region, parts=parts))
            quotes += listed
            if unpriced:
                some = ", ".join(unpriced[:3])
                gaps.append(f"{len(unpriced)} types of {here.region} have parts without a price, such as {some}")
        return Reading(tuple(quotes), types=types, zones=zones, gaps=tuple(gaps))

    async def _skus(self, api_key: str) -> list[_Sku]:
        url = f"{self._billing}/v1/{_COMPUTE_ENGINE}/skus"
        query = {"key": api_key, "currencyCode": "USD", "pageSize": "5000"}
        skus: list[_Sku] = []
        for _ in range(_PAGES_MAX):
            page = await self._web.json(url, _Page, query)
            skus += page.skus
            if not page.next_page_token:
                return skus
            query["pageToken"] = page.next_page_token
        raise Invalid("the billing catalog does not end", looked_at=(f"{_PAGES_MAX} pages",))

    def _quotes(
        self, region: str, name: str, type_: InstanceType | None, *, parts: Mapping[_Part, float]
    ) -> Iterator[Quote]:
        today = self._clock.now().date().isoformat()
        for terms in CapacityType:
            if type_ is not None:
                price = _price(type_, parts, region, terms)
            else:
                price = parts.get(_Part(region, terms, "GPU", name.removeprefix(PART_PREFIX)))
            if price is not None:
                key = PriceKey(region, name, terms)
                yield Quote(key, round(price, 6), source="gcp-billing-catalog", as_of=today)


def _price(type_: InstanceType, parts: Mapping[_Part, float], region: str, terms: CapacityType) -> float | None:
    """None if a part has no price: a sum that lacks one would be wrong, and look like a bargain."""
    counts = {
        _Part(region, terms, "Core", type_.family): _PROCESSORS_PAID.get(type_.name, type_.vcpu),
        _Part(region, terms, "Ram", type_.family): type_.memory_bytes / GIBIBYTE,
    }
    if type_.gpu:
        counts[_Part(region, terms, "GPU", type_.gpu.sku)] = type_.gpu.count
    if type_.local_nvme_gb:
        counts[_Part(region, terms, "disk", "")] = type_.local_nvme_gb
    elif type_.name.endswith("-lssd"):
        return None  # it has local disks, and nobody has told us how large they are
    if any(part not in parts for part in counts):
        return None
    return sum(parts[part] * count for part, count in counts.items())


def _parts(skus: Sequence[_Sku], regions: set[str]) -> dict[_Part, float]:
    """USD an hour of one core, GiB or GPU. A part listed at two prices has none that can be trusted."""
    listed: dict[_Part, set[float]] = defaultdict(set)
    for sku in skus:
        described = _described(sku.description)
        terms = _TERMS.get(sku.category.usage_type)
        if described is None or terms is None or not sku.pricing_info:
            continue
        expression = sku.pricing_info[-1].pricing_expression
        hours = _HOURS_OF_A_UNIT.get(expression.usage_unit)
        if hours is None or not expression.tiered_rates:
            continue
        price = expression.tiered_rates[-1].unit_price  # the tiers before it are what is free
        if price.currency_code != "USD":
            raise Invalid(f"the billing catalog prices {sku.description!r} in {price.currency_code}, not in USD")
        for region in regions.intersection(sku.service_regions):
            usd = int(price.units) + price.nanos / 1e9
            listed[_Part(region, terms, *described)].add(round(usd / hours, 9))
    return {part: prices.pop() for part, prices in listed.items() if len(prices) == 1}


def _described(description: str) -> tuple[str, str] | None:
    """What part a description is of, and of which family or SKU. None for all else that is sold there."""
    if found := _CORE_OR_RAM.match(description):
        return found["part"], found["family"].lower()
    for pattern, family in _UNNAMED_FAMILIES:
        if found := pattern.match(description):
            return found["part"], family
    if found := _GPU.match(description):
        return "GPU", _GPU_SKUS.get(found["gpu"], found["gpu"])
    return ("disk", "") if _LOCAL_DISK.match(description) else None
