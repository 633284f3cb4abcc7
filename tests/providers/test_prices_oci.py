"""Oracle Cloud: cores and gibibytes, older shapes by the core, GPUs by the piece."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.price_lists import a_type, as_json, known, ours, served
from stratos.base.clock import FixedClock
from stratos.base.errors import Invalid
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType
from stratos.catalog.quotes import OF_ON_DEMAND, PriceKey
from stratos.providers.prices.oci import OciPrices
from stratos.providers.prices.oci_account import OciAccount
from stratos.providers.prices.source import Reading

TODAY = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))
REGION = "us-ashburn-1"
PATH = "/pls/apex/cetools/api/v1/products/"


def a_product(name: str, metric: str, usd: float, *, currency: str = "USD", free_until: float = 0) -> dict[str, Any]:
    paid = {"model": "PAY_AS_YOU_GO", "value": usd, "rangeMin": free_until, "rangeMax": 999999999, "rangeUnit": "HOURS"}
    free = {"model": "PAY_AS_YOU_GO", "value": 0, "rangeMin": 0, "rangeMax": free_until, "rangeUnit": "HOURS"}
    commit = {"model": "MONTHLY_COMMIT", "value": usd / 2}
    return {
        "partNumber": "B93113",
        "displayName": name,
        "metricName": metric,
        "serviceCategory": "Compute - Virtual Machine",
        "currencyCodeLocalizations": [
            {"currencyCode": currency, "prices": [commit, *([free] if free_until else []), paid]}
        ],
    }


PRODUCTS = [
    a_product("Compute - Standard - E4 - OCPU", "OCPU Per Hour", 0.025),
    a_product("Compute - Standard - E4  - Memory", "Gigabyte Per Hour", 0.0015),
    a_product("OCI - Compute - Standard - E6 - OCPU", "OCPU Per Hour", 0.03),
    a_product("OCI - Compute - Standard - E6 - Memory", "Gigabyte Per Hour", 0.002),
    a_product("Compute - Standard - A1 - OCPU", "OCPU Per Hour", 0.01, free_until=3000),
    a_product("Compute - Standard - A1 - Memory", "Gigabyte Per Hour", 0.0015, free_until=18000),
    a_product("Compute - Standard - X9 - OCPU", "OCPU Per Hour", 0.04),
    a_product("Compute - Standard - X9 - Memory", "Gigabyte Per Hour", 0.0015),
    a_product("Compute - Virtual Machine Standard - X7", "OCPU Per Hour", 0.0638),
    a_product("Compute - Virtual Machine Dense I/O - X7", "OCPU Per Hour", 0.1275),
    a_product("Compute - GPU - A10", "GPU Per Hour", 2.0),
    a_product("Compute - Windows OS", "OCPU Per Hour", 0.092),
    a_product("Oracle Cloud Infrastructure - Email Delivery", "1,000 Emails Sent", 0.085),
]


def read(
    *types: InstanceType,
    parts: Sequence[str] = (),
    spot: bool = False,
    account: OciAccount | str = "oci is not installed",
    products: Sequence[dict[str, Any]] = PRODUCTS,
) -> Reading:
    async def reading() -> Reading:
        async with served({PATH: [as_json({"items": list(products)})]}) as server:
            source = OciPrices(server.reader, TODAY, account, price_list=server.url)
            return await source.read([known(REGION, *types, parts=parts, spot=spot)])

    return asyncio.run(reading())


def amount(reading: Reading, name: str) -> float | None:
    quote = ours(reading).get(PriceKey(REGION, name, CapacityType.ON_DEMAND))
    return quote.amount if quote else None


@pytest.mark.parametrize(
    ("type_", "on_demand"),
    [
        (a_type("BM.Standard.E4.128", "BM.Standard.E4", 256, 2048, bare_metal=True), 6.272),
        (a_type("BM.Standard.A1.160", "BM.Standard.A1", 160, 1024, arch="arm64"), 3.136),  # a core is one processor
        (a_type("BM.Standard3.64", "BM.Standard3", 128, 1024), 4.096),
        (a_type("VM.Standard2.8", "VM.Standard2", 16, 120), 0.5104),
        (a_type("VM.DenseIO2.8", "VM.DenseIO2", 16, 120), 1.02),
        (a_type("VM.GPU.A10.2", "VM.GPU.A10", 60, 480, gpu=Gpu("nvidia", "A10", 2, 24)), 4.0),
    ],
)
def test_a_shape_costs_what_its_cores_its_memory_or_its_gpus_cost(type_: InstanceType, on_demand: float) -> None:
    """As Oracle's own price page states it."""
    assert amount(read(type_), type_.name) == pytest.approx(on_demand)


def test_cores_and_gibibytes_of_flexible_shapes_are_quoted_by_themselves() -> None:
    """The catalog computes what sizes cost. What everybody gets for free of it is no price."""
    names = [f"VM.Standard.{series}.Flex:{part}" for series in ("E6", "A1") for part in ("ocpu", "gib")]

    reading = read(parts=[*names, "VM.Standard3.Flex:ocpu"])

    assert [amount(reading, name) for name in names] == [0.03, 0.002, 0.01, 0.0015]
    assert amount(reading, "VM.Standard3.Flex:ocpu") == 0.04


def test_preemptible_costs_half_where_it_can_be_had() -> None:
    """Oracle documents the share; no list has the price."""
    part = "VM.Standard.E4.Flex:ocpu"
    spot = PriceKey(REGION, part, CapacityType.SPOT)

    quote = ours(read(parts=[part], spot=True))[spot]

    assert (quote.amount, quote.unit) == (0.5, OF_ON_DEMAND)
    assert spot not in ours(read(parts=[part]))


def test_what_the_list_does_not_price_is_named() -> None:
    """The old price then stays, and the reader knows."""
    reading = read(a_type("VM.GPU9.1", "VM.GPU9", 12, 90, gpu=Gpu("nvidia", "X9", 1, 96)))

    assert reading.quotes == ()
    assert "1 shapes of us-ashburn-1 have no price in the list, such as VM.GPU9.1" in reading.gaps[-1]


def test_a_part_at_two_prices_has_none() -> None:
    """Nobody can say which of them is right."""
    again = a_product("Compute - Standard - E4 - OCPU", "OCPU Per Hour", 0.05)

    assert (
        amount(read(parts=["VM.Standard.E4.Flex:ocpu"], products=[*PRODUCTS, again]), "VM.Standard.E4.Flex:ocpu")
        is None
    )


def test_a_price_in_another_currency_ends_the_reading() -> None:
    """A sum of euros would pass for one of dollars."""
    with pytest.raises(Invalid, match="EUR"):
        read(products=[a_product("Compute - Standard - E4 - OCPU", "OCPU Per Hour", 0.02, currency="EUR")])


@dataclass
class FakeShape:
    shape: str
    ocpus: float = 8
    memory_in_gbs: float = 120
    gpus: int = 0
    is_flexible: bool = False
    processor_description: str = "2.0 GHz Intel Xeon"
    networking_bandwidth_in_gbps: float = 8.2
    local_disks_total_size_in_gbs: float | None = None


def test_with_an_account_fixed_shapes_come_with_their_sizes() -> None:
    """Each availability domain lists them anew, and flexible ones have no size of their own."""
    shapes = [
        FakeShape("VM.Standard2.8"),
        FakeShape("VM.Standard.E4.Flex", is_flexible=True),
        FakeShape("VM.Standard2.8"),
    ]

    reading = read(account=OciAccount(lambda region: shapes))
    (type_,) = reading.types

    assert (type_.name, type_.family, type_.vcpu, type_.arch) == ("VM.Standard2.8", "VM.Standard2", 16, "amd64")
    assert amount(reading, "VM.Standard2.8") == pytest.approx(0.5104)


def test_an_account_that_may_not_look_leaves_a_gap_with_the_reason() -> None:
    """A missing permission costs that part, not the whole refresh."""

    def forbidden(region: str) -> Sequence[FakeShape]:
        raise PermissionError("NotAuthorizedOrNotFound")

    assert "NotAuthorizedOrNotFound" in read(account=OciAccount(forbidden)).gaps[0]
