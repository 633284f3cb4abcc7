"""Azure: the public retail price list, page after page, and what an account adds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from providers.price_lists import a_type, as_json, as_status, known, ours, served
from stratos.base.clock import FixedClock
from stratos.base.errors import Invalid
from stratos.catalog.instance_type import CapacityType, Gpu
from stratos.catalog.quotes import PriceKey
from stratos.providers.prices.azure import AzurePrices
from stratos.providers.prices.azure_account import AzureAccount
from stratos.providers.prices.source import Reading

TODAY = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))
REGION = "eastus"
PATH = "/api/retail/prices"
T4 = a_type("Standard_NC4as_T4_v3", "standardNCASv3Family", 4, 28, gpu=Gpu("nvidia", "T4", 1, 16))


def an_item(**facts: Any) -> dict[str, Any]:
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": 0.096,
        "unitPrice": 0.096,
        "armRegionName": REGION,
        "location": "US East",
        "effectiveStartDate": "2024-03-01T00:00:00Z",
        "meterName": "D2s v5",
        "productName": "Virtual Machines Dsv5 Series",
        "skuName": "D2s v5",
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "Standard_D2s_v5",
        **facts,
    }


def a_page(*items: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    return {"BillingCurrency": "USD", "Items": list(items), "NextPageLink": following, "Count": len(items)}


def read(*items: dict[str, Any], account: AzureAccount | str = "AZURE_SUBSCRIPTION_ID is not set") -> Reading:
    async def reading() -> Reading:
        async with served({PATH: [as_json(a_page(*items))]}) as server:
            return await AzurePrices(server.reader, TODAY, account, retail_prices=server.url).read([known(REGION, T4)])

    return asyncio.run(reading())


def key(terms: CapacityType = CapacityType.ON_DEMAND, name: str = "Standard_D2s_v5") -> PriceKey:
    return PriceKey(REGION, name, terms)


def test_pages_are_followed_to_the_last_one_and_a_throttled_one_is_asked_again() -> None:
    """A region has dozens of pages; whoever stops early loses prices without noticing."""

    def first(request: web.Request) -> web.StreamResponse:
        assert "armRegionName eq 'eastus'" in request.query["$filter"]
        link = f"http://{request.host}{PATH}?$skip=1000"
        return web.json_response(a_page(an_item(), following=link))

    second = as_json(a_page(an_item(armSkuName="Standard_D4s_v5", retailPrice=0.192)))

    async def reading() -> tuple[Reading, int]:
        async with served({PATH: [first, as_status(429, retry_after="0"), second]}) as server:
            source = AzurePrices(server.reader, TODAY, "no account", retail_prices=server.url)
            return await source.read([known(REGION)]), len(server.asked)

    got, asked = asyncio.run(reading())

    assert {quote.key.name: quote.amount for quote in got.quotes} == {
        "Standard_D2s_v5": 0.096,
        "Standard_D4s_v5": 0.192,
    }
    assert asked == 3


def test_spot_and_on_demand_are_told_apart_by_the_name_of_the_sku() -> None:
    """Both are listed as consumption of the same machine."""
    quotes = ours(read(an_item(), an_item(skuName="D2s v5 Spot", retailPrice=0.0192)))

    assert (quotes[key()].amount, quotes[key(CapacityType.SPOT)].amount) == (0.096, 0.0192)


@pytest.mark.parametrize(
    ("facts", "sold_as"),
    [
        ({"productName": "Virtual Machines Dsv5 Series Windows"}, "Windows"),
        ({"skuName": "D2s v5 Low Priority"}, "low priority"),
        ({"productName": "Dsv5 Series Dedicated Host"}, "dedicated hosts"),
        ({"productName": "Dsv5 Series Cloud Services"}, "Cloud Services"),
        ({"type": "DevTestConsumption"}, "DevTestConsumption"),
    ],
)
def test_prices_of_other_products_are_named_for_what_they_are(facts: dict[str, str], sold_as: str) -> None:
    """Windows costs twice as much under the same name of machine."""
    reading = read(an_item(), an_item(retailPrice=0.188, **facts))

    assert [quote.amount for quote in reading.quotes if quote.sold_as == sold_as] == [0.188]
    assert ours(reading)[key()].amount == 0.096


def test_of_prices_that_follow_one_another_the_one_in_force_counts() -> None:
    """The list names the price of next month beside that of today."""
    now = an_item(retailPrice=0.09, effectiveStartDate="2026-05-01T00:00:00Z")
    later = an_item(retailPrice=0.08, effectiveStartDate="2026-07-01T00:00:00Z")

    quotes = ours(read(an_item(), now, later))

    assert (quotes[key()].amount, quotes[key()].as_of) == (0.09, "2026-06-01")


def test_meters_of_another_region_are_passed_over() -> None:
    """Some prices are listed again for the place where they are metered."""
    assert not read(an_item(isPrimaryMeterRegion=False)).quotes


def test_a_price_in_another_currency_or_unit_says_so() -> None:
    """Whether to believe it is decided elsewhere, and there it must show."""
    reading = read(an_item(currencyCode="EUR"), an_item(armSkuName="Standard_D4s_v5", unitOfMeasure="100 Hours"))

    assert [quote.unit for quote in reading.quotes] == ["EUR per hour", "USD per 100 Hours"]


def test_pages_that_lead_back_to_themselves_end_with_an_error() -> None:
    """A list without end is not read until the disk is full."""

    def again(request: web.Request) -> web.StreamResponse:
        return web.json_response(a_page(following=f"http://{request.host}{PATH}?$skip=0"))

    async def reading() -> Reading:
        async with served({PATH: [again]}) as server:
            return await AzurePrices(server.reader, TODAY, "none", retail_prices=server.url).read([known(REGION)])

    with pytest.raises(Invalid, match="does not end"):
        asyncio.run(reading())


@dataclass
class FakeCapability:
    name: str
    value: str


@dataclass
class FakeLocation:
    zones: Sequence[str] | None


@dataclass
class FakeSku:
    name: str
    family: str
    capabilities: Sequence[FakeCapability]
    resource_type: str = "virtualMachines"
    location_info: Sequence[FakeLocation] = field(default_factory=lambda: [FakeLocation(["2", "1"])])


class FakeSkus:
    def __init__(self, *skus: FakeSku) -> None:
        self._skus = skus

    def list(self, *, filter: str) -> Iterable[FakeSku]:
        assert filter == f"location eq '{REGION}'"
        if not self._skus:
            raise PermissionError("AuthorizationFailed")
        return self._skus


def a_sku(name: str, family: str, **told: str) -> FakeSku:
    return FakeSku(name, family, [FakeCapability(name, value) for name, value in told.items()])


def test_with_an_account_sizes_and_zones_are_known() -> None:
    """A new type can be used once its size is known."""
    new = a_sku("Standard_D2ps_v7", "standardDpsv7Family", vCPUs="2", MemoryGB="8", CpuArchitectureType="Arm64")
    disk = FakeSku("Premium_LRS", "disks", [], resource_type="disks")

    reading = read(an_item(), account=AzureAccount(FakeSkus(new, disk)))
    (type_,) = reading.types

    assert (type_.vcpu, type_.memory_bytes, type_.arch, type_.max_pods) == (2, 8 * 2**30, "arm64", 110)
    assert reading.zones == {REGION: {"Standard_D2ps_v7": ("1", "2")}}
    assert reading.gaps == ()


def test_which_gpu_a_machine_has_is_known_from_its_family_or_not_at_all() -> None:
    """Azure tells how many GPUs there are, not which: a guess could send a model to a card too small for it."""
    kin = a_sku("Standard_NC64as_T4_v3", T4.family, vCPUs="64", MemoryGB="440", GPUs="4")
    stranger = a_sku("Standard_ND1_X", "standardNDXFamily", vCPUs="64", MemoryGB="440", GPUs="8")

    reading = read(an_item(), account=AzureAccount(FakeSkus(kin, stranger)))

    assert [(type_.name, type_.gpu) for type_ in reading.types] == [(kin.name, Gpu("nvidia", "T4", 4, 16))]


@pytest.mark.parametrize(
    ("account", "reason"),
    [("AZURE_SUBSCRIPTION_ID is not set", "AZURE_SUBSCRIPTION_ID"), (AzureAccount(FakeSkus()), "AuthorizationFailed")],
)
def test_without_a_working_account_the_gap_is_told_with_the_reason(account: AzureAccount | str, reason: str) -> None:
    """Prices are public and come nevertheless."""
    reading = read(an_item(), account=account)

    assert len(reading.quotes) == 1
    assert [reason in gap for gap in reading.gaps] == [True]
