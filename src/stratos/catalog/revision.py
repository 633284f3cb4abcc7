"""Judge newly read prices by those already known: which are believed, which are refused, and why.

Price lists hold many prices for one machine (Windows beside Linux, dedicated beside shared hardware, committed beside
by the hour), and now and then label one as another. A wrong price sends every later decision the wrong way, so a price
is believed only if nothing speaks against it; where something does, the old one stays. Reading the lists belongs to
``providers.prices``, writing the outcome down to ``stratos catalog refresh``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.catalog.plausibility import Verdicts, within
from stratos.catalog.quotes import Change, PriceKey, Quote, Refusal
from stratos.catalog.tables import ListPrice, PriceRow

REFUSED_SHARE_MAX = 0.5
SAME_MEMORY = 1.02  # some lists round


@dataclass(frozen=True, slots=True)
class Revision:
    """What we go by from now on, and how that differs from before."""

    prices: Mapping[PriceKey, ListPrice]
    added: tuple[Change, ...]
    changed: tuple[Change, ...]
    unchanged: int
    refused: tuple[Refusal, ...]
    not_listed: tuple[PriceKey, ...]  # the list says nothing of them; the old price stays
    unknown_types: tuple[str, ...]  # listed, but nobody told how large they are
    other_products: Mapping[str, int]  # prices passed over, by what they are for

    @property
    def believed(self) -> int:
        return len(self.added) + len(self.changed) + self.unchanged

    @property
    def is_trustworthy(self) -> bool:
        """Whether enough of it was believable to believe any of it."""
        judged = self.believed + len(self.refused)
        return self.believed > 0 and len(self.refused) <= REFUSED_SHARE_MAX * judged


def revise(
    rows: Iterable[PriceRow],
    quotes: Iterable[Quote],
    types: Mapping[str, InstanceType],
    regions: Collection[str],
) -> Revision:
    """Hold quotes against the known prices of these regions. ``types`` are all that the cloud is known to have."""
    known = _prices_of(row for row in rows if row.region in regions)
    # An amount may be no number, and such do not sort.
    ordered = sorted(quotes, key=lambda quote: (quote.key, quote.sold_as or "", quote.unit, str(quote.amount)))
    others = [quote for quote in ordered if quote.sold_as is not None]
    ours = [quote for quote in ordered if quote.sold_as is None]
    named = types.keys() | {key.name for key in known}
    verdicts = Verdicts(known, types, regions, others)
    verdicts.judge([quote for quote in ours if quote.key.name in named])
    return Revision(
        prices={**known, **verdicts.believed},
        added=tuple(change for change in verdicts.changes if change.before_usd_per_hour is None),
        changed=tuple(change for change in verdicts.changes if change.before_usd_per_hour is not None),
        unchanged=len(verdicts.believed) - len(verdicts.changes),
        refused=tuple(verdicts.refused),
        not_listed=tuple(sorted(known.keys() - {quote.key for quote in ours})),
        unknown_types=tuple(sorted({quote.key.name for quote in ours} - named)),
        other_products=dict(sorted(Counter(quote.sold_as for quote in others if quote.sold_as).items())),
    )


def revised_rows(
    rows: Sequence[PriceRow], revision: Revision, zones: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> list[PriceRow]:
    """The rows with the prices we go by from now on. ``zones`` says by region and name where something is sold; what it
    does not tell of stays where it was, or if new is taken to be in all zones of its region."""
    before = {(row.region, row.name): row for row in rows}
    everywhere: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        everywhere[row.region].update(row.zones)
    told = {(key.region, key.name) for key in revision.prices}
    revised = [row for place, row in before.items() if place not in told]
    for region, name in sorted(told):
        old = before.get((region, name))
        revised.append(
            PriceRow(
                region,
                name,
                zones.get(region, {}).get(name) or (old.zones if old else tuple(sorted(everywhere[region]))),
                on_demand=revision.prices.get(PriceKey(region, name, CapacityType.ON_DEMAND)),
                spot=revision.prices.get(PriceKey(region, name, CapacityType.SPOT)),
            )
        )
    return sorted(revised)


def new_types(
    known: Mapping[str, InstanceType], told: Iterable[InstanceType]
) -> tuple[dict[str, InstanceType], tuple[str, ...]]:
    """The types nobody knew, and what speaks against those told otherwise than known: a type never changes its size."""
    added: dict[str, InstanceType] = {}
    contradictions: list[str] = []
    for type_ in sorted(told, key=lambda type_: type_.name):
        before = known.get(type_.name)
        if before is None:
            if type_.vcpu > 0 and type_.memory_bytes > 0:
                added[type_.name] = type_
            else:
                contradictions.append(f"{type_.name} is told to have {type_.vcpu} vCPU and {_gib(type_)} GiB")
        elif (before.vcpu, before.arch) != (type_.vcpu, type_.arch) or not within(
            before.memory_bytes, type_.memory_bytes, SAME_MEMORY
        ):
            contradictions.append(
                f"{type_.name} is told to be {type_.arch} with {type_.vcpu} vCPU and {_gib(type_)} GiB, and known as "
                f"{before.arch} with {before.vcpu} vCPU and {_gib(before)} GiB"
            )
    return added, tuple(contradictions)


def _prices_of(rows: Iterable[PriceRow]) -> dict[PriceKey, ListPrice]:
    return {
        PriceKey(row.region, row.name, capacity_type): price
        for row in rows
        for capacity_type, price in ((CapacityType.ON_DEMAND, row.on_demand), (CapacityType.SPOT, row.spot))
        if price
    }


def _gib(type_: InstanceType) -> str:
    return f"{type_.memory_bytes / GIBIBYTE:g}"
