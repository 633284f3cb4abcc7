"""How near their bound mixes of machines come, and what that takes: the pattern solver alone, on hard sets.

    python benchmarks/packing_patterns.py [--sets smooth,heavy,…]

Prints JSON. Prices and sizes are those of AWS us-east-1, on demand, families m, c and r of generations 5 to 7, from the
shipped catalog; pods are drawn with a fixed seed. Seconds are processor time of this process, so that a busy machine
changes them little. The machines to start from are the poorest there are: for each class by itself the kind that is
cheapest per pod.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import re
import time
from typing import NamedTuple

import numpy as np

from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import load_catalog
from stratos.catalog.instance_type import CapacityType
from stratos.planning.packing.demand import Demand, Machine
from stratos.planning.packing.patterns.solve import solve_patterns

PLENTY = 10**9
GIB = 2**30


class BenchSet(NamedTuple):
    pods: int
    shapes: int
    most_vcpu: int = 1_000  # larger machines are not for sale
    memory_heavy: bool = False  # every tenth shape asks for 32 to 48 GiB a core


SETS = {
    "smooth": BenchSet(2_000, 500),
    "heavy": BenchSet(2_000, 500, memory_heavy=True),
    "smooth-32": BenchSet(2_000, 500, most_vcpu=32),
    "heavy-32": BenchSet(2_000, 500, most_vcpu=32, memory_heavy=True),
    "smooth-16": BenchSet(2_000, 500, most_vcpu=16),
    "smooth-8": BenchSet(2_000, 500, most_vcpu=8),
    "smooth-4": BenchSet(600, 60, most_vcpu=4),
    "distinct": BenchSet(4_500, 4_500),
    "many": BenchSet(20_000, 200),
    "few": BenchSet(60, 20),
    "tiny": BenchSet(10, 5),
}


def demand_of(each: BenchSet) -> Demand:
    chance = random.Random(1)
    catalog = load_catalog("aws", "us-east-1")
    capacity, prices = [], []
    for name, kind in sorted(catalog.instance_types.items()):
        if not re.fullmatch("[mcr][5-7][ai]?", kind.family) or kind.bare_metal or kind.vcpu > each.most_vcpu:
            continue
        room = node_allocatable("aws", kind)
        capacity.append([room["cpu"], room["memory"], room["pods"]])
        prices.append(
            min(
                offering.price_usd_per_hour
                for offering in catalog.offerings(name)
                if offering.capacity_type is CapacityType.ON_DEMAND
            )
        )
    largest = np.array(capacity).max(axis=0)
    requests: list[tuple[int, int, int]] = []
    while len(requests) < each.shapes:
        cpu = chance.randrange(200, 8_000, 50)
        heavy = each.memory_heavy and len(requests) % 10 == 0
        gib_a_core = chance.uniform(32, 48) if heavy else math.exp(chance.uniform(0, math.log(10)))
        request = (cpu, min(int(cpu / 1000 * gib_a_core * GIB), 200 * GIB), 1)
        if (np.array(request) <= largest).all():
            requests.append(request)
    return Demand(
        requests=np.array(requests, dtype=np.int64),
        pods=np.full(each.shapes, each.pods // each.shapes, dtype=np.int64),
        capacity=np.array(capacity, dtype=np.int64),
        price_usd_per_hour=np.array(prices),
        allowed=np.ones((each.shapes, len(prices)), dtype=np.bool_),
        most_per_machine=np.full(each.shapes, PLENTY, dtype=np.int64),
        limit=np.full(len(prices), -1, dtype=np.int64),
    )


def class_by_class(demand: Demand) -> tuple[Machine, ...]:
    machines: list[Machine] = []
    for c, pods in enumerate(demand.pods.tolist()):
        held = np.minimum((demand.capacity // np.maximum(demand.requests[c], 1)).min(axis=1), pods)
        kind = int(np.where(held > 0, demand.price_usd_per_hour / np.maximum(held, 1), np.inf).argmin())
        most = int(held[kind])
        machines.extend(Machine(kind, ((c, min(most, pods - first)),)) for first in range(0, pods, most))
    return tuple(machines)


def measure(each: BenchSet) -> dict[str, object]:
    demand = demand_of(each)
    start = class_by_class(demand)
    began = time.process_time()
    answer = solve_patterns(demand, start)
    seconds = time.process_time() - began
    return {
        "pods": int(demand.pods.sum()),
        "shapes": each.shapes,
        "kinds": len(demand.limit),
        "machines": len(answer.machines),
        "cost_usd_per_hour": round(answer.cost_usd_per_hour, 4),
        "lower_bound_usd_per_hour": round(answer.lower_bound_usd_per_hour, 4),
        "gap": round(answer.cost_usd_per_hour / answer.lower_bound_usd_per_hour - 1, 4),
        "seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas")
    names = parser.parse_args().sets.split(",")
    print(json.dumps({"machine": platform.processor(), **{name: measure(SETS[name]) for name in names}}, indent=2))


if __name__ == "__main__":
    main()
