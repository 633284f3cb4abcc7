"""What a controller process needs to look after 5,000 machines with 20,000 pods, and how soon it reacts among them.

    python benchmarks/scale.py [--nodes 5000] [--pods 20000]

Prints JSON. The embedded server runs in a process of its own, with a memory store, and is reached over loopback. The
controllers' process holds all that Stratos runs (its caches too), and a cloud that knows the machines and answers at
once; its growth in memory counts from when its code is loaded. Nodes send no heartbeats: what they would cost is the
server's, and the decoding of a few hundred small objects a second.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import math
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from stratos.apis import labels
from stratos.apis.crds import custom_resource_definitions
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.apiserver.admission.chain import build_admission
from stratos.apiserver.auth.authentication import RequestAuthenticator
from stratos.apiserver.auth.contract import SYSTEM_MASTERS, User
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.tokens import StaticTokens
from stratos.apiserver.http.serving import serving
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.memory import open_memory
from stratos.base.ids import SeededIds
from stratos.catalog.catalog import load_catalog
from stratos.controllers.pools import controller as pools
from stratos.kube.client import Client, PatchType
from stratos.kube.controller import Manager
from stratos.kube.http import AiohttpTransport
from stratos.kube.in_process import InProcessTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.kube.transport import NOTHING, Response
from stratos.planning.pools.members import PoolPlan
from stratos.planning.pools.scale_up import Compile
from stratos.planning.scheduling.requirements import requirements_of
from stratos.providers.contract import CapacityType, Machine, MachineState
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.providers.simulated.timings import Duration
from stratos.snapshot.pool import PoolSnapshot
from stratos.wiring.clock import SystemClock
from stratos.wiring.controllers import ControllerSettings, add_controllers

TOKEN = "benchmark"
REGION = "us-east-1"
INSTANCE_TYPE = "m5.2xlarge"
POOL_SIZE = 1000
STANDBY = 10  # of each pool; the rest serves
CREATORS = 32
SETTLED_SECONDS = 5.0  # without a word from the controllers
IDLE_SECONDS = 35.0  # pools look at themselves every 30
FULL_NODE = {"cpu": "5", "memory": "4Gi"}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def pool_of(node: int) -> str:
    return f"pool-{node // POOL_SIZE}"


def stands_by(node: int) -> bool:
    return node % POOL_SIZE < STANDBY


def zone_of(node: int) -> str:
    return f"{REGION}{'abc'[node % 3]}"


# The server's process


async def _fill(client: Client, nodes: int, pods: int) -> None:
    await client.create(SIM_NODE_CLASS, {"metadata": {"name": "standard"}, "spec": {"instanceType": INSTANCE_TYPE}})
    for number in range(0, nodes, POOL_SIZE):
        name = pool_of(number)
        reference = {"kind": SIM_NODE_CLASS.kind, "name": "standard"}
        template = {"nodeClassRef": reference, "labels": {labels.POOL: name}, "networkReadinessStrategy": "None"}
        spec = {"poolSize": POOL_SIZE, "minStandby": 0, "template": template}
        await client.create(NODE_POOL, {"metadata": {"name": name}, "spec": spec})
    await _in_parallel(_add_node(client, number) for number in range(nodes))
    await _in_parallel(_add_pod(client, number, nodes) for number in range(pods))


async def _in_parallel(work: Any) -> None:
    async def some() -> None:
        for each in work:
            await each

    await asyncio.gather(*(some() for _ in range(CREATORS)))


async def _add_node(client: Client, number: int) -> None:
    """A machine with all that Stratos has written about it, and its node."""
    name, pool, sleeps, since = f"node-{number}", pool_of(number), stands_by(number), SINCE.isoformat()
    state = "standby" if sleeps else "running"
    claim = {
        "metadata": {"name": name, "labels": {labels.POOL: pool}, "finalizers": [labels.CLAIM_FINALIZER]},
        "spec": {
            "pool": pool,
            "nodeClassRef": {"kind": SIM_NODE_CLASS.kind, "name": "standard"},
            "wanted": state,
            "decision": {"reason": "Replenish", "message": "0 of 10 machines stand by", "at": since},
        },
    }
    said = (
        ("Launched", "Registered", "WarmedUp") if sleeps else ("Launched", "Registered", "WarmedUp", "Woken", "Ready")
    )
    status = {
        "conditions": [
            {"type": each, "status": "True", "reason": "Done", "lastTransitionTime": since} for each in said
        ],
        "state": state,
        "stateSince": since,
        "instanceID": f"i-{number}",
        "providerID": f"sim:///{zone_of(number)}/i-{number}",
        "nodeName": name,
        "instanceType": INSTANCE_TYPE,
        "zone": zone_of(number),
        "priceUSDPerHour": 0.384,
        "launchedAt": since,
        "warmupCompletedAt": since,
        **({"stoppedAt": since} if sleeps else {"lastStartedAt": since, "readyAt": since}),
    }
    await client.create(NODE_CLAIM, claim)
    await client.patch(NODE_CLAIM, name, {"status": status}, subresource="status")
    own = {labels.HOSTNAME: name, labels.ZONE: zone_of(number), labels.INSTANCE_TYPE: INSTANCE_TYPE, labels.POOL: pool}
    own |= {labels.ARCH: "amd64", labels.OS: "linux", labels.REGION: REGION}
    taints = [{"key": labels.STANDBY_TAINT, "effect": "NoExecute"}] if sleeps else []
    spec = {"providerID": status["providerID"], "unschedulable": sleeps, "taints": taints}
    await client.create(NODE, {"metadata": {"name": name, "labels": own}, "spec": spec})
    amounts = {"cpu": "7910m", "memory": "31Gi", "pods": "58", "ephemeral-storage": "90Gi"}
    kinds = (("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"), ("Ready", "True"))
    conditions = [{"type": kind, "status": value, "reason": "KubeletSays", **_times(since)} for kind, value in kinds]
    images = [{"names": [f"registry.example.com/team/app-{n}:v1"], "sizeBytes": 10**8} for n in range(20)]
    reported = {"allocatable": amounts, "capacity": amounts, "conditions": conditions, "images": images}
    await client.patch(NODE, name, {"status": reported}, subresource="status")


def _times(since: str) -> dict[str, str]:
    return {"lastHeartbeatTime": since, "lastTransitionTime": since}


async def _add_pod(client: Client, number: int, nodes: int) -> None:
    """A pod as a ReplicaSet makes it, on one of the nodes that serve."""
    app = f"app-{number % 500}"
    node = next(each % nodes for each in itertools.count(number) if not stands_by(each % nodes))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{app}-6d4cf56db6", "uid": f"uid-{app}"}
    container = {
        "name": "main",
        "image": f"registry.example.com/team/{app}:v1.2.3",
        "env": [{"name": f"SETTING_{n}", "value": "value-" + "y" * 30} for n in range(10)],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
    }
    metadata = {
        "name": f"{app}-6d4cf56db6-{number:05d}",
        "namespace": "default",
        "labels": {"app": app, "pod-template-hash": "6d4cf56db6"},
        "ownerReferences": [{**owner, "controller": True}],
    }
    pod = await client.create(
        POD, {"metadata": metadata, "spec": {"nodeName": f"node-{node}", "containers": [container]}}
    )
    since = SINCE.isoformat()
    conditions = [{"type": each, "status": "True", "lastTransitionTime": since} for each in ("Ready", "PodScheduled")]
    status = {"phase": "Running", "podIP": "10.0.0.1", "startTime": since, "conditions": conditions}
    await client.patch(POD, pod.metadata.key, {"status": status}, subresource="status")


async def _serve(nodes: int, pods: int, ready: multiprocessing.Queue[int]) -> None:
    observed, ids = ObservedObjects(), SeededIds(random.Random(1))
    authorizer = RbacAuthorizer(observed)
    server = ApiServer(
        storage=open_memory(),
        clock=SystemClock(),
        ids=ids,
        authenticator=RequestAuthenticator(tokens=StaticTokens({TOKEN: User("bench", groups=(SYSTEM_MASTERS,))})),
        authorizer=authorizer,
        admission=build_admission(observed, authorizer, ids),
        observed=observed,
    )
    await server.start(custom_resource_definitions())
    await _fill(Client(InProcessTransport(server.app, token=TOKEN)), nodes, pods)
    gc.freeze()
    async with serving(server.app, host="127.0.0.1", port=0, tls=None) as port:
        ready.put(port)
        await asyncio.Event().wait()


def _run_server(nodes: int, pods: int, ready: multiprocessing.Queue[int]) -> None:
    asyncio.run(_serve(nodes, pods, ready))


# The controllers' process


class CountedTransport(AiohttpTransport):
    """Knows when it was last asked for anything but a watch."""

    def __init__(self, access: ClusterAccess) -> None:
        super().__init__(access, clock=SystemClock())
        self.requests = 0
        self.last_request = 0.0
        self._asked = asyncio.Event()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        self.requests += 1
        self.last_request = time.monotonic()
        self._asked.set()
        return await super().request(method, path, query=query, headers=headers, body=body)

    async def wait_quiet(self, seconds: float) -> None:
        while True:
            self._asked.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._asked.wait()
            except TimeoutError:
                return


class KnownMachines(SimulatedCloud):
    """Has the machines of the cluster, lets starts last for ever, and tells when it is asked for one."""

    def __init__(self, nodes: int) -> None:
        super().__init__(
            load_catalog("aws", REGION),
            clock=SystemClock(),
            rng=random.Random(1),
            options=CloudOptions(api_latency=Duration.exactly(0.0), calls_per_second=1e6),
        )
        self.started: asyncio.Queue[float] = asyncio.Queue()
        self._cluster_machines = {f"i-{number}": _machine(number) for number in range(nodes)}

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        return {id_: self._cluster_machines[id_] for id_ in machine_ids if id_ in self._cluster_machines}

    async def start(self, machine_id: str, token: str) -> None:
        self.started.put_nowait(time.monotonic())
        self._cluster_machines[machine_id] = replace(self._cluster_machines[machine_id], state=MachineState.PENDING)

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        """Nobody reads them."""


def _machine(number: int) -> Machine:
    return Machine(
        id=f"i-{number}",
        provider_id=f"sim:///{zone_of(number)}/i-{number}",
        state=MachineState.STOPPED if stands_by(number) else MachineState.RUNNING,
        instance_type=INSTANCE_TYPE,
        zone=zone_of(number),
        capacity_type=CapacityType.ON_DEMAND,
        image="",
        tags={},
        launched_at=SINCE,
        price_usd_per_hour=0.384,
    )


async def _look_after(port: int, nodes: int, pods: int) -> dict[str, Any]:
    transport = CountedTransport(ClusterAccess(server=f"http://127.0.0.1:{port}", token=TOKEN))
    client = Client(transport)
    await client.request_json("GET", "/version")  # connections and code are warm
    gc.collect()
    memory_before, cpu_before, began = _resident_bytes(), time.process_time(), time.monotonic()
    manager, cloud = Manager(client, rng=random.Random(1)), KnownMachines(nodes)
    add_controllers(
        manager,
        cloud,
        ControllerSettings(cluster_name="my-cluster"),
        clock=SystemClock(),
        ids=SeededIds(random.Random(2)),
        rng=random.Random(3),
        registry=CollectorRegistry(),
    )
    running = asyncio.create_task(manager.run())
    await manager.wait_synced()
    synced, synced_cpu = time.monotonic() - began, time.process_time() - cpu_before
    if (found := len(manager.cache(POD))) != pods:
        sys.exit(f"the cache holds {found} pods instead of {pods}")
    memory_synced = _resident_bytes() - memory_before
    await transport.wait_quiet(SETTLED_SECONDS)
    settled = transport.last_request - began
    gc.freeze()
    requests, cpu = transport.requests, time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    idle = {
        "idle_cpu_percent": round((time.process_time() - cpu) / IDLE_SECONDS * 100, 2),
        "idle_requests_per_minute": round((transport.requests - requests) / IDLE_SECONDS * 60, 1),
    }
    reactions = await _reactions(client, cloud, nodes)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await transport.close()
    return {
        "sync_seconds": round(synced, 2),
        "sync_cpu_seconds": round(synced_cpu, 2),
        "settled_seconds": round(settled, 2),
        "memory_synced_mb": round(memory_synced / 1e6, 1),
        "memory_settled_mb": round((_resident_bytes() - memory_before) / 1e6, 1),
        "peak_memory_of_process_mb": round(_peak_bytes() / 1e6, 1),
        **idle,
        **reactions,
    }


async def _reactions(client: Client, cloud: KnownMachines, nodes: int) -> dict[str, float]:
    """From just before a pod's status is sent (it fits nowhere) until the cloud is asked for a start."""
    delays, plans = [], []
    plan_pool = pools.plan_pool

    def timed(look: PoolSnapshot, compile_pod: Compile = requirements_of) -> PoolPlan:
        started = time.monotonic()
        plan = plan_pool(look, compile_pod)
        plans.append(time.monotonic() - started)
        return plan

    pools.plan_pool = timed
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node fits"}
    for number in range(STANDBY * math.ceil(nodes / POOL_SIZE)):
        pool = pool_of(number // STANDBY * POOL_SIZE)
        container = {"name": "main", "image": "busybox", "resources": {"requests": FULL_NODE}}
        spec = {"nodeSelector": {labels.POOL: pool}, "containers": [container]}
        metadata = {"name": f"waiting-{number}", "namespace": "default"}
        pod = await client.create(POD, {"metadata": metadata, "spec": spec})
        status = {"status": {"conditions": [condition]}}
        began = time.monotonic()
        await client.patch(POD, pod.metadata.key, status, type=PatchType.STRATEGIC, subresource="status")
        delays.append(await cloud.started.get() - began)
        await asyncio.sleep(0.3)
    pools.plan_pool = plan_pool
    delays.sort()
    plans.sort()
    return {
        "reaction_p50_ms": round(delays[len(delays) // 2] * 1000, 2),
        "reaction_p99_ms": round(delays[len(delays) * 99 // 100] * 1000, 2),
        "plan_p50_ms": round(plans[len(plans) // 2] * 1000, 2),
        "plan_max_ms": round(plans[-1] * 1000, 2),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=20_000)
    chosen = parser.parse_args(arguments)
    spawn = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[int] = spawn.Queue()
    server = spawn.Process(target=_run_server, args=(chosen.nodes, chosen.pods, ready), daemon=True)
    server.start()
    report = asyncio.run(_look_after(ready.get(), chosen.nodes, chosen.pods))
    server.terminate()
    server.join()
    print(json.dumps({"nodes": chosen.nodes, "pods": chosen.pods} | report, indent=2))


if __name__ == "__main__":
    main()
