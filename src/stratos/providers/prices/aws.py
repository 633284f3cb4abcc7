"""Prices of AWS: on-demand from the public price list; spot from the advisor's file, or with an account the market's.

The price list of a region holds every product and commitment, hundreds of MB, so it is read line by line. The advisor
states by how much spot undercuts on-demand, rounded to a percent, and how often machines are interrupted.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unavailable
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import OF_ON_DEMAND, PriceKey, Quote
from stratos.providers.prices.aws_account import AwsAccount
from stratos.providers.prices.source import KnownRegion, Reading, number
from stratos.providers.prices.web import Web

PRICE_LIST = "https://pricing.us-east-1.amazonaws.com"
ADVISOR = "https://spot-bid-advisor.s3.amazonaws.com"

_MACHINES = frozenset({"Compute Instance", "Compute Instance (bare metal)"})
_COLUMNS = (
    "TermType",
    "Unit",
    "PricePerUnit",
    "Currency",
    "Product Family",
    "Location Type",
    "Instance Type",
    "Tenancy",
    "Operating System",
    "Pre Installed S/W",
    "CapacityStatus",
    "Region Code",
)


class _Advice(msgspec.Struct):
    s: int  # percent saved against on-demand
    r: int  # how often interrupted, from 0 (rarely) to 4


class _AdvisorFile(msgspec.Struct):
    spot_advisor: dict[str, dict[str, dict[str, _Advice]]]  # region → operating system → type


class AwsPrices:
    """``account`` may be the reason why there is none."""

    cloud = "aws"

    def __init__(
        self,
        web: Web,
        clock: Clock,
        account: AwsAccount | str,
        *,
        price_list: str = PRICE_LIST,
        advisor: str = ADVISOR,
    ) -> None:
        self._web = web
        self._clock = clock
        self._account = account
        self._price_list = price_list
        self._advisor = advisor

    async def read(self, known: Sequence[KnownRegion]) -> Reading:
        file = await self._web.json(f"{self._advisor}/spot-advisor-data.json", _AdvisorFile)
        readings = [await self._read_region(region, file) for region in (each.region for each in known)]
        return Reading(
            quotes=tuple(quote for reading in readings for quote in reading.quotes),
            types=tuple({type_.name: type_ for reading in readings for type_ in reading.types}.values()),
            zones={region: zones for reading in readings for region, zones in reading.zones.items()},
            gaps=tuple(dict.fromkeys(gap for reading in readings for gap in reading.gaps)),
        )

    async def _read_region(self, region: str, file: _AdvisorFile) -> Reading:
        listed = await self._listed(region)
        advised = self._advised(region, file)
        if isinstance(self._account, str):
            return Reading(
                (*listed, *advised),
                gaps=(
                    f"spot price history: {self._account}; spot prices follow the spot advisor, to a percent",
                    f"instance types and their zones: {self._account}; known ones stay as they are",
                ),
            )
        gaps: list[str] = []
        spot, types, zones = advised, tuple[InstanceType, ...](), dict[str, tuple[str, ...]]()
        try:
            spot = _with_buckets(await self._account.spot_quotes(region, self._clock.now()), advised)
        except Unavailable as error:
            gaps.append(f"{error}; spot prices follow the spot advisor, to a percent")
        try:
            types, zones = await self._account.types(region), await self._account.zones(region)
        except Unavailable as error:
            gaps.append(f"{error}; known instance types stay as they are")
        return Reading((*listed, *spot), types=types, zones={region: zones}, gaps=tuple(gaps))

    async def _listed(self, region: str) -> list[Quote]:
        url = f"{self._price_list}/offers/v1.0/aws/AmazonEC2/current/{region}/index.csv"

        async def parse(lines: AsyncIterator[str]) -> list[Quote]:
            return await _parse_price_list(url, lines)

        return await self._web.lines(url, parse)

    def _advised(self, region: str, file: _AdvisorFile) -> list[Quote]:
        return [
            Quote(
                PriceKey(region, name, CapacityType.SPOT),
                amount=round(1 - advice.s / 100, 2),
                unit=OF_ON_DEMAND,
                source="advisor",
                as_of=self._clock.now().date().isoformat(),
                interruption_bucket=advice.r,
            )
            for name, advice in file.spot_advisor.get(region, {}).get("Linux", {}).items()
        ]


def _with_buckets(spot: Sequence[Quote], advised: Sequence[Quote]) -> list[Quote]:
    """The market says what spot costs, only the advisor how often it is interrupted."""
    buckets = {quote.key: quote.interruption_bucket for quote in advised}
    return [dataclasses.replace(quote, interruption_bucket=buckets.get(quote.key)) for quote in spot]


async def _parse_price_list(url: str, lines: AsyncIterator[str]) -> list[Quote]:
    """The file opens with a few lines about itself, then comes the header, then a line a price."""
    as_of, columns = "", dict[str, int]()
    quotes: list[Quote] = []
    async for line in lines:
        if columns:
            # Nine in ten lines are commitments: parsing them would take most of the time.
            if '"OnDemand"' in line:
                quotes.extend(_quote(_row(line, columns), as_of))
            continue
        cells = next(csv.reader([line]), [])
        if cells[:1] == ["Publication Date"]:
            as_of = cells[1][:10]
        elif cells[:1] == ["SKU"]:
            columns = {name: cells.index(name) for name in _COLUMNS if name in cells}
            if missing := [name for name in _COLUMNS if name not in columns]:
                raise Invalid(f"the price list {url} lacks columns", looked_at=(", ".join(missing),))
    if not columns:
        raise Invalid(f"{url} is no price list: it has no line of column names")
    return quotes


def _row(line: str, columns: Mapping[str, int]) -> Mapping[str, str]:
    cells = next(csv.reader([line]))
    if len(cells) <= max(columns.values()):
        raise ValueError(f"a line ends after {len(cells)} columns")
    return {name: cells[place] for name, place in columns.items()}


def _quote(row: Mapping[str, str], as_of: str) -> list[Quote]:
    """The price of a machine; nothing for other products, and for places outside the region's own zones."""
    if row["Product Family"] not in _MACHINES or row["Location Type"] != "AWS Region":
        return []
    return [
        Quote(
            PriceKey(row["Region Code"], row["Instance Type"], CapacityType.ON_DEMAND),
            amount=number(row["PricePerUnit"]),
            unit=f"{row['Currency']} per {'hour' if row['Unit'] == 'Hrs' else row['Unit']}",
            sold_as=_sold_as(row),
            source="aws-price-list",
            as_of=as_of,
        )
    ]


def _sold_as(row: Mapping[str, str]) -> str | None:
    if row["Operating System"] != "Linux":
        return row["Operating System"]
    if row["Pre Installed S/W"] not in ("", "NA"):
        return f"Linux with {row['Pre Installed S/W']}"
    if row["Tenancy"] != "Shared":
        return f"{row['Tenancy'].lower()} tenancy"
    if row["CapacityStatus"] != "Used":
        return "a capacity reservation"
    return None
