"""``stratos catalog show``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stratos.base.errors import NotFound
from stratos.base.quantity import GIBIBYTE, resource_amount
from stratos.catalog.allocatable import node_allocatable, node_capacity
from stratos.catalog.catalog import Catalog
from stratos.catalog.daemons import AGENTS
from stratos.catalog.instance_type import HOURS_PER_MONTH, InstanceType, Offering
from stratos.cli.catalog_list import INTERRUPTION, gpu_text, type_facts
from stratos.cli.catalog_sources import catalogs, print_table

_LIFECYCLES = {
    "current": "current",
    "previous": "a previous generation, still sold",
    "retired": "on its way out: its cloud takes no new ones, or has announced when it ends",
}


def run_show(name: str, cloud: str | None, region: str | None, *, tables: Path | None, as_json: bool) -> None:
    found = _find(name, catalogs(cloud, region, tables, retired=True))
    if as_json:
        print(json.dumps([_json(catalog, name) for catalog in found], indent=2))
        return
    for number, catalog in enumerate(found):
        if number:
            print()
        _print(catalog, catalog.instance_type(name))


def _find(name: str, looked_into: Sequence[Catalog]) -> list[Catalog]:
    """Where it is sold. Raises `NotFound`, with names that look alike."""
    found = [catalog for catalog in looked_into if name in catalog.instance_types]
    if not found:
        names = [each for catalog in looked_into for each in catalog.instance_types]
        alike = difflib.get_close_matches(name, names, n=3)
        places = ", ".join(f"{catalog.cloud} {catalog.region}" for catalog in looked_into)
        raise NotFound(
            f"no instance type {name!r} is sold there",
            looked_at=(f"{len(names)} types: {places}",),
            hint=f"did you mean {' or '.join(alike)}?" if alike else "stratos catalog list shows what there is",
        )
    return found


def _print(catalog: Catalog, type_: InstanceType) -> None:
    print(f"{type_.name}   {catalog.cloud} {catalog.region}")
    print()
    for what, text in _facts(type_):
        print(f"  {what:<12} {text}")
    print()
    amounts = _amounts(catalog.cloud, type_)
    print_table(
        ["  OF ITS NODE", *(column.upper() for column in amounts["capacity"])],
        [[f"  {row}", *(_amount(name, value) for name, value in each.items())] for row, each in amounts.items()],
    )
    print()
    print_table(
        ["  ZONE", "TERMS", "$/H", "$/MONTH", "INTERRUPTED", "PRICE FROM", "AS OF"],
        [_offer_cells(offering) for offering in catalog.offerings(type_.name)],
        right=frozenset({"$/H", "$/MONTH"}),
    )


def _facts(type_: InstanceType) -> Iterator[tuple[str, str]]:
    yield "family", type_.family
    yield "machine", f"{type_.vcpu} vCPU {type_.arch}, {type_.memory_bytes / GIBIBYTE:g} GiB"
    if type_.gpu:
        share = ", a share of one device: no GPU to a pod that asks for one" if type_.gpu.is_fractional else ""
        memory = f" with {type_.gpu.memory_gib:g} GiB each" if type_.gpu.memory_gib else ""
        yield "GPU", f"{gpu_text(type_.gpu)} ({type_.gpu.manufacturer}){memory}{share}"
    if type_.local_nvme_gb:
        yield "local disks", f"{type_.local_nvme_gb} GB"
    if type_.network_gbps:
        yield "network", f"{type_.network_gbps:g} Gbit/s"
    kinds = ("burstable", type_.burstable), ("bare metal", type_.bare_metal), ("made to measure", type_.custom)
    if kind := ", ".join(name for name, holds in kinds if holds):
        yield "kind", kind
    yield "lifecycle", _LIFECYCLES.get(type_.lifecycle, type_.lifecycle)


def _amounts(cloud: str, type_: InstanceType) -> dict[str, dict[str, int]]:
    """From what the node has to what is left for pods on a new cluster."""
    allocatable = node_allocatable(cloud, type_)
    agents = AGENTS.get(cloud, ())
    taken = {
        "cpu": sum(resource_amount("cpu", agent.cpu) for agent in agents),
        "memory": sum(resource_amount("memory", agent.memory) for agent in agents),
        "pods": len(agents),
    }
    return {
        "capacity": node_capacity(cloud, type_),
        "allocatable": allocatable,
        "for your pods": {name: max(0, amount - taken.get(name, 0)) for name, amount in allocatable.items()},
    }


def _amount(resource: str, amount: int) -> str:
    match resource:
        case "cpu":
            return f"{amount}m"
        case "memory" | "ephemeral-storage":
            return f"{amount / GIBIBYTE:.2f}Gi"
        case _:
            return str(amount)


def _offer_cells(offering: Offering) -> list[str]:
    bucket = offering.interruption_bucket
    return [
        f"  {offering.zone}",
        str(offering.capacity_type),
        f"{offering.price_usd_per_hour:.4f}",
        f"{offering.price_usd_per_hour * HOURS_PER_MONTH:.2f}",
        INTERRUPTION[bucket] if bucket is not None else "",
        offering.price_source,
        offering.price_as_of,
    ]


def _json(catalog: Catalog, name: str) -> dict[str, Any]:
    type_ = catalog.instance_type(name)
    amounts: Mapping[str, Any] = _amounts(catalog.cloud, type_)
    return {
        "cloud": catalog.cloud,
        "region": catalog.region,
        **type_facts(type_),
        "local_nvme_gb": type_.local_nvme_gb,
        "network_gbps": type_.network_gbps,
        "burstable": type_.burstable,
        "bare_metal": type_.bare_metal,
        "custom": type_.custom,
        "lifecycle": type_.lifecycle,
        "capacity": amounts["capacity"],
        "allocatable": amounts["allocatable"],
        "left_for_pods": amounts["for your pods"],
        "offerings": [
            {
                "zone": offering.zone,
                "capacity_type": offering.capacity_type,
                "price_usd_per_hour": offering.price_usd_per_hour,
                "interruption_bucket": offering.interruption_bucket,
                "price_source": offering.price_source,
                "price_as_of": offering.price_as_of,
            }
            for offering in catalog.offerings(name)
        ],
    }
