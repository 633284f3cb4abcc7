"""Machines that clouds price by their parts: what a list of types leaves out, computed.

Google attaches GPUs to N1 machines and sells sizes in between (`formulas_gcp`); Oracle sells cores and gibibytes
(`formulas_oci`). Their number is endless, so each formula makes the sizes that are worth choosing from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stratos.catalog.formulas_gcp import attached_gpus, custom_types
from stratos.catalog.formulas_oci import flex_shapes
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.tables import PriceRow

Sold = tuple[InstanceType, PriceRow]


def computed_types(cloud: str, types: Mapping[str, InstanceType], prices: Sequence[PriceRow]) -> list[Sold]:
    """The types that follow from what else is sold in a region, with their prices."""
    match cloud:
        case "gcp":
            return [*attached_gpus(types, prices), *custom_types(types, prices)]
        case "oci":
            return flex_shapes(prices)
        case _:
            return []
