"""How soon a pod that fits nowhere has a machine asked for: alone, and among a thousand.

    python benchmarks/reaction.py [--rounds 3] [--store sqlite|memory]… [--standby 300]

Prints JSON. A whole cluster runs in this one process, in real time: API server, scheduler, workload controllers,
Stratos, a simulated cloud and its kubelets share one core, which makes every figure an upper bound of Stratos's own
share. The cloud answers at once and boots for hours, so that machines stay under way; Stratos's own rate limit on
calls to the cloud is on. Moments are those at which the store publishes a write (with SQLite: after the commit), and
at which the call reaches the cloud.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim, NodeState, Wanted
from stratos.apis.nodepool import NODE_POOL, PodAssignment
from stratos.apis.pod import POD
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.apiserver.storage.contract import Event, Storage
from stratos.apiserver.storage.memory import open_memory
from stratos.apiserver.storage.sqlite import open_sqlite
from stratos.base.ids import SeededIds
from stratos.base.quantity import resource_amount
from stratos.catalog.allocatable import node_allocatable
from stratos.controllers.pools import controller as pools
from stratos.kube.client import Client
from stratos.kube.codec import decode
from stratos.planning.pools.members import PoolPlan
from stratos.planning.pools.scale_up import Compile
from stratos.planning.scheduling.requirements import requirements_of
from stratos.providers.simulated.cloud import CallMoment, CloudOptions
from stratos.providers.simulated.timings import Duration, Timings, TimingTable
from stratos.snapshot.pool import PoolSnapshot
from stratos.telemetry.logs import configure
from stratos.wiring.clock import SystemClock
from stratos.wiring.cluster import Cluster, ClusterOptions, catalog_named

INSTANCE_TYPE = "m5.2xlarge"  # 8 vCPU, 32 GiB
POOL = "benchmark"
POOL_SIZE = 1000
ALONE_PODS = 200
BURST_PODS = 1000
CREATORS = 32
FULL_NODE = {"cpu": "5", "memory": "4Gi"}  # no second one fits beside it
TENTH_OF_NODE = {"cpu": "750m", "memory": "2Gi"}
QUIET_SECONDS = 4.0  # then nothing more is expected, and the rate limit has all its burst again

_NEVER = Duration.exactly(24 * 3600.0)
_AT_ONCE = Duration.exactly(0.05)
_UNSCHEDULABLE = b'"Unschedulable"'


@dataclass(slots=True)
class PlanRun:
    began: float
    ended: float
    machines: int


@dataclass(slots=True)
class Witness:
    """When what happened, by the monotonic clock: what the store published, what was planned, what the cloud heard."""

    created: dict[str, float] = field(default_factory=dict)  # by pod
    unschedulable: dict[str, float] = field(default_factory=dict)  # by pod
    wished: dict[str, float] = field(default_factory=dict)  # by claim: when it came to want a running machine
    asked: dict[str, float] = field(default_factory=dict)  # by claim: when the cloud was
    claims: dict[str, NodeClaim] = field(default_factory=dict)
    plans: list[PlanRun] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _claim_by_target: dict[str, str] = field(default_factory=dict)  # by machine, and by token of a launch

    def watch(self, storage: Storage) -> None:
        storage.observe("/registry/core/pods/", self._pod_written)
        storage.observe(f"/registry/{NODE_CLAIM.group}/{NODE_CLAIM.plural}/", self._claim_written)

    def forget(self) -> None:
        """What was so far does not count."""
        for book in (self.created, self.unschedulable, self.wished, self.asked):
            book.clear()
        self.plans.clear()

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def wait_quiet(self, seconds: float) -> None:
        """Return when for so long the cloud has not been called, nor a claim been written."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return

    def cloud_called(self, moment: CallMoment, operation: str, target: str) -> None:
        if operation == "describe":
            return  # machines under way are looked at every other second for ever
        claim = self._claim_by_target.get(target)
        if moment is CallMoment.BEFORE and operation in ("start", "launch") and claim in self.wished:
            self.asked.setdefault(claim, time.monotonic())
        self._changed.set()

    def planned(self, plan: PoolPlan, began: float) -> None:
        self.plans.append(PlanRun(began, time.monotonic(), len(plan.launches) + len(plan.wishes)))

    def _pod_written(self, event: Event) -> None:
        name = event.key.rpartition("/")[2]
        if event.previous is None:
            self.created[name] = time.monotonic()
        if event.value is not None and _UNSCHEDULABLE in event.value:
            self.unschedulable.setdefault(name, time.monotonic())

    def _claim_written(self, event: Event) -> None:
        name = event.key.rpartition("/")[2]
        if event.value is None:
            self.claims.pop(name, None)
            return
        claim = self.claims[name] = decode(NodeClaim, event.value)
        self._claim_by_target[claim.metadata.uid] = name
        self._claim_by_target[claim.status.instance_id] = name
        if claim.spec.wanted is Wanted.RUNNING:
            self.wished.setdefault(name, time.monotonic())
        self._changed.set()


class WarmCluster:
    """A cluster whose pool is full of standby machines, which take hours to start."""

    def __init__(self, client: Client, witness: Witness, fill_seconds: float) -> None:
        self.client = client
        self.witness = witness
        self.fill_seconds = fill_seconds

    async def create(self, name: str, requests: dict[str, str]) -> None:
        container = {"name": "main", "image": "busybox", "resources": {"requests": requests}}
        spec = {"nodeSelector": {"stratos.sh/pool": POOL}, "containers": [container]}
        await self.client.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


@asynccontextmanager
async def warm_cluster(storage: Storage, standby: int) -> AsyncIterator[WarmCluster]:
    witness = Witness()
    witness.watch(storage)
    timings = {INSTANCE_TYPE: Timings(_AT_ONCE, _AT_ONCE, _AT_ONCE, _AT_ONCE, _AT_ONCE)}
    cloud = CloudOptions(
        timings=TimingTable(by_instance_type=timings), api_latency=Duration.exactly(0), calls_per_second=1e6
    )
    cluster = Cluster(
        storage,
        clock=SystemClock(),
        ids=SeededIds(random.Random(1)),
        rng=random.Random(2),
        options=ClusterOptions(cloud=cloud, kubelets=KubeletOptions(network_up=_AT_ONCE)),
    )
    cluster.cloud.fault_hook = witness.cloud_called
    async with cluster.running():
        gc.freeze()  # as `stratos up` does
        began = time.monotonic()
        await _apply_pool(cluster.admin, standby)
        await witness.wait_until(
            lambda: sum(claim.status.state is NodeState.STANDBY for claim in witness.claims.values()) >= standby
        )
        await witness.wait_quiet(QUIET_SECONDS)
        # Machines that the cloud starts or launches from now on stay under way to the end.
        timings[INSTANCE_TYPE] = Timings(_NEVER, _NEVER, _AT_ONCE, _AT_ONCE, _AT_ONCE)
        witness.forget()
        with _timed_plans(witness.planned):
            yield WarmCluster(cluster.admin, witness, time.monotonic() - began)
    gc.unfreeze()
    gc.collect()


async def _apply_pool(client: Client, standby: int) -> None:
    await client.create(SIM_NODE_CLASS, {"metadata": {"name": POOL}, "spec": {"instanceType": INSTANCE_TYPE}})
    template = {
        "nodeClassRef": {"kind": SIM_NODE_CLASS.kind, "name": POOL},
        "labels": {"stratos.sh/pool": POOL},
    }
    spec = {"poolSize": POOL_SIZE, "minStandby": standby, "template": template}
    await client.create(NODE_POOL, {"metadata": {"name": POOL}, "spec": spec})


@contextmanager
def _timed_plans(planned: Callable[[PoolPlan, float], None]) -> Iterator[None]:
    """Tell of every plan the pool controller makes."""
    plan_pool = pools.plan_pool

    def timed(look: PoolSnapshot, compile_pod: Compile = requirements_of) -> PoolPlan:
        began = time.monotonic()
        plan = plan_pool(look, compile_pod)
        planned(plan, began)
        return plan

    pools.plan_pool = timed
    try:
        yield
    finally:
        pools.plan_pool = plan_pool


# One pod after another


@dataclass(slots=True)
class Alone:
    """The stages of one pod, in milliseconds; each counts from the end of the one before."""

    created_to_unschedulable: float
    unschedulable_to_plan: float  # the watch event, the queue, the look at the caches
    plan: float
    plan_to_claim: float  # until the claim is durable
    claim_to_call: float
    unschedulable_to_call: float
    created_to_call: float


async def pods_alone(cluster: WarmCluster, pods: int) -> list[Alone]:
    """Pods that come one by one, and each need a machine of their own."""
    witness, chance, found = cluster.witness, random.Random(3), []
    for number in range(pods):
        name = f"alone-{number}"
        await cluster.create(name, FULL_NODE)
        await witness.wait_until(lambda: len(witness.asked) > number)  # noqa: B023 (awaited at once)
        found.append(_stages(witness, name, list(witness.asked)[number]))
        await asyncio.sleep(chance.uniform(0.03, 0.1))
    return found


def _stages(witness: Witness, pod: str, claim: str) -> Alone:
    unschedulable = witness.unschedulable[pod]
    plan = next(run for run in witness.plans if run.machines and run.ended >= unschedulable)
    moments = (witness.created[pod], unschedulable, plan.began, plan.ended, witness.wished[claim], witness.asked[claim])
    told, seen, planned, written, called = ((after - before) * 1000 for before, after in pairwise(moments))
    in_all = seen + planned + written + called
    return Alone(told, seen, planned, written, called, in_all, told + in_all)


def summary_alone(rounds: Sequence[Sequence[Alone]]) -> dict[str, Any]:
    """Of each stage the percentiles over all pods, as the median of the rounds."""

    def stage(name: str) -> dict[str, float]:
        values = [sorted(getattr(each, name) for each in pods) for pods in rounds]
        return {
            f"{label}_ms": round(statistics.median(percentile(pods, share) for pods in values), 2)
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        }

    return {"pods": len(rounds[0])} | {each.name: stage(each.name) for each in fields(Alone)}


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


# A burst


@dataclass(slots=True)
class Burst:
    creating_seconds: float
    last_unschedulable_to_last_call_seconds: float  # what the user waits for us once the cluster is full
    first_unschedulable_to_first_call_seconds: float
    first_unschedulable_to_last_call_seconds: float
    last_claim_seconds: float  # from the last pod unschedulable
    reaction_p50_seconds: float  # each pod: until the machine for it was asked for
    reaction_p99_seconds: float
    machines: int
    of_them_cold: int
    lower_bound: int
    unplaced_pods: int
    usd_per_hour: float
    plans: int
    planning_seconds: float
    longest_plan_seconds: float


async def pod_burst(cluster: WarmCluster, requests: Sequence[dict[str, str]]) -> Burst:
    """All pods as fast as the API takes them."""
    witness = cluster.witness
    waiting = iter(list(enumerate(requests)))
    began = time.monotonic()

    async def create_some() -> None:
        for number, asks in waiting:
            await cluster.create(f"burst-{number:04d}", asks)

    await asyncio.gather(*(create_some() for _ in range(CREATORS)))
    creating = time.monotonic() - began
    await witness.wait_quiet(QUIET_SECONDS)
    pool = await cluster.client.get(NODE_POOL, POOL)
    return _judge_burst(witness, pool.status.pod_assignments, requests, creating)


def _judge_burst(
    witness: Witness, assignments: Iterable[PodAssignment], requests: Sequence[dict[str, str]], creating: float
) -> Burst:
    claims = {name: witness.claims[name] for name in witness.asked}
    asked_by_node = {claim.status.node_name: witness.asked[name] for name, claim in claims.items()}
    # A pod may be given room on a machine that was asked for before it came.
    asked_for_pod = {each.pod_name: asked_by_node.get(each.node_name, 0.0) for each in assignments}
    reactions = sorted(
        max(0.0, asked_for_pod[pod] - moment) for pod, moment in witness.unschedulable.items() if pod in asked_for_pod
    )
    first, last = min(witness.unschedulable.values()), max(witness.unschedulable.values())
    last_call = max(witness.asked.values())
    planning = [run.ended - run.began for run in witness.plans]
    return Burst(
        creating_seconds=creating,
        last_unschedulable_to_last_call_seconds=last_call - last,
        first_unschedulable_to_first_call_seconds=min(witness.asked.values()) - first,
        first_unschedulable_to_last_call_seconds=last_call - first,
        last_claim_seconds=max(witness.wished.values()) - last,
        reaction_p50_seconds=percentile(reactions, 0.5),
        reaction_p99_seconds=percentile(reactions, 0.99),
        machines=len(claims),
        of_them_cold=sum(claim.spec.wakes == 0 for claim in claims.values()),
        lower_bound=lower_bound(requests),
        unplaced_pods=len(requests) - len(asked_for_pod),
        usd_per_hour=sum(claim.status.price_usd_per_hour or 0.0 for claim in claims.values()),
        plans=len(planning),
        planning_seconds=sum(planning),
        longest_plan_seconds=max(planning),
    )


def summary_burst(rounds: Sequence[Burst]) -> dict[str, float]:
    """The median of the rounds."""
    return {
        each.name: round(statistics.median(getattr(burst, each.name) for burst in rounds), 3) for each in fields(Burst)
    }


def lower_bound(requests: Iterable[dict[str, str]]) -> int:
    """No fewer machines could hold as much, however it is cut."""
    wanted: Counter[str] = Counter({"pods": 0})
    for asks in requests:
        wanted["pods"] += 1
        for name, amount in asks.items():
            wanted[name] += resource_amount(name, amount)
    offered = node_allocatable("aws", catalog_named(ClusterOptions().catalog).instance_type(INSTANCE_TYPE))
    return max(math.ceil(amount / offered[name]) for name, amount in wanted.items())


def distinct_requests(pods: int) -> list[dict[str, str]]:
    """No two alike: a tenth to two fifths of a node's CPU, and 2 to 6 GiB to each."""
    chance = random.Random(4)
    return [
        {"cpu": f"{chance.randrange(500, 2000)}m", "memory": f"{chance.randrange(1 << 30, 6 << 30)}"}
        for _ in range(pods)
    ]


BURSTS: dict[str, Callable[[int], list[dict[str, str]]]] = {
    "identical": lambda pods: [TENTH_OF_NODE] * pods,
    "distinct": distinct_requests,
}


# The whole


@contextmanager
def opened(store: str) -> Iterator[Storage]:
    if store == "memory":
        yield open_memory()
        return
    with tempfile.TemporaryDirectory() as directory:
        yield open_sqlite(Path(directory) / "state.db")


async def measure(store: str, rounds: int, standby: int) -> dict[str, Any]:
    alone: list[list[Alone]] = []
    bursts: dict[str, list[Burst]] = {name: [] for name in BURSTS}
    for number in range(rounds):
        with opened(store) as storage:
            async with warm_cluster(storage, standby) as cluster:
                _say(f"{store} round {number + 1}: {standby} machines stand by after {cluster.fill_seconds:.0f} s")
                alone.append(await pods_alone(cluster, ALONE_PODS))
                _say(json.dumps(summary_alone(alone[-1:])))
        for name, make in BURSTS.items():
            with opened(store) as storage:
                async with warm_cluster(storage, standby) as cluster:
                    bursts[name].append(await pod_burst(cluster, make(BURST_PODS)))
                    _say(f"{store} {name}: {json.dumps(summary_burst(bursts[name][-1:]))}")
    return {
        "alone": summary_alone(alone),
        **{f"burst_{name}": {"pods": BURST_PODS} | summary_burst(found) for name, found in bursts.items()},
    }


def machine_facts() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", action="append", choices=("sqlite", "memory"))
    parser.add_argument("--standby", type=int, default=300)
    chosen = parser.parse_args(arguments)
    configure(sys.stderr, clock=SystemClock(), level="WARNING")
    report: dict[str, Any] = {
        "rounds": chosen.rounds,
        "standby_machines": chosen.standby,
        "pool_size": POOL_SIZE,
        "gathered_for_ms": {"waiting pods": 0, "news of machines": pools.GATHER_SECONDS * 1000},
    }
    for store in chosen.store or ("sqlite", "memory"):
        report[store] = asyncio.run(measure(store, chosen.rounds, chosen.standby))
    print(json.dumps(report | {"machine": machine_facts()}, indent=2))


if __name__ == "__main__":
    main()
