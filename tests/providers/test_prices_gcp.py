"""Google Cloud: machines are priced by their parts, and a part that is missing must not make a bargain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.price_lists import a_type, as_json, known, ours, served
from stratos.base.clock import FixedClock
from stratos.base.errors import Invalid
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType
from stratos.catalog.quotes import PriceKey
from stratos.providers.prices.gcp import GcpPrices
from stratos.providers.prices.gcp_account import GcpAccount
from stratos.providers.prices.source import Reading

TODAY = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))
REGION = "us-central1"
PATH = "/v1/services/6F81-5844-456A/skus"
L4 = Gpu("nvidia", "L4", 1, 24)


def a_sku(
    description: str, usd: float, *, spot: bool = False, unit: str = "h", currency: str = "USD"
) -> dict[str, Any]:
    price = {"currencyCode": currency, "units": str(int(usd)), "nanos": round(usd % 1 * 1e9)}
    expression = {"usageUnit": unit, "tieredRates": [{"startUsageAmount": 0, "unitPrice": price}]}
    return {
        "name": "services/6F81-5844-456A/skus/0001-0001-0001",
        "description": description,
        "category": {"resourceFamily": "Compute", "usageType": "Preemptible" if spot else "OnDemand"},
        "serviceRegions": [REGION, "us-east1"],
        "pricingInfo": [{"effectiveTime": "2026-05-01T00:00:00Z", "pricingExpression": expression}],
    }


E2 = [
    a_sku("E2 Instance Core running in Americas", 0.02181159),
    a_sku("E2 Instance Ram running in Americas", 0.00292353, unit="GiBy.h"),
    a_sku("Spot Preemptible E2 Instance Core running in Americas", 0.008, spot=True),
    a_sku("Spot Preemptible E2 Instance Ram running in Americas", 0.001, spot=True, unit="GiBy.h"),
]
G2 = [
    a_sku("G2 Instance Core running in Americas", 0.025),
    a_sku("G2 Instance Ram running in Americas", 0.003, unit="GiBy.h"),
    a_sku("Nvidia L4 GPU running in Americas", 0.56),
]


def read(
    skus: Sequence[dict[str, Any]],
    *types: InstanceType,
    parts: Sequence[str] = (),
    account: GcpAccount | str = "GOOGLE_CLOUD_PROJECT is not set",
    api_key: str | None = "key",
) -> Reading:
    async def reading() -> Reading:
        async with served({PATH: [as_json({"skus": list(skus), "nextPageToken": ""})]}) as server:
            source = GcpPrices(server.reader, TODAY, api_key, account, billing=server.url)
            return await source.read([known(REGION, *types, parts=parts)])

    return asyncio.run(reading())


def amount(reading: Reading, name: str, terms: CapacityType = CapacityType.ON_DEMAND) -> float | None:
    quote = ours(reading).get(PriceKey(REGION, name, terms))
    return quote.amount if quote else None


@pytest.mark.parametrize(
    ("type_", "on_demand"),
    [
        (a_type("e2-standard-2", "e2", 2, 8), 0.067011),
        (a_type("e2-micro", "e2", 2, 1, burstable=True), 0.008376),  # shows two processors, pays for a quarter
        (a_type("e2-medium", "e2", 2, 4, burstable=True), 0.033506),
        (a_type("g2-standard-4", "g2", 4, 16, gpu=L4), 0.708),
    ],
)
def test_a_machine_costs_what_its_parts_cost(type_: InstanceType, on_demand: float) -> None:
    """As Google's own price pages state it, to the sixth digit."""
    assert amount(read([*E2, *G2], type_), type_.name) == pytest.approx(on_demand, abs=2e-6)


def test_spot_machines_are_made_of_spot_parts() -> None:
    """The prefix in the description and the kind of usage tell them apart."""
    assert amount(read(E2, a_type("e2-standard-2", "e2", 2, 8)), "e2-standard-2", CapacityType.SPOT) == 0.024


@pytest.mark.parametrize(
    ("description", "family"),
    [
        ("N1 Predefined Instance {} running in Americas", "n1"),
        ("N2D AMD Instance {} running in Americas", "n2d"),
        ("C4A Arm Instance {} running in Iowa", "c4a"),
        ("Compute optimized {} running in Americas", "c2"),
        ("Memory-optimized Instance {} running in Americas", "m1"),
        ("M3 Memory-optimized Instance {} running in Iowa", "m3"),
    ],
)
def test_families_are_known_by_all_the_names_they_have(description: str, family: str) -> None:
    """Each generation is described in another way."""
    skus = [a_sku(description.format("Core"), 0.03), a_sku(description.format("Ram"), 0.004, unit="GiBy.h")]

    assert amount(read(skus, a_type("it", family, 2, 8)), "it") == pytest.approx(0.092)


@pytest.mark.parametrize(
    "description",
    [
        "E2 Custom Instance Core running in Americas",
        "E2 Sole Tenancy Instance Core running in Americas",
        "Commitment v1: E2 Cpu in Americas for 1 Year",
        "Licensing Fee for Windows Server on E2 Instance Core running in Americas",
    ],
)
def test_parts_of_other_products_are_not_added_up(description: str) -> None:
    """Custom sizes, whole hosts, commitments and licences have parts of nearly the same name."""
    reading = read([a_sku(description, 9.0), E2[1]], a_type("e2-standard-2", "e2", 2, 8))

    assert amount(reading, "e2-standard-2") is None


def test_a_machine_with_a_part_that_has_no_price_gets_none_and_is_named() -> None:
    """Without its GPU the sum would be the cheapest GPU machine ever."""
    reading = read(G2[:2], a_type("g2-standard-4", "g2", 4, 16, gpu=L4), a_type("c3-standard-8-lssd", "c3", 8, 32))

    assert reading.quotes == ()
    assert "2 types of us-central1 have parts without a price, such as c3-standard-8-lssd" in reading.gaps[1]


def test_local_disks_are_priced_by_the_month() -> None:
    """Their unit differs from that of all other parts."""
    disk = a_sku("SSD backed Local Storage", 0.08, unit="GiBy.mo")
    type_ = a_type("e2-disk", "e2", 2, 8, local_nvme_gb=375)

    assert amount(read([*E2, disk], type_), "e2-disk") == pytest.approx(0.067011 + 0.041096, abs=2e-6)


def test_a_gpu_that_can_be_attached_is_quoted_by_itself() -> None:
    """The catalog computes what machines with it cost."""
    skus = [
        a_sku("Nvidia Tesla T4 GPU running in Americas", 0.35),
        a_sku("Nvidia Tesla T4 GPU attached to Spot Preemptible VMs running in Americas", 0.11, spot=True),
    ]

    reading = read(skus, parts=["n1+T4"])

    assert (amount(reading, "n1+T4"), amount(reading, "n1+T4", CapacityType.SPOT)) == (0.35, 0.11)


def test_a_part_at_two_prices_has_none() -> None:
    """Nobody can say which of them is right."""
    skus = [*E2, a_sku("E2 Instance Core running in Iowa", 0.03)]

    assert amount(read(skus, a_type("e2-standard-2", "e2", 2, 8)), "e2-standard-2") is None


def test_a_price_in_another_currency_ends_the_reading() -> None:
    """A sum of euros would pass for one of dollars."""
    with pytest.raises(Invalid, match="EUR"):
        read([a_sku("E2 Instance Core running in Americas", 0.02, currency="EUR")], a_type("e2-standard-2", "e2", 2, 8))


def test_pages_are_followed_by_their_tokens() -> None:
    """The catalog has thousands of parts."""
    pages = [{"skus": E2[:1], "nextPageToken": "more"}, {"skus": E2[1:], "nextPageToken": ""}]

    async def reading() -> tuple[Reading, list[str | None]]:
        async with served({PATH: [as_json(page) for page in pages]}) as server:
            source = GcpPrices(server.reader, TODAY, "key", "none", billing=server.url)
            got = await source.read([known(REGION, a_type("e2-standard-2", "e2", 2, 8))])
            return got, [request.query.get("pageToken") for request in server.asked]

    got, tokens = asyncio.run(reading())

    assert amount(got, "e2-standard-2") == pytest.approx(0.067011)
    assert tokens == [None, "more"]


def test_without_a_key_nothing_is_asked_and_the_gap_is_told() -> None:
    """The billing catalog is free, and not open to everybody."""
    reading = read(E2, a_type("e2-standard-2", "e2", 2, 8), api_key=None)

    assert reading.quotes == ()
    assert "GOOGLE_API_KEY is not set" in reading.gaps[1]


@dataclass
class FakeAccelerator:
    guest_accelerator_type: str
    guest_accelerator_count: int


@dataclass
class FakeDisks:
    partition_count: int


@dataclass
class FakeMachineType:
    name: str
    guest_cpus: int = 8
    memory_mb: int = 32768
    architecture: str = "X86_64"
    is_shared_cpu: bool = False
    accelerators: Sequence[FakeAccelerator] = ()
    bundled_local_ssds: FakeDisks | None = None


@dataclass
class FakeZone:
    machine_types: Sequence[FakeMachineType] = field(default_factory=list)


class FakeMachineTypes:
    def __init__(self, **zones: list[FakeMachineType]) -> None:
        self._zones = zones

    def aggregated_list(self, *, project: str) -> Iterable[tuple[str, FakeZone]]:
        assert project == "ours"
        if not self._zones:
            raise PermissionError("compute.machineTypes.list denied")
        return [(f"zones/{zone.replace('_', '-')}", FakeZone(types)) for zone, types in self._zones.items()]


def test_with_an_account_a_new_type_is_sized_placed_and_priced() -> None:
    """All that a type needs to be chosen, on the day it appears."""
    new = FakeMachineType("e2-highmem-64", 64, 524288, bundled_local_ssds=FakeDisks(0))
    machine_types = FakeMachineTypes(us_central1_f=[new], us_central1_a=[new], europe_west1_b=[FakeMachineType("x9-1")])

    reading = read(E2, account=GcpAccount(machine_types, "ours"))
    (type_,) = reading.types

    assert (type_.family, type_.vcpu, type_.memory_bytes) == ("e2", 64, 512 * 2**30)
    assert reading.zones == {REGION: {"e2-highmem-64": ("a", "f")}}
    assert amount(reading, "e2-highmem-64") == pytest.approx(64 * 0.02181159 + 512 * 0.00292353, abs=1e-6)


def test_an_accelerator_is_known_by_a_type_that_has_it_or_not_at_all() -> None:
    """Its memory is not told; it is known from machines that have it."""
    known_type = a_type("g2-standard-4", "g2", 4, 16, gpu=L4)
    machine_types = FakeMachineTypes(
        us_central1_a=[
            FakeMachineType("g2-standard-96", accelerators=[FakeAccelerator("nvidia-l4", 8)]),
            FakeMachineType("x9-1", accelerators=[FakeAccelerator("nvidia-x9", 8)]),
        ]
    )

    reading = read(G2, known_type, account=GcpAccount(machine_types, "ours"))

    assert [(type_.name, type_.gpu) for type_ in reading.types] == [("g2-standard-96", Gpu("nvidia", "L4", 8, 24))]


def test_an_account_that_may_not_look_leaves_a_gap_with_the_reason() -> None:
    """A missing permission costs that part, not the whole refresh."""
    reading = read(E2, a_type("e2-standard-2", "e2", 2, 8), account=GcpAccount(FakeMachineTypes(), "ours"))

    assert amount(reading, "e2-standard-2") is not None
    assert "compute.machineTypes.list denied" in reading.gaps[0]
