"""Whether a newly read price can be believed: by the one before it, by other sizes of its family, by other products.

Lists mix up what they price, and the mix-ups have marks. A price read as Linux equals that of Windows. One size leaves
the line on which all others of its family lie. A price is three times what it was. Spot costs next to nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.quotes import HOURLY, OF_ON_DEMAND, Change, PriceKey, Quote, Refusal
from stratos.catalog.tables import ListPrice

# How far a price may be from the one before. Spot prices follow a market. List prices are cut now and then, and hardly
# ever rise: Windows costs half as much again and more. Where ours was only derived from others', it may be further off.
STEP_MAX = {CapacityType.ON_DEMAND: 3.0, CapacityType.SPOT: 5.0}
LIST_RISE_MAX = 1.5
DERIVED = "derived"  # how the source of such a price begins
# Sizes of one family cost in proportion. Where they all do, a price beside the line is another product's.
TIGHT_SERIES_MEMBERS = 3
TIGHT_SERIES_SPREAD = 0.10
TIGHT_SERIES_STEP_MAX = 1.3
# A spot price may pass on-demand for a while, and is never next to nothing.
SPOT_SHARE_MAX = 1.2
SPOT_SHARE_MIN = 0.02
# Two prices are the same if they differ by less than lists round.
SAME = 0.001
AS_EXPECTED = 1.02


class Verdicts:
    """The judging of one list, on-demand prices before the spot prices that are measured by them."""

    def __init__(
        self,
        known: Mapping[PriceKey, ListPrice],
        types: Mapping[str, InstanceType],
        regions: Collection[str],
        others: Sequence[Quote],
    ) -> None:
        self.believed: dict[PriceKey, ListPrice] = {}
        self.changes: list[Change] = []
        self.refused: list[Refusal] = []
        self._known = known
        self._types = types
        self._regions = regions
        self._others: dict[PriceKey, list[Quote]] = defaultdict(list)
        for quote in others:
            self._others[quote.key].append(quote)
        self._series: Mapping[tuple[object, ...], Sequence[tuple[str, float]]] = {}

    def judge(self, quotes: Sequence[Quote]) -> None:
        by_key: dict[PriceKey, list[Quote]] = defaultdict(list)
        for quote in quotes:
            by_key[quote.key].append(quote)
        self._series = self._series_of(by_key)
        for capacity_type in (CapacityType.ON_DEMAND, CapacityType.SPOT):
            for key, same in by_key.items():
                if key.capacity_type is capacity_type:
                    self._judge_one(key, same)

    def _judge_one(self, key: PriceKey, quotes: Sequence[Quote]) -> None:
        quote, before = quotes[0], self._known.get(key)
        price, reason = self._in_usd(quote)
        if not reason and any(not _same(other.amount, quote.amount) for other in quotes):
            amounts = " and ".join(sorted({f"{each.amount:g}" for each in quotes}))
            reason = f"the list gives two prices for it: {amounts}"
        if not reason and not (before and _same(before.usd_per_hour, price)):
            reason = self._implausible(key, price, before)
        if reason:
            kept = before.usd_per_hour if before else None
            self.refused.append(Refusal(key, quote.amount, reason, kept))
            return
        bucket = quote.interruption_bucket
        if bucket is None and before:
            bucket = before.interruption_bucket
        self.believed[key] = ListPrice(price, quote.source, quote.as_of, bucket)
        if before is None or not _same(before.usd_per_hour, price):
            self.changes.append(Change(key, before.usd_per_hour if before else None, price))

    def _in_usd(self, quote: Quote) -> tuple[float, str]:
        """The price per hour, and why it is none."""
        if quote.key.region not in self._regions:
            return 0.0, f"it is of region {quote.key.region}, which was not asked for"
        if not (math.isfinite(quote.amount) and quote.amount > 0):
            return 0.0, f"{quote.amount:g} is no price"
        if quote.unit == HOURLY:
            return quote.amount, ""
        if quote.unit != OF_ON_DEMAND:
            return 0.0, f"it is in {quote.unit!r}, not {HOURLY!r}"
        base = self._on_demand(quote.key)
        if base is None:
            return 0.0, "it is a share of an on-demand price that is not known"
        return round(base * quote.amount, 6), ""

    def _implausible(self, key: PriceKey, price: float, before: ListPrice | None) -> str:
        """What speaks against it, in one clause; empty if nothing does."""
        if key.capacity_type is CapacityType.SPOT:
            return (
                self._is_of_another_product(key, price, before.usd_per_hour if before else None)
                or self._leaves_its_past(key, price, before)
                or self._misfits_on_demand(key, price)
            )
        line = self._line(key)
        expected = before.usd_per_hour if before else line.expected if line else None
        return (
            self._is_of_another_product(key, price, expected)
            or self._leaves_its_past(key, price, before)
            or self._leaves_its_line(line, price, before)
        )

    def _is_of_another_product(self, key: PriceKey, price: float, expected: float | None) -> str:
        if expected is None or within(price, expected, AS_EXPECTED):
            return ""  # as some products cost the same, equality alone proves nothing
        same = (other for other in self._others.get(key, ()) if other.unit == HOURLY and _same(other.amount, price))
        return next((f"{price:g} is its price for {other.sold_as}" for other in same), "")

    def _leaves_its_past(self, key: PriceKey, price: float, before: ListPrice | None) -> str:
        if before is None:
            return ""
        step_max = STEP_MAX[key.capacity_type]
        is_weak = key.capacity_type is CapacityType.SPOT or before.source.startswith(DERIVED)
        rise_max = step_max if is_weak else LIST_RISE_MAX
        if before.usd_per_hour / step_max <= price <= before.usd_per_hour * rise_max:
            return ""
        return f"{price:g} is {_times(price, before.usd_per_hour)} the price of {before.as_of}"

    def _leaves_its_line(self, line: _Line | None, price: float, before: ListPrice | None) -> str:
        if line is None or within(price, line.expected, line.step_max):
            return ""
        if before and within(price, before.usd_per_hour, line.step_max):
            return ""  # it has always been beside the line: no news
        return f"{price:g} is {_times(price, line.expected)} what other sizes of {line.family} suggest"

    def _misfits_on_demand(self, key: PriceKey, price: float) -> str:
        base = self._on_demand(key)
        if base is None or SPOT_SHARE_MIN * base <= price <= SPOT_SHARE_MAX * base:
            return ""
        return f"spot at {price:g} is {_times(price, base)} on-demand"

    def _on_demand(self, key: PriceKey) -> float | None:
        """The on-demand price by which a spot price is measured."""
        on_demand = key._replace(capacity_type=CapacityType.ON_DEMAND)
        price = self.believed.get(on_demand) or self._known.get(on_demand)
        return price.usd_per_hour if price else None

    def _series_of(
        self, quotes: Mapping[PriceKey, Sequence[Quote]]
    ) -> Mapping[tuple[object, ...], list[tuple[str, float]]]:
        """On-demand prices per unit of size, of sizes that cost in proportion: as listed, else as known."""
        prices = {key: price.usd_per_hour for key, price in self._known.items()}
        prices.update({key: same[0].amount for key, same in quotes.items() if same[0].unit == HOURLY})
        series: dict[tuple[object, ...], list[tuple[str, float]]] = defaultdict(list)
        for key, price in sorted(prices.items()):
            type_ = self._types.get(key.name)
            if type_ and key.capacity_type is CapacityType.ON_DEMAND and price > 0:
                series[_series_key(key.region, type_)].append((type_.name, price / _size(type_)))
        return series

    def _line(self, key: PriceKey) -> _Line | None:
        """What the other sizes of its series say it should cost. None for a part: it has none."""
        type_ = self._types.get(key.name)
        if type_ is None:
            return None
        rates = [rate for name, rate in self._series.get(_series_key(key.region, type_), ()) if name != type_.name]
        if not rates:
            return None
        middle = median(rates)
        near = sum(within(rate, middle, 1 + TIGHT_SERIES_SPREAD) for rate in rates)
        # A few wrong labels must not make a tight series look loose: that is when it is needed.
        is_tight = near >= TIGHT_SERIES_MEMBERS and near > 0.6 * len(rates)
        step_max = TIGHT_SERIES_STEP_MAX if is_tight else STEP_MAX[CapacityType.ON_DEMAND]
        return _Line(type_.family, middle * _size(type_), step_max)


@dataclass(frozen=True, slots=True)
class _Line:
    family: str
    expected: float
    step_max: float


def _series_key(region: str, type_: InstanceType) -> tuple[object, ...]:
    """Types of one key differ in size alone."""
    memory_per_cpu = round(type_.memory_bytes / type_.vcpu / 2**28)  # in quarters of a GiB
    gpu = (type_.gpu.sku, round(type_.vcpu / type_.gpu.count)) if type_.gpu else ()
    return region, type_.family, gpu, memory_per_cpu, type_.local_nvme_gb > 0, type_.burstable, type_.bare_metal


def _size(type_: InstanceType) -> float:
    return type_.gpu.count if type_.gpu else type_.vcpu


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME)


def within(one: float, other: float, factor: float) -> bool:
    return other <= one * factor and one <= other * factor


def _times(price: float, reference: float) -> str:
    factor = price / reference
    return f"{factor:.1f} times" if factor >= 1 else f"{factor:.2f} of"
