"""Published choices of machines, from the plainest rule there is: the cheapest one that one of the pods fits on.

The table beside this file says what decides each. Together they need: allocatable capacity in place of nominal, less
what a new cluster's agents take; x86 only; burstable types and previous generations on offer, bare metal, retired types
and sizes made to measure not; shares of a GPU never a GPU.
"""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stratos.base.quantity import millis, resource_amount
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import load_catalog
from stratos.catalog.daemons import AGENTS
from stratos.catalog.instance_type import CapacityType, InstanceType

MEBIBYTE = 2**20
SAVINGS = {"r5a.xlarge": 0.62, "g6.8xlarge": 0.51, "g6.12xlarge": 0.51, "p4d.24xlarge": 0.56}  # published with the rows
SAVING_OF_OTHERS = 0.5

Row = dict[str, str]


class Choice(NamedTuple):
    usd_per_hour: float
    instance_type: str
    nodes: int


def read_rows() -> list[Row]:
    with (Path(__file__).parent / "golden_decisions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row["id"])
def test_the_cheapest_that_fits_is_the_published_choice(row: Row) -> None:
    """If one of these breaks, the catalog or the reservations are wrong, and every plan with them."""
    published = listed(row["choice"])
    found = sorted(choices(row))

    assert [choice.instance_type for choice in found[: len(published) or 1]] == published, row["what_decides"]
    if published:
        assert found[0].usd_per_hour == pytest.approx(float(row["usd_per_hour"]), abs=1e-5)
        assert row["nodes"] in ("", str(found[0].nodes)), row["what_decides"]


def choices(row: Row) -> Iterator[Choice]:
    catalog = load_catalog(row["cloud"], row["region"])
    for name, type_ in catalog.instance_types.items():
        if type_.arch != "amd64" or type_.bare_metal or type_.custom or not re.search(row["regexp"], name):
            continue
        fitting, on_demand = pods_on(type_, row), on_demand_price(row, name)
        if fitting >= 1 and on_demand is not None:
            nodes = math.ceil(int(row["replicas"]) / fitting)
            yield from (Choice(price, name, nodes) for price in prices(on_demand, name, row))


def on_demand_price(row: Row, name: str) -> float | None:
    catalog = load_catalog(row["cloud"], row["region"])
    zones = [f"{row['region']}-{row['zone']}"] if row["zone"] else catalog.zones
    offerings = [catalog.offering(name, zone, CapacityType.ON_DEMAND) for zone in zones]
    return min((offering.price_usd_per_hour for offering in offerings if offering is not None), default=None)


def prices(on_demand: float, name: str, row: Row) -> Iterator[float]:
    saving = SAVINGS.get(name, SAVING_OF_OTHERS) if row["price_model"] == "advisor" else SAVING_OF_OTHERS
    by_terms = {"on-demand": on_demand, "spot": on_demand * (1 - saving)}
    most = float(row["max_cost"] or math.inf)
    return (by_terms[terms] for terms in listed(row["offerings"]) if by_terms[terms] <= most)


def pods_on(type_: InstanceType, row: Row) -> int:
    left = node_allocatable(row["cloud"], type_)
    agents = AGENTS[row["cloud"]]
    cpu = left["cpu"] - sum(resource_amount("cpu", agent.cpu) for agent in agents)
    memory = left["memory"] - sum(resource_amount("memory", agent.memory) for agent in agents)
    if row["price_model"] == "nominal":
        cpu, memory = type_.vcpu * 1000, type_.memory_bytes
    fitting = [cpu // millis(row["pod_cpu"]), memory // (int(row["pod_mem_mib"]) * MEBIBYTE)]
    fitting.append(left["pods"] - len(agents))
    if gpus := int(row["pod_gpus"]):
        fitting.append(gpus_on(type_, row) * int(row["time_slices"]) // gpus)
    return min(fitting)


def gpus_on(type_: InstanceType, row: Row) -> int:
    gpu = type_.gpu
    if gpu is None or gpu.manufacturer != "nvidia" or gpu.count > float(row["max_gpus"] or math.inf):
        return 0
    skus = listed(row["gpu_skus"])
    return gpu.devices if not skus or any(f"{gpu.sku}-".startswith(f"{sku}-") for sku in skus) else 0


def listed(cell: str) -> list[str]:
    return cell.split("|") if cell else []
