"""Oracle: flexible shapes, any number of cores (OCPUs) with any number of gibibytes.

Limits are from Oracle's page "Compute Shapes", the flexible shapes of VM standard and VM optimised. An OCPU is one
core: two hardware threads, and so two vCPUs, except on the Arm shape A1. A price is that of the OCPUs plus that of the
memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.oke import MAX_PODS
from stratos.catalog.tables import ListPrice, PriceRow

OCPU_PART, GIB_PART = ":ocpu", ":gib"  # in the table of prices: one of either, as in VM.Standard.E4.Flex:ocpu


class FlexShape(NamedTuple):
    name: str
    ocpus_max: int
    memory_gib_max: int
    arch: str = "amd64"
    vcpus_per_ocpu: int = 2


FLEX_SHAPES = (
    FlexShape("VM.Optimized3.Flex", 18, 256),
    FlexShape("VM.Standard3.Flex", 32, 512),
    FlexShape("VM.Standard.E3.Flex", 64, 1024),
    FlexShape("VM.Standard.E4.Flex", 64, 1024),
    FlexShape("VM.Standard.E5.Flex", 94, 1049),
    FlexShape("VM.Standard.E6.Flex", 94, 1049),
    FlexShape("VM.Standard.A1.Flex", 80, 512, "arm64", 1),
    FlexShape("VM.Standard.A2.Flex", 78, 946, "arm64"),
    FlexShape("VM.Standard.A4.Flex", 45, 700, "arm64"),
)
OCPUS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80)
GIB_PER_OCPU = (1, 2, 4, 6, 8, 12, 16, 32)
NETWORK_GBPS_PER_OCPU, NETWORK_GBPS_MAX = 1, 40


def flex_shapes(prices: Sequence[PriceRow]) -> list[tuple[InstanceType, PriceRow]]:
    """Sensible sizes of all flexible shapes sold in a region: ``VM.Standard.E4.Flex:4o32g``."""
    parts = {row.name: row for row in prices}
    return [
        (_type(shape, ocpus, gib), _sum_of(shape, ocpus, gib, cores, memory))
        for shape in FLEX_SHAPES
        if (cores := parts.get(shape.name + OCPU_PART)) and (memory := parts.get(shape.name + GIB_PART))
        for ocpus in OCPUS
        if ocpus <= shape.ocpus_max
        for gib in (ocpus * per_ocpu for per_ocpu in GIB_PER_OCPU)
        if gib <= shape.memory_gib_max
    ]


def _name(shape: FlexShape, ocpus: int, gib: int) -> str:
    return f"{shape.name}:{ocpus}o{gib}g"


def _type(shape: FlexShape, ocpus: int, gib: int) -> InstanceType:
    return InstanceType(
        name=_name(shape, ocpus, gib),
        family=shape.name,
        arch=shape.arch,
        vcpu=ocpus * shape.vcpus_per_ocpu,
        memory_bytes=gib * GIBIBYTE,
        max_pods=MAX_PODS,
        network_gbps=float(min(NETWORK_GBPS_MAX, NETWORK_GBPS_PER_OCPU * ocpus)),
    )


def _sum_of(shape: FlexShape, ocpus: int, gib: int, cores: PriceRow, memory: PriceRow) -> PriceRow:
    return PriceRow(
        cores.region,
        _name(shape, ocpus, gib),
        tuple(zone for zone in cores.zones if zone in memory.zones),
        _plus(ocpus, cores.on_demand, gib, memory.on_demand),
        _plus(ocpus, cores.spot, gib, memory.spot),
    )


def _plus(ocpus: int, core: ListPrice | None, gib: int, gibibyte: ListPrice | None) -> ListPrice | None:
    if core is None or gibibyte is None:
        return None
    price = round(ocpus * core.usd_per_hour + gib * gibibyte.usd_per_hour, 6)
    return ListPrice(price, core.source, min(core.as_of, gibibyte.as_of))
