"""What AWS tells only to its customers: current spot prices, the sizes of instance types, and the zones they are in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import Any, Protocol, TypeVar

from stratos.base.errors import NotReady
from stratos.base.quantity import MEBIBYTE
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType
from stratos.catalog.quotes import PriceKey, Quote
from stratos.providers.prices.sdk import ask, find_sdk

T = TypeVar("T")

_OF_THE_NODE_ITSELF = 2  # pods on the host's own network, as EKS counts them


class Paginator(Protocol):
    def paginate(self, **arguments: Any) -> Iterable[Mapping[str, Any]]: ...


class Ec2(Protocol):
    def get_paginator(self, operation: str) -> Paginator: ...


class Session(Protocol):
    """The part of ``boto3.Session`` that is used."""

    def client(self, service: str, *, region_name: str) -> Ec2: ...


def find_aws_session() -> Session:
    """The session that the environment describes. Raises `NotReady` with the reason why there is none."""
    sdk = find_sdk("boto3", "aws")
    try:
        session = sdk.Session()
        has_credentials = session.get_credentials() is not None
    except Exception as error:  # of botocore, which is not installed everywhere
        raise NotReady(f"AWS configuration: {error}") from error
    if not has_credentials:
        raise NotReady("no AWS credentials were found")
    found: Session = session
    return found


class AwsAccount:
    """All methods raise `Unavailable` when AWS refuses or does not answer."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def spot_quotes(self, region: str, now: datetime) -> list[Quote]:
        """The market's latest price of each type: the middle one of its zones, for a zone's price lasts minutes."""
        rows = await self._all(
            region,
            "describe_spot_price_history",
            "SpotPriceHistory",
            lambda row: (row["InstanceType"], float(row["SpotPrice"])),
            StartTime=now,  # what was in force at this moment, and nothing older
            ProductDescriptions=["Linux/UNIX"],
        )
        by_type: dict[str, list[float]] = defaultdict(list)
        for name, price in rows:
            by_type[name].append(price)
        return [
            Quote(
                PriceKey(region, name, CapacityType.SPOT),
                amount=round(median(prices), 6),
                source="aws-spot-history",
                as_of=now.date().isoformat(),
            )
            for name, prices in sorted(by_type.items())
        ]

    async def types(self, region: str) -> tuple[InstanceType, ...]:
        types = await self._all(region, "describe_instance_types", "InstanceTypes", _instance_type)
        return tuple(sorted(types, key=lambda type_: type_.name))

    async def zones(self, region: str) -> dict[str, tuple[str, ...]]:
        """The numbers of the zones each type is sold in, such as ``az1``: letters differ from customer to customer."""
        rows = await self._all(
            region,
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            lambda row: (row["InstanceType"], row["Location"].rpartition("-")[2]),  # usw2-az1
            LocationType="availability-zone-id",
        )
        zones: dict[str, set[str]] = defaultdict(set)
        for name, zone in rows:
            zones[name].add(zone)
        return {name: tuple(sorted(numbers)) for name, numbers in sorted(zones.items())}

    async def _all(
        self, region: str, operation: str, field: str, read: Callable[[Mapping[str, Any]], T], **arguments: Any
    ) -> list[T]:
        """What ``read`` makes of each row of all pages. A row it cannot read spoils the answer, as a page would."""

        def call() -> list[T]:
            pages = self._session.client("ec2", region_name=region).get_paginator(operation).paginate(**arguments)
            return [read(row) for page in pages for row in page[field]]

        return await ask(f"{operation} of {region}", call)


def _instance_type(row: Mapping[str, Any]) -> InstanceType:
    network = row["NetworkInfo"]
    addresses = network["Ipv4AddressesPerInterface"] - 1  # the first of each interface is its own
    arm = "arm64" in row["ProcessorInfo"]["SupportedArchitectures"]
    cards = network.get("NetworkCards", ())
    return InstanceType(
        name=row["InstanceType"],
        family=row["InstanceType"].partition(".")[0],
        arch="arm64" if arm else "amd64",
        vcpu=row["VCpuInfo"]["DefaultVCpus"],
        memory_bytes=row["MemoryInfo"]["SizeInMiB"] * MEBIBYTE,
        max_pods=network["MaximumNetworkInterfaces"] * addresses + _OF_THE_NODE_ITSELF,
        gpu=_gpu(row.get("GpuInfo", {}).get("Gpus", ())),
        local_nvme_gb=row.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        network_gbps=float(sum(card.get("BaselineBandwidthInGbps", 0.0) for card in cards)),
        burstable=row["BurstablePerformanceSupported"],
        bare_metal=row["BareMetal"],
        lifecycle="current" if row["CurrentGeneration"] else "previous",
    )


def _gpu(rows: Iterable[Mapping[str, Any]]) -> Gpu | None:
    for row in rows:
        share = float(row.get("GpuPartitionSize", 1.0))  # below 1 where a machine gets part of a device
        return Gpu(
            manufacturer=row["Manufacturer"].lower(),
            sku=row["Name"],
            count=share * row.get("LogicalGpuCount", row["Count"]),
            memory_gib=row["MemoryInfo"]["SizeInMiB"] / 1024,
        )
    return None
