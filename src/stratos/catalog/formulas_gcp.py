"""Google: N1 machines with GPUs attached, and custom machine types.

Which GPUs go with how many cores is from Google's page "GPU machine types" (N1 with attached GPUs); memory is bounded
by the machine type itself. The limits of custom machine types are from "Create a VM with a custom machine type" and
"General-purpose machine family". Prices are sums of parts: of a machine and its GPUs, or of cores and memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType
from stratos.catalog.tables import ListPrice, PriceRow

ATTACHING_FAMILY = "n1"
PART_PREFIX = "n1+"  # in the table of prices: one GPU of that name, as in n1+T4


class AttachableGpu(NamedTuple):
    sku: str
    memory_gib: int
    vcpu_max: Mapping[int, int]  # by how many are attached


ATTACHABLE_GPUS = (
    AttachableGpu("P4", 8, {1: 24, 2: 48, 4: 96}),
    AttachableGpu("T4", 16, {1: 48, 2: 48, 4: 96}),
    AttachableGpu("P100", 16, {1: 16, 2: 32, 4: 96}),
    AttachableGpu("V100", 16, {1: 12, 2: 24, 4: 48, 8: 96}),
)


class CustomFamily(NamedTuple):
    family: str
    cores: tuple[int, ...]
    gib_per_core: tuple[float, ...]
    memory_gib_max: int
    priced_by: tuple[str, str]  # two named types of the family: their difference is memory


_EVEN = (2, 4, 6, 8, 10, 12, 16, 20, 24, 32)
_LARGER = (48, 64, 80)
_BESIDE_THE_NAMED = (1, 2, 3, 5, 6, 7)  # named types have 4 and 8 GiB for each core
CUSTOM_FAMILIES = (
    CustomFamily("e2", _EVEN, _BESIDE_THE_NAMED, 128, ("e2-standard-8", "e2-highmem-8")),
    CustomFamily("n1", _EVEN, (1, 2, 3, 5, 6), 624, ("n1-standard-8", "n1-highmem-8")),
    CustomFamily("n2", (*_EVEN, *_LARGER), _BESIDE_THE_NAMED, 640, ("n2-standard-8", "n2-highmem-8")),
    CustomFamily("n2d", (2, 4, 8, 16, 32, *_LARGER, 96), _BESIDE_THE_NAMED, 768, ("n2d-standard-8", "n2d-highmem-8")),
    CustomFamily("n4", (*_EVEN, *_LARGER), (3, 5, 6, 7), 640, ("n4-standard-8", "n4-highmem-8")),
)
CUSTOM_PREMIUM = 1.05  # cores and memory of a custom machine cost 5 % more than those of a named one


def attached_gpus(types: Mapping[str, InstanceType], prices: Sequence[PriceRow]) -> list[tuple[InstanceType, PriceRow]]:
    """Every N1 machine with every number of GPUs it may have, where both are sold: ``n1-standard-32+2xT4``."""
    machines = [row for row in prices if row.name in types and types[row.name].family == ATTACHING_FAMILY]
    parts = {row.name.removeprefix(PART_PREFIX): row for row in prices if row.name.startswith(PART_PREFIX)}
    return [
        (_with_gpus(types[machine.name], gpu, count), _sum_of(machine, parts[gpu.sku], count, zones))
        for machine in machines
        for gpu in ATTACHABLE_GPUS
        if gpu.sku in parts and (zones := tuple(zone for zone in machine.zones if zone in parts[gpu.sku].zones))
        for count, vcpu_max in gpu.vcpu_max.items()
        if types[machine.name].vcpu <= vcpu_max
    ]


def custom_types(types: Mapping[str, InstanceType], prices: Sequence[PriceRow]) -> list[tuple[InstanceType, PriceRow]]:
    """Sizes between the named ones: ``n2-custom-6-18432`` has 6 cores and 18432 MiB."""
    by_name = {row.name: row for row in prices if row.name in types}
    return [
        sold
        for family in CUSTOM_FAMILIES
        if all(name in by_name for name in family.priced_by)
        for sold in _customs(family, types, by_name)
    ]


def _with_gpus(machine: InstanceType, gpu: AttachableGpu, count: int) -> InstanceType:
    return replace(
        machine,
        name=f"{machine.name}+{count}x{gpu.sku}",
        gpu=Gpu(manufacturer="nvidia", sku=gpu.sku, count=count, memory_gib=gpu.memory_gib),
    )


def _sum_of(machine: PriceRow, gpu: PriceRow, count: int, zones: tuple[str, ...]) -> PriceRow:
    return PriceRow(
        machine.region,
        f"{machine.name}+{count}x{gpu.name.removeprefix(PART_PREFIX)}",
        zones,
        _plus(machine.on_demand, gpu.on_demand, count),
        _plus(machine.spot, gpu.spot, count),
    )


def _plus(machine: ListPrice | None, gpu: ListPrice | None, count: int) -> ListPrice | None:
    if machine is None or gpu is None:
        return None
    return ListPrice(
        round(machine.usd_per_hour + count * gpu.usd_per_hour, 6),
        f"{machine.source} + {count} × {gpu.source}",
        min(machine.as_of, gpu.as_of),
    )


def _customs(
    family: CustomFamily, types: Mapping[str, InstanceType], prices: Mapping[str, PriceRow]
) -> Iterator[tuple[InstanceType, PriceRow]]:
    lean, rich = (types[name] for name in family.priced_by)
    lean_row, rich_row = (prices[name] for name in family.priced_by)
    on_demand = _unit_prices(lean, rich, lean_row.on_demand, rich_row.on_demand)
    spot = _unit_prices(lean, rich, lean_row.spot, rich_row.spot)
    for cores in family.cores:
        for gib in (cores * per_core for per_core in family.gib_per_core):
            if gib > family.memory_gib_max:
                continue
            name = f"{family.family}-custom-{cores}-{round(gib * 1024)}"
            type_ = replace(lean, name=name, vcpu=cores, memory_bytes=round(gib * GIBIBYTE), custom=True)
            yield (
                type_,
                PriceRow(lean_row.region, name, lean_row.zones, _custom(on_demand, type_), _custom(spot, type_)),
            )


class _UnitPrices(NamedTuple):
    per_core: float
    per_gib: float
    source: str
    as_of: str


def _unit_prices(
    lean: InstanceType, rich: InstanceType, lean_price: ListPrice | None, rich_price: ListPrice | None
) -> _UnitPrices | None:
    """Two machines with as many cores differ in memory alone."""
    if lean_price is None or rich_price is None:
        return None
    lean_gib, rich_gib = lean.memory_bytes / GIBIBYTE, rich.memory_bytes / GIBIBYTE
    per_gib = (rich_price.usd_per_hour - lean_price.usd_per_hour) / (rich_gib - lean_gib)
    per_core = (lean_price.usd_per_hour - per_gib * lean_gib) / lean.vcpu
    return _UnitPrices(per_core, per_gib, f"parts of {lean.name}, {lean_price.source}", lean_price.as_of)


def _custom(units: _UnitPrices | None, type_: InstanceType) -> ListPrice | None:
    if units is None:
        return None
    parts = units.per_core * type_.vcpu + units.per_gib * type_.memory_bytes / GIBIBYTE
    return ListPrice(round(CUSTOM_PREMIUM * parts, 6), units.source, units.as_of)
