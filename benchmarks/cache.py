"""How long a cache takes to hold all pods of a large cluster, how much memory it needs, and how soon it hears of more.

    python benchmarks/cache.py [--pods 10000]

Prints JSON. The embedded server runs in a process of its own and is reached over loopback; pods are about 5 KB each as
the server sends them. Memory is what the client's process grew by, measured in a fresh process for each way of listing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stratos.apis.pod import POD
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
from stratos.kube.cache import Cache
from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.in_process import InProcessTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.wiring.clock import SystemClock

TOKEN = "benchmark"
REACTIONS = 200
IN_PROCESS_READS = 2000


def _pod(number: int) -> dict[str, Any]:
    """A pod as a ReplicaSet makes it and a scheduler binds it: fifty replicas of each of two hundred apps."""
    app = f"app-{number % 200}"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{app}-6d4cf56db6", "uid": f"uid-{app}"}
    return {
        "metadata": {
            "name": f"{app}-6d4cf56db6-{number:05d}",
            "generateName": f"{app}-6d4cf56db6-",
            "namespace": f"team-{number % 20}",
            "labels": {"app": app, "pod-template-hash": "6d4cf56db6", "team": f"team-{number % 20}"},
            "annotations": {"prometheus.io/scrape": "true", "checksum/config": f"{number % 200:064d}"},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "nodeName": f"node-{number % 300}",
            "containers": [
                {
                    "name": "main",
                    "image": f"registry.example.com/team/{app}:v1.2.3",
                    "env": [{"name": f"SETTING_{n}", "value": "value-" + "y" * 30} for n in range(10)],
                    "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
                    "ports": [{"containerPort": 8080}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
                }
            ],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        },
    }


def _running(number: int) -> dict[str, Any]:
    """What a kubelet says of a pod that serves."""
    since = f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    container = {"name": "main", "ready": True, "restartCount": 0, "image": "i", "imageID": f"sha256:{number:064d}"}
    return {
        "phase": "Running",
        "podIP": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "startTime": since,
        "conditions": [{"type": type_, "status": "True", "lastTransitionTime": since} for type_ in conditions],
        "containerStatuses": [{**container, "state": {"running": {"startedAt": since}}}],
    }


def _embedded_server() -> ApiServer:
    observed, ids = ObservedObjects(), SeededIds(random.Random(1))
    authorizer = RbacAuthorizer(observed)
    return ApiServer(
        storage=open_memory(),
        clock=SystemClock(),
        ids=ids,
        authenticator=RequestAuthenticator(tokens=StaticTokens({TOKEN: User("bench", groups=(SYSTEM_MASTERS,))})),
        authorizer=authorizer,
        admission=build_admission(observed, authorizer, ids),
        observed=observed,
    )


async def _serve(pods: int, ready: multiprocessing.Queue[tuple[int, int]]) -> None:
    server = _embedded_server()
    await server.start()
    client = Client(InProcessTransport(server.app, token=TOKEN))
    for team in range(20):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{team}"}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await client.request_json("POST", "/api/v1/namespaces", body=namespace)
        await client.request_json("POST", f"/api/v1/namespaces/team-{team}/serviceaccounts", body=account)
    for number in range(pods):
        pod = await client.create(POD, _pod(number), field_manager="kube-controller-manager")
        status = {"status": _running(number)}
        await client.patch(POD, pod.metadata.key, status, subresource="status", field_manager="kubelet")
    page = await client.transport.request("GET", POD.path(), query={"limit": "100"})
    async with serving(server.app, host="127.0.0.1", port=0, tls=None) as port:
        ready.put((port, len(page.body) // min(pods, 100)))
        await asyncio.Event().wait()


def _run_server(pods: int, ready: multiprocessing.Queue[tuple[int, int]]) -> None:
    asyncio.run(_serve(pods, ready))


async def _sync(port: int, pods: int, *, streaming: bool) -> dict[str, float]:
    transport = AiohttpTransport(ClusterAccess(server=f"http://127.0.0.1:{port}", token=TOKEN), clock=SystemClock())
    client = Client(transport)
    await client.request_json("GET", "/version")  # connections and code are warm; only the pods are measured
    cache = Cache(client, POD, rng=random.Random(1), indexes={"node": lambda pod: [pod.spec.node_name]})
    cache._can_stream_lists = streaming
    gc.collect()
    memory_before, cpu_before, started = _resident_bytes(), time.process_time(), time.monotonic()
    following = asyncio.create_task(cache.run())
    await cache.wait_synced()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu_before
    if len(cache) != pods:
        sys.exit(f"the cache holds {len(cache)} pods instead of {pods}")
    gc.collect()
    result = {
        "sync_seconds": round(seconds, 2),
        "sync_cpu_seconds": round(cpu, 2),
        "memory_mb": round((_resident_bytes() - memory_before) / 1e6, 1),
        "peak_memory_mb": round((_peak_bytes() - memory_before) / 1e6, 1),
    }
    if streaming:
        result |= await _reactions(client, cache)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await transport.close()
    return result


async def _reactions(client: Client, cache: Cache[Any]) -> dict[str, float]:
    """From just before a create is sent until the cache's subscriber hears of the pod."""
    heard: asyncio.Queue[float] = asyncio.Queue()
    cache.subscribe(lambda event: heard.put_nowait(time.monotonic()) if "reaction" in event.key else None)
    delays = []
    for number in range(REACTIONS):
        body = _pod(number)
        body["metadata"]["name"] = f"reaction-{number}"
        started = time.monotonic()
        await client.create(POD, body)
        delays.append((await heard.get()) - started)
        await asyncio.sleep(0.005)
    delays.sort()
    return {
        "reaction_p50_ms": round(delays[len(delays) // 2] * 1000, 2),
        "reaction_p99_ms": round(delays[len(delays) * 99 // 100] * 1000, 2),
    }


async def _in_process_overhead() -> float:
    """What a request costs on top of the application itself, in microseconds."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b"{}"})

    transport = InProcessTransport(app, token=TOKEN)
    started = time.perf_counter()
    for _ in range(IN_PROCESS_READS):
        await transport.request("GET", "/api/v1/pods", query={"limit": "1"})
    reads = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(IN_PROCESS_READS):
        await transport.request("POST", "/api/v1/pods", body=b"{}")
    return round((reads + time.perf_counter() - started) / IN_PROCESS_READS / 2 * 1e6, 1)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024


def _measure(port: int, pods: int, streaming: bool, results: multiprocessing.Queue[dict[str, float]]) -> None:
    results.put(asyncio.run(_sync(port, pods, streaming=streaming)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=10_000)
    pods = parser.parse_args(arguments).pods
    spawn = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[tuple[int, int]] = spawn.Queue()
    server = spawn.Process(target=_run_server, args=(pods, ready), daemon=True)
    server.start()
    port, pod_bytes = ready.get()
    report: dict[str, Any] = {"pods": pods, "pod_bytes": pod_bytes}
    for name, streaming in (("paged_list", False), ("streaming_list", True)):
        results: multiprocessing.Queue[dict[str, float]] = spawn.Queue()
        client = spawn.Process(target=_measure, args=(port, pods, streaming, results))
        client.start()
        report[name] = results.get()
        client.join()
    server.terminate()
    server.join()
    report["in_process_request_overhead_us"] = asyncio.run(_in_process_overhead())
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
