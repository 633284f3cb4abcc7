"""How fast simulated time passes: a day of a pool of twenty machines under a working day's load, then a bad hour.

    python benchmarks/simulation.py

The day: a Deployment follows the sun from two pods to twenty and back, and every hour brings a burst of build jobs; no
faults, all laws checked. The bad hours: seeds with every fault at once, as `stratos sim` plays them.
"""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.job import JOB
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.sim.run import simulate
from stratos.sim.scenario import NAMESPACE, SERVED_BY, Act

HOURS = 24.0
SEEDS = range(1, 11)
_POOL = "day"


def a_working_day(_: random.Random, seconds: float) -> tuple[Act, ...]:
    acts = [
        _create(0, SIM_NODE_CLASS, _POOL, {"instanceType": "m5.xlarge"}),
        _create(
            1,
            NODE_POOL,
            _POOL,
            {
                "poolSize": 20,
                "minStandby": 3,
                "template": {"nodeClassRef": {"kind": "SimNodeClass", "name": _POOL}, "labels": {SERVED_BY: _POOL}},
                "scaleDown": {"emptyNodeTTL": "5m"},
            },
        ),
        _create(300, DEPLOYMENT, "web", _workload({"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}, "web")),
    ]
    for hour in range(1, int(seconds / 3600)):
        replicas = round(11 - 9 * math.cos(2 * math.pi * hour / 24))
        acts.append(Act(hour * 3600, DEPLOYMENT, f"{NAMESPACE}/web", change={"spec": {"replicas": replicas}}))
        name = f"build-{hour}"
        burst = {"parallelism": 6, "completions": 6, "ttlSecondsAfterFinished": 600}
        acts.append(_create(hour * 3600 + 900, JOB, name, _workload(burst, name, seconds=600)))
    return tuple(acts)


def _workload(spec: dict[str, Any], name: str, *, seconds: int | None = None) -> dict[str, Any]:
    container = {"name": "main", "image": "work:1", "resources": {"requests": {"cpu": "1500m"}}}
    pod: dict[str, Any] = {"nodeSelector": {SERVED_BY: _POOL}, "containers": [container]}
    annotations = {}
    if seconds is not None:
        pod["restartPolicy"] = "Never"
        annotations["sim.stratos.sh/duration"] = f"{seconds}s"
    labels = {"app": name, SERVED_BY: _POOL}
    return {**spec, "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}}


def _create(at: float, kind: Any, name: str, spec: dict[str, Any]) -> Act:
    metadata = {"name": name} | ({"namespace": NAMESPACE} if kind.namespaced else {})
    return Act(at, kind, name, manifest={"metadata": metadata, "spec": spec})


def measure() -> dict[str, Any]:
    began, cpu_began = time.perf_counter(), time.process_time()
    day = simulate(1, HOURS, [], scenario=a_working_day)
    day_seconds, day_cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    began = time.perf_counter()
    bad = [simulate(seed, 0.5) for seed in SEEDS]
    bad_seconds = time.perf_counter() - began
    return {
        "benchmark": "simulation",
        "day": {
            "machines": 20,
            "simulated_hours": round(day.hours, 2),
            "wall_seconds": round(day_seconds, 2),
            "cpu_seconds": round(day_cpu_seconds, 2),
            "simulated_hours_per_second": round(day.hours / day_seconds, 2),
            "actions": day.actions,
            "machines_launched": day.machines_launched,
            "starts": day.starts,
            "violations": len(day.violations),
        },
        "bad_hours": {
            "seeds": len(bad),
            "simulated_hours": round(sum(outcome.hours for outcome in bad), 2),
            "wall_seconds": round(bad_seconds, 2),
            "simulated_hours_per_second": round(sum(outcome.hours for outcome in bad) / bad_seconds, 2),
            "violations": sum(len(outcome.violations) for outcome in bad),
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
