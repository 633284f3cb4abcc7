"""AWS: the public price list, the spot advisor's file, and what an account adds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.price_lists import as_json, as_text, cut_off, known, ours, served
from stratos.base.clock import FixedClock
from stratos.base.errors import Invalid
from stratos.catalog.instance_type import CapacityType, Gpu
from stratos.catalog.quotes import HOURLY, OF_ON_DEMAND, PriceKey
from stratos.providers.prices.aws import AwsPrices
from stratos.providers.prices.aws_account import AwsAccount
from stratos.providers.prices.source import Reading

TODAY = FixedClock(datetime(2026, 6, 1, tzinfo=UTC))
REGION = "us-west-2"
LIST_PATH = f"/offers/v1.0/aws/AmazonEC2/current/{REGION}/index.csv"
ADVISOR_PATH = "/spot-advisor-data.json"

HEAD = """"FormatVersion","v1.0"
"Disclaimer","This pricing list is for informational purposes only."
"Publication Date","2026-05-28T20:59:55Z"
"Version","20260528205955"
"OfferCode","AmazonEC2"
"""
COLUMNS = {
    "SKU": "7H4Q",
    "TermType": "OnDemand",
    "PriceDescription": "$0.096 per On Demand Linux m5.large, with a comma",
    "Unit": "Hrs",
    "PricePerUnit": "0.0960000000",
    "Currency": "USD",
    "Product Family": "Compute Instance",
    "Location Type": "AWS Region",
    "Instance Type": "m5.large",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "License Model": "No License required",
    "Pre Installed S/W": "NA",
    "CapacityStatus": "Used",
    "Region Code": REGION,
}
ADVISOR = {
    "global_rate": "<10%",
    "ranges": [{"index": 0, "label": "<5%", "dots": 0, "max": 5}],
    "instance_types": {"m5.large": {"emr": True, "cores": 2, "ram_gb": 8.0}},
    "spot_advisor": {
        REGION: {"Linux": {"m5.large": {"s": 62, "r": 3}}, "Windows": {"m5.large": {"s": 10, "r": 0}}},
        "eu-west-1": {"Linux": {"m5.large": {"s": 40, "r": 1}}},
    },
}


def a_line(**cells: str) -> str:
    named = {name.replace("_", " "): value for name, value in cells.items()}
    return ",".join(f'"{value}"' for value in {**COLUMNS, **named}.values())


def a_list(*lines: str) -> str:
    header = ",".join(f'"{name}"' for name in COLUMNS)
    return HEAD + "\n".join([header, *lines]) + "\n"


def read(*lists: Any, account: AwsAccount | str = "no AWS credentials were found") -> Reading:
    async def reading() -> Reading:
        async with served({LIST_PATH: lists, ADVISOR_PATH: [as_json(ADVISOR)]}) as server:
            source = AwsPrices(server.reader, TODAY, account, price_list=server.url, advisor=server.url)
            return await source.read([known(REGION)])

    return asyncio.run(reading())


def on_demand(name: str = "m5.large") -> PriceKey:
    return PriceKey(REGION, name, CapacityType.ON_DEMAND)


def spot(name: str = "m5.large") -> PriceKey:
    return PriceKey(REGION, name, CapacityType.SPOT)


def test_the_price_list_gives_on_demand_prices_with_the_day_it_was_published() -> None:
    """No account is needed for what AWS tells everybody."""
    quote = ours(read(as_text(a_list(a_line()))))[on_demand()]

    assert (quote.amount, quote.unit, quote.as_of) == (0.096, HOURLY, "2026-05-28")


@pytest.mark.parametrize(
    ("cells", "sold_as"),
    [
        ({"Operating_System": "Windows"}, "Windows"),
        ({"Tenancy": "Dedicated"}, "dedicated tenancy"),
        ({"Pre_Installed_S/W": "SQL Std"}, "Linux with SQL Std"),
        ({"CapacityStatus": "UnusedCapacityReservation"}, "a capacity reservation"),
    ],
)
def test_prices_of_other_products_are_named_for_what_they_are(cells: dict[str, str], sold_as: str) -> None:
    """They are no prices of ours, and tell a mix-up when one of ours equals them."""
    reading = read(as_text(a_list(a_line(), a_line(PricePerUnit="0.188", **cells))))

    assert [quote.amount for quote in reading.quotes if quote.sold_as == sold_as] == [0.188]
    assert ours(reading)[on_demand()].amount == 0.096


@pytest.mark.parametrize(
    "cells",
    [
        {"TermType": "Reserved"},
        {"Product_Family": "Dedicated Host"},
        {"Location_Type": "AWS Local Zone"},
        {"Product_Family": "Storage", "Instance_Type": ""},
    ],
)
def test_what_is_no_machine_by_the_hour_in_the_region_is_passed_over(cells: dict[str, str]) -> None:
    """Commitments, hosts and places beside the region's own zones are other things."""
    assert on_demand() not in ours(read(as_text(a_list(a_line(**cells)))))


def test_a_price_in_another_unit_or_currency_says_so() -> None:
    """Whether to believe it is decided elsewhere, and there it must show."""
    reading = read(as_text(a_list(a_line(Currency="CNY"), a_line(Unit="Quantity", Instance_Type="m5.xlarge"))))

    assert {quote.unit for quote in ours(reading).values()} == {"CNY per hour", "USD per Quantity", OF_ON_DEMAND}


def test_a_list_that_ends_within_a_line_is_read_again() -> None:
    """Half a list would leave half the prices as they were, and look complete."""
    whole = a_list(a_line())

    assert ours(read(cut_off(whole + whole[: len(whole) - 40]), as_text(whole)))[on_demand()].amount == 0.096


@pytest.mark.parametrize(("text", "said"), [("<html>", "no price list"), (HEAD + '"SKU","Tenancy"\n', "lacks columns")])
def test_what_is_no_price_list_is_said_to_be_none(text: str, said: str) -> None:
    """A page of a proxy must not pass for a list without prices."""
    with pytest.raises(Invalid, match=said):
        read(as_text(text))


def test_without_an_account_spot_follows_the_advisor_and_the_gap_is_told() -> None:
    """The advisor's file is public: rounded, and better than none. What is missing must not be hidden."""
    reading = read(as_text(a_list(a_line())))
    quote = ours(reading)[spot()]

    assert (quote.amount, quote.unit, quote.interruption_bucket) == (0.38, OF_ON_DEMAND, 3)
    assert [gap.partition(":")[0] for gap in reading.gaps] == ["spot price history", "instance types and their zones"]
    assert all("no AWS credentials were found" in gap for gap in reading.gaps)


class FakePaginator:
    def __init__(self, operation: str, pages: list[Mapping[str, Any]]) -> None:
        self._operation = operation
        self._pages = pages

    def paginate(self, **arguments: Any) -> Iterable[Mapping[str, Any]]:
        if self._operation == "describe_spot_price_history":
            assert arguments["ProductDescriptions"] == ["Linux/UNIX"]
        return self._pages


class FakeSession:
    """Answers as ``boto3`` does; an operation without pages is forbidden."""

    def __init__(self, **pages: list[Mapping[str, Any]]) -> None:
        self._pages = pages

    def client(self, service: str, *, region_name: str) -> FakeSession:
        assert (service, region_name) == ("ec2", REGION)
        return self

    def get_paginator(self, operation: str) -> FakePaginator:
        if operation not in self._pages:
            raise PermissionError("UnauthorizedOperation")
        return FakePaginator(operation, self._pages[operation])


def a_spot_price(zone: str, amount: str) -> Mapping[str, Any]:
    return {
        "InstanceType": "m5.large",
        "ProductDescription": "Linux/UNIX",
        "AvailabilityZone": zone,
        "SpotPrice": amount,
        "Timestamp": TODAY.now(),
    }


G6F = {
    "InstanceType": "g6f.large",
    "CurrentGeneration": True,
    "BareMetal": False,
    "BurstablePerformanceSupported": False,
    "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
    "VCpuInfo": {"DefaultVCpus": 2},
    "MemoryInfo": {"SizeInMiB": 8192},
    "InstanceStorageInfo": {"TotalSizeInGB": 110},
    "NetworkInfo": {
        "MaximumNetworkInterfaces": 3,
        "Ipv4AddressesPerInterface": 10,
        "NetworkCards": [{"BaselineBandwidthInGbps": 1.25}],
    },
    "GpuInfo": {
        "Gpus": [
            {
                "Name": "L4",
                "Manufacturer": "NVIDIA",
                "Count": 1,
                "LogicalGpuCount": 1,
                "GpuPartitionSize": 0.125,
                "MemoryInfo": {"SizeInMiB": 2861},
            }
        ]
    },
}


def test_with_an_account_spot_is_the_market_price_of_the_middle_zone() -> None:
    """The market is exact; the advisor still knows how often machines are interrupted."""
    session = FakeSession(
        describe_spot_price_history=[
            {"SpotPriceHistory": [a_spot_price("us-west-2a", "0.030100"), a_spot_price("us-west-2b", "0.050000")]},
            {"SpotPriceHistory": [a_spot_price("us-west-2c", "0.041000")]},
        ],
        describe_instance_types=[{"InstanceTypes": []}],
        describe_instance_type_offerings=[{"InstanceTypeOfferings": []}],
    )

    reading = read(as_text(a_list(a_line())), account=AwsAccount(session))
    quote = ours(reading)[spot()]

    assert (quote.amount, quote.unit, quote.source, quote.interruption_bucket) == (0.041, HOURLY, "aws-spot-history", 3)
    assert reading.gaps == ()


def test_with_an_account_types_come_with_their_sizes_and_zones() -> None:
    """A new type can be used once its size is known: also one with an eighth of a GPU."""
    session = FakeSession(
        describe_spot_price_history=[{"SpotPriceHistory": []}],
        describe_instance_types=[{"InstanceTypes": [G6F]}],
        describe_instance_type_offerings=[
            {"InstanceTypeOfferings": [{"InstanceType": "g6f.large", "Location": "usw2-az3"}]},
            {"InstanceTypeOfferings": [{"InstanceType": "g6f.large", "Location": "usw2-az1"}]},
        ],
    )

    reading = read(as_text(a_list(a_line())), account=AwsAccount(session))
    (type_,) = reading.types

    assert (type_.vcpu, type_.memory_bytes, type_.max_pods, type_.arch) == (2, 8 * 2**30, 29, "amd64")
    assert type_.gpu == Gpu("nvidia", "L4", 0.125, 2861 / 1024)
    assert reading.zones[REGION] == {"g6f.large": ("az1", "az3")}


def test_an_account_that_may_not_look_leaves_a_gap_with_the_reason() -> None:
    """A missing permission costs that part, not the whole refresh."""
    reading = read(as_text(a_list(a_line())), account=AwsAccount(FakeSession()))

    assert ours(reading)[spot()].unit == OF_ON_DEMAND
    assert len(reading.gaps) == 2
    assert all("UnauthorizedOperation" in gap for gap in reading.gaps)
