"""``stratos catalog list``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratos.base.errors import Invalid, NotFound
from stratos.base.quantity import GIBIBYTE, units
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, Gpu, InstanceType, Offering
from stratos.cli.catalog import Pricing
from stratos.cli.catalog_sources import catalogs, print_table

ANY_GPU = "any"
INTERRUPTION = ("<5 %", "5–10 %", "10–15 %", "15–20 %", ">20 %")  # by bucket: of a month's machines

_NUMBERS = frozenset({"VCPU", "MEMORY", "ON-DEMAND $/H", "SPOT $/H"})


@dataclass(frozen=True, slots=True)
class Filter:
    families: tuple[str, ...] = ()
    arch: str | None = None
    gpu: str | None = None
    min_cpu: float = 0
    min_memory: str = "0"
    max_price: float | None = None
    pricing: Pricing = Pricing.ON_DEMAND
    custom: bool = False
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A type in a region, at the best price of its zones."""

    cloud: str
    region: str
    type: InstanceType
    zones: tuple[str, ...]
    on_demand: Offering | None
    spot: Offering | None

    def price(self, pricing: Pricing) -> float | None:
        offers = {Pricing.ON_DEMAND: (self.on_demand,), Pricing.SPOT: (self.spot,)}.get(
            pricing, (self.on_demand, self.spot)
        )
        return min((offer.price_usd_per_hour for offer in offers if offer is not None), default=None)


def run_list(
    cloud: str | None, region: str | None, wanted: Filter, *, limit: int, tables: Path | None, as_json: bool
) -> None:
    looked_into = catalogs(cloud, region, tables, retired=wanted.retired)
    lines = listed(looked_into, wanted)
    if as_json:
        print(json.dumps([_json(line) for line in lines], indent=2))
        return
    shown = lines[:limit]
    if not shown:
        print(f"nothing sold in {' or '.join(catalog.region for catalog in looked_into)} is like that")
        return
    print_table(
        ["TYPE", "CLOUD", "REGION", "ARCH", "VCPU", "MEMORY", "GPU", "ON-DEMAND $/H", "SPOT $/H", "INTERRUPTED"],
        [_cells(line) for line in shown],
        right=_NUMBERS,
    )
    if len(lines) > len(shown):
        print(f"… and {len(lines) - len(shown)} dearer ones; --limit {len(lines)} shows all")


def listed(looked_into: Sequence[Catalog], wanted: Filter) -> list[Line]:
    """What satisfies the filter, cheapest first. Raises `NotFound` for a family or GPU that nobody sells."""
    everything = [type_ for catalog in looked_into for type_ in catalog.instance_types.values()]
    families = {_known("family", name, (type_.family for type_ in everything)) for name in wanted.families}
    gpus = _gpus(wanted.gpu, everything)
    memory = _memory(wanted.min_memory)
    lines = []
    for catalog in looked_into:
        for type_ in catalog.instance_types.values():
            line = _line(catalog, type_)
            price = line.price(wanted.pricing)
            if (
                price is not None
                and (wanted.max_price is None or price <= wanted.max_price)
                and (wanted.custom or not type_.custom)
                and (not families or type_.family in families)
                and wanted.arch in (None, type_.arch)
                and (gpus is None or (type_.gpu is not None and type_.gpu.sku in gpus))
                and type_.vcpu >= wanted.min_cpu
                and type_.memory_bytes >= memory
            ):
                lines.append((price, type_.name, catalog.cloud, line))
    return [line for *_, line in sorted(lines, key=lambda each: each[:3])]


def gpu_text(gpu: Gpu | None) -> str:
    if gpu is None:
        return ""
    return f"{gpu.count:g} × {gpu.sku}"


def type_facts(type_: InstanceType) -> dict[str, Any]:
    """What programs are told of a type wherever it is named."""
    gpu = type_.gpu
    return {
        "instance_type": type_.name,
        "family": type_.family,
        "arch": type_.arch,
        "vcpu": type_.vcpu,
        "memory_gib": type_.memory_bytes / GIBIBYTE,
        "gpu": {"manufacturer": gpu.manufacturer, "sku": gpu.sku, "count": gpu.count, "memory_gib": gpu.memory_gib}
        if gpu
        else None,
    }


def best(offerings: Iterable[Offering], capacity_type: CapacityType) -> Offering | None:
    offers = (offering for offering in offerings if offering.capacity_type is capacity_type)
    return min(offers, key=lambda offer: (offer.price_usd_per_hour, offer.zone), default=None)


def _line(catalog: Catalog, type_: InstanceType) -> Line:
    offerings = catalog.offerings_by_type[type_.name]
    return Line(
        catalog.cloud,
        catalog.region,
        type_,
        tuple(sorted({offering.zone for offering in offerings})),
        best(offerings, CapacityType.ON_DEMAND),
        best(offerings, CapacityType.SPOT),
    )


def _gpus(wanted: str | None, types: Sequence[InstanceType]) -> frozenset[str] | None:
    """The models meant. ``A100`` means both ``A100-40`` and ``A100-80``."""
    if wanted is None:
        return None
    models = {type_.gpu.sku for type_ in types if type_.gpu is not None}
    if wanted.casefold() == ANY_GPU:
        return frozenset(models)
    meant = {model for model in models if f"{model.casefold()}-".startswith(f"{wanted.casefold()}-")}
    if not meant:
        raise NotFound(
            f"no type has a GPU {wanted!r}",
            looked_at=(f"GPUs: {', '.join(sorted(models))}",),
            hint="choose one of these, or any",
        )
    return frozenset(meant)


def _memory(text: str) -> int:
    try:
        least = units(text)
    except Invalid as error:
        raise Invalid(f"--min-memory: {error.message}", hint="write it like 16Gi") from error
    if least < 0:
        raise Invalid(f"--min-memory: {text!r} is less than nothing", hint="write it like 16Gi")
    return least


def _known(what: str, name: str, names: Iterable[str]) -> str:
    by_folded = {each.casefold(): each for each in sorted(set(names))}
    found = by_folded.get(name.casefold())
    if found is None:
        alike = [by_folded[each] for each in difflib.get_close_matches(name.casefold(), by_folded, n=3)]
        raise NotFound(
            f"there is no {what} {name!r}",
            looked_at=(f"{len(by_folded)} names",),
            hint=f"did you mean {' or '.join(alike)}?" if alike else "leave it out to see all",
        )
    return found


def _cells(line: Line) -> list[str]:
    type_, spot = line.type, line.spot
    bucket = spot.interruption_bucket if spot else None
    return [
        type_.name,
        line.cloud,
        line.region,
        type_.arch,
        str(type_.vcpu),
        f"{type_.memory_bytes / GIBIBYTE:g} GiB",
        gpu_text(type_.gpu),
        f"{line.on_demand.price_usd_per_hour:.4f}" if line.on_demand else "",
        f"{spot.price_usd_per_hour:.4f}" if spot else "",
        INTERRUPTION[bucket] if bucket is not None else "",
    ]


def _json(line: Line) -> dict[str, Any]:
    type_, spot = line.type, line.spot
    return {
        "cloud": line.cloud,
        "region": line.region,
        **type_facts(type_),
        "lifecycle": type_.lifecycle,
        "zones": list(line.zones),
        "on_demand_usd_per_hour": line.on_demand.price_usd_per_hour if line.on_demand else None,
        "spot_usd_per_hour": spot.price_usd_per_hour if spot else None,
        "spot_interruption_bucket": spot.interruption_bucket if spot else None,
    }
