"""`stratos bench packing`: machines, cost, bound and unplaced pods stand beside every rate."""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from stratos.base.errors import Invalid
from stratos.base.words import counted
from stratos.catalog.instance_type import CapacityType
from stratos.cli.bench.files import read_set
from stratos.cli.bench.sets import SETS, BenchSet
from stratos.planning.packing.pack import ALLOWANCE_SECONDS, Effort, pack
from stratos.planning.packing.problem import Packing, PackingProblem, PodToPlace
from stratos.planning.scheduling.requirements import requirements_of

# What is run when nothing is asked for: (set, pods, effort)
ALL = (
    ("field", 1_000, "fast"),
    ("field", 5_000, "fast"),
    ("field", 10_000, "fast"),
    ("field", 20_000, "fast"),
    ("distinct", 1_000, "fast"),
    ("distinct", 20_000, "fast"),
    ("preferences", 1_000, "fast"),
    ("preferences", 5_000, "fast"),
    ("existing", 100_000, "fast"),
    ("field", 5_000, "best"),
    ("distinct", 1_000, "best"),
    ("smooth", 2_000, "fast"),
    ("smooth", 2_000, "best"),
    ("memory-heavy", 2_000, "fast"),
    ("memory-heavy", 2_000, "best"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    packing: Packing
    pods: int
    seconds: float  # median over the rounds: pods compiled and packed
    compiling_seconds: float  # of these: what each pod asks for


def measure(make: Callable[[], BenchSet], effort: str, allowance_seconds: float, rounds: int) -> Measured:
    """The set is made anew for each round, outside the clock, so that no round profits from the one before."""
    both = []
    for _ in range(rounds):
        given = make()
        began = perf_counter()
        pods = tuple(PodToPlace(pod.metadata.key, requirements_of(pod)) for pod in given.pods)
        compiled = perf_counter()
        problem = PackingProblem(pods, tuple(given.candidates), tuple(given.existing))
        packing = pack(problem, effort=Effort(effort), allowance_seconds=allowance_seconds)
        both.append((perf_counter() - began, compiled - began))
    return Measured(
        packing,
        len(pods),
        statistics.median(seconds for seconds, _ in both),
        statistics.median(compiling for _, compiling in both),
    )


def as_json(measured: Measured) -> dict[str, Any]:
    packing = measured.packing
    by_type = Counter(machine.candidate.offering.instance_type for machine in packing.machines)
    return {
        "pods": measured.pods,
        "unplaced": len(packing.unplaced),
        "nodes": len(packing.machines),
        "cost_usd_per_hour": round(packing.cost_usd_per_hour, 6),
        "lower_bound_usd_per_hour": round(packing.lower_bound_usd_per_hour, 6),
        "gap": round(packing.gap, 6),
        "seconds": round(measured.seconds, 4),
        "by_type": dict(sorted(by_type.items())),
    }


def run_packing(
    name: str | None,
    pods: int | None,
    effort: str | None,
    rounds: int,
    seed: int,
    *,
    files: tuple[Path | None, Path | None],
    zones: Sequence[str],
    pricing: str,
    print_json: bool,
    allowance_seconds: float = ALLOWANCE_SECONDS,
) -> None:
    if effort is not None and effort not in tuple(Effort):
        raise Invalid(f"--effort: {effort!r} is unknown", hint=f"one of {', '.join(Effort)}")
    pods_file, types_file = files
    if pods_file is None and types_file is None:
        _run_sets(name, pods, effort, allowance_seconds, rounds, seed, print_json=print_json)
        return
    if pods_file is None or types_file is None:
        missing = "--types-file" if types_file is None else "--pods-file"
        raise Invalid(f"{missing} is missing", hint="a set of one's own has both files")
    if pricing not in (*CapacityType, "both"):
        raise Invalid(f"--pricing: {pricing!r} is unknown", hint="on-demand, spot or both")
    named = tuple(zone.strip() for each in zones for zone in each.split(",") if zone.strip())
    given = read_set(pods_file, types_file, named, pricing)
    _run_files(pods_file.name, given, effort or "best", allowance_seconds, print_json=print_json)


def _run_files(name: str, given: BenchSet, effort: str, allowance_seconds: float, *, print_json: bool) -> None:
    measured = measure(lambda: given, effort, allowance_seconds, 1)
    if print_json:
        print(json.dumps(as_json(measured), indent=2))
        return
    _print_heading()
    _print_row(name, effort, measured)
    for left in measured.packing.unplaced[:20]:
        print(f"  {left.pod} has no place: {left.message}")
    if len(measured.packing.unplaced) > 20:
        print(f"  … and {counted(len(measured.packing.unplaced) - 20, 'pod')} more")


def _run_sets(
    name: str | None,
    pods: int | None,
    effort: str | None,
    allowance_seconds: float,
    rounds: int,
    seed: int,
    *,
    print_json: bool,
) -> None:
    if name is not None and name not in SETS:
        raise Invalid(f"there is no set {name!r}", hint=f"choose one of {', '.join(SETS)}")
    chosen = [(each, pods or size, effort or usual) for each, size, usual in ALL if name in (None, each)]
    results = []
    if not print_json:
        _print_heading()
    for each, size, how in dict.fromkeys(chosen):

        def make(each: str = each, size: int = size) -> BenchSet:
            return SETS[each](size, random.Random(seed))

        measured = measure(make, how, allowance_seconds, rounds)
        results.append(
            {"set": each, "effort": how, **as_json(measured), **_speed(measured), "bound": measured.packing.bound}
        )
        if not print_json:
            _print_row(each, how, measured)
    if print_json:
        print(json.dumps({"machine": _machine(), "seed": seed, "rounds": rounds, "results": results}, indent=2))


def _speed(measured: Measured) -> dict[str, Any]:
    return {
        "pods_per_second": round(measured.pods / measured.seconds),
        "compiling_seconds": round(measured.compiling_seconds, 4),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,  # of the process until now
    }


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def _print_heading() -> None:
    print(
        f"{'set':<14}{'effort':<8}{'pods':>8}{'unplaced':>9}{'nodes':>7}{'$/h':>11}{'bound':>11}{'gap':>8}"
        f"{'seconds':>9}{'pods/s':>8}"
    )


def _print_row(name: str, effort: str, measured: Measured) -> None:
    packing = measured.packing
    print(
        f"{name:<14}{effort:<8}{measured.pods:>8,}{len(packing.unplaced):>9,}{len(packing.machines):>7,}"
        f"{packing.cost_usd_per_hour:>11,.3f}{packing.lower_bound_usd_per_hour:>11,.3f}{packing.gap:>8.1%}"
        f"{measured.seconds:>9.2f}{measured.pods / measured.seconds:>8,.0f}",
        flush=True,
    )
