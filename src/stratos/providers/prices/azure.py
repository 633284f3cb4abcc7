"""Prices of Azure, from the public retail price list: pages of a hundred and more, each naming the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unavailable
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import PriceKey, Quote
from stratos.providers.prices.azure_account import AzureAccount
from stratos.providers.prices.source import KnownRegion, Reading
from stratos.providers.prices.web import Web

RETAIL_PRICES = "https://prices.azure.com"
_PAGES_MAX = 1000  # a region has some fifty; more means that pages lead back to themselves


class _Item(msgspec.Struct, rename="camel"):
    currency_code: str
    retail_price: float
    arm_region_name: str
    effective_start_date: str
    product_name: str
    sku_name: str
    unit_of_measure: str
    type: str
    arm_sku_name: str
    is_primary_meter_region: bool = True


class _Page(msgspec.Struct, rename="pascal"):
    items: list[_Item]
    next_page_link: str | None = None


class AzurePrices:
    """``account`` may be the reason why there is none."""

    cloud = "azure"

    def __init__(
        self, web: Web, clock: Clock, account: AzureAccount | str, *, retail_prices: str = RETAIL_PRICES
    ) -> None:
        self._web = web
        self._clock = clock
        self._account = account
        self._retail_prices = retail_prices

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        quotes = [quote for here in known for quote in await self._listed(here.region)]
        if isinstance(self._account, str):
            gap = f"instance types and their zones: {self._account}; known ones stay as they are"
            return Reading(tuple(quotes), gaps=(gap,))
        types: dict[str, InstanceType] = {}
        zones: dict[str, dict[str, tuple[str, ...]]] = {}
        gaps: list[str] = []
        for here in known:
            try:
                told, zones[here.region] = await self._account.types(here)
                types |= {type_.name: type_ for type_ in told}
            except Unavailable as error:
                gaps.append(f"{error}; known instance types stay as they are")
        return Reading(tuple(quotes), types=tuple(types.values()), zones=zones, gaps=tuple(gaps))

    async def _listed(self, region: str) -> list[Quote]:
        url: str | None = f"{self._retail_prices}/api/retail/prices"
        query: dict[str, str] | None = {
            "currencyCode": "USD",
            "$filter": (
                f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and priceType eq 'Consumption'"
            ),
        }
        items: list[_Item] = []
        for _ in range(_PAGES_MAX):
            if not url:
                return _quotes(items, self._clock.now().date().isoformat())
            page = await self._web.json(url, _Page, query)
            items += page.items
            url, query = page.next_page_link, None  # the link holds the whole query
        raise Invalid(f"the price list of {region} does not end", looked_at=(f"{_PAGES_MAX} pages, the next is {url}",))


def _quotes(items: Iterable[_Item], today: str) -> list[Quote]:
    """One quote a machine, terms and product: of prices that follow one another, the one in force."""
    latest: dict[tuple[PriceKey, str | None], _Item] = {}
    for item in items:
        if not item.arm_sku_name or not item.is_primary_meter_region or item.effective_start_date[:10] > today:
            continue
        terms = CapacityType.SPOT if item.sku_name.endswith(" Spot") else CapacityType.ON_DEMAND
        product = PriceKey(item.arm_region_name, item.arm_sku_name, terms), _sold_as(item)
        if product not in latest or latest[product].effective_start_date < item.effective_start_date:
            latest[product] = item
    return [
        Quote(
            key,
            amount=item.retail_price,
            unit=f"{item.currency_code} per {'hour' if item.unit_of_measure == '1 Hour' else item.unit_of_measure}",
            sold_as=sold_as,
            source="azure-retail-prices",
            as_of=today,
        )
        for (key, sold_as), item in latest.items()
    ]


def _sold_as(item: _Item) -> str | None:
    if item.type != "Consumption":
        return item.type
    if "Windows" in item.product_name:
        return "Windows"
    if "Low Priority" in item.sku_name:
        return "low priority"  # the predecessor of spot, for batch jobs only
    if "Dedicated Host" in item.product_name:
        return "dedicated hosts"
    if "Cloud Services" in item.product_name:
        return "Cloud Services"
    return None
