"""The doorman: does it lose or repeat any of 10,000 held requests, and what does it add to one that need not wait?

    python benchmarks/doorman.py [--held 10000] [--routes 100] [--rate 1000] [--seconds 20]

Prints JSON. Four processes share the machine's cores: a cluster as `stratos up` runs it, the doorman as it is run by
`stratos doorman`, all backends, and the clients. In place of machines and kubelets the benchmark itself writes the
endpoint of each Service, a quarter of a minute after its replica was asked for; pods listen on ports of the backends'
process. Each held request carries a number: clients count answers, backends count what they were asked. The warm path
is measured at a fixed rate, from the moment a request was due, however late it was sent: once straight to a backend and
once through the doorman.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httptools

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.service import ENDPOINT_SLICE, SERVICE
from stratos.doorman import Backend
from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import load_kubeconfig
from stratos.wiring.clock import SystemClock
from stratos.wiring.doorman import DoormanOptions, running_doorman
from stratos.wiring.kept import kept_cluster

WAKING_SECONDS = 15.0
HOLD_TIMEOUT = "120s"
CONNECTIONS = 50  # of the warm path
BODY = b"x" * 1024


# Backends


class BackendProtocol(asyncio.Protocol):
    """Answers each request with a kilobyte, and counts the numbers of those that have one."""

    def __init__(self, asked: Counter[str]) -> None:
        self._asked = asked
        self._parser: Any = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-number":
            self._asked[value.decode()] += 1

    def on_message_complete(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY))


def run_backends(routes: int, pipe: Connection) -> None:
    """One port a route. Sends the ports, and the counts when asked for them."""
    _allow_many_files()
    asked: Counter[str] = Counter()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: BackendProtocol(asked), "127.0.0.1", 0, backlog=4096)
            for _ in range(routes)
        ]
        pipe.send([server.sockets[0].getsockname()[1] for server in servers])
        await loop.run_in_executor(None, pipe.recv)
        pipe.send(dict(asked))

    asyncio.run(serve())


# The doorman


def run_doorman(kubeconfig: Path, ports: Sequence[int], pipe: Connection) -> None:
    """Sends its port, and its largest memory when told to stop."""

    def resolve(backend: Backend) -> tuple[str, int]:
        route = int(backend.pod.partition("/web-")[2].partition("-")[0])
        return "127.0.0.1", ports[route]

    async def serve() -> None:
        transport = AiohttpTransport(load_kubeconfig([kubeconfig]), clock=SystemClock())
        options = DoormanOptions(listen="127.0.0.1:0", metrics_bind_address="0", grace_seconds=1.0)
        async with running_doorman(Client(transport), options, resolve=resolve) as running:
            pipe.send(running.port)
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send({"memory_mib": usage.ru_maxrss // 1024, "cpu_seconds": usage.ru_utime + usage.ru_stime})
        await transport.close()

    asyncio.run(serve())


# Clients


class Caller(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self) -> None:
        self.surplus = 0  # answers that nobody asked for
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():
            self.surplus += 1
        else:
            self._answer.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    def ask(self, host: str, number: int | None = None) -> asyncio.Future[int]:
        """The status, or 0 where the connection was lost."""
        self._answer = asyncio.get_running_loop().create_future()
        numbered = f"x-number: {number}\r\n" if number is not None else ""
        self._transport.write(f"GET / HTTP/1.1\r\nhost: {host}\r\n{numbered}\r\n".encode())
        return self._answer

    def close(self) -> None:
        self._transport.close()


async def callers(port: int, count: int) -> list[Caller]:
    loop = asyncio.get_running_loop()
    made: list[Caller] = []
    while len(made) < count:
        batch = min(200, count - len(made))
        pairs = await asyncio.gather(*(loop.create_connection(Caller, "127.0.0.1", port) for _ in range(batch)))
        made += [caller for _, caller in pairs]
    return made


def ask_held(port: int, requests: int, routes: int) -> dict[str, Any]:
    """All requests at once, each on a connection of its own; then wait a little for answers that are one too many."""
    _allow_many_files()

    async def ask() -> dict[str, Any]:
        everybody = await callers(port, requests)
        began = time.monotonic()
        waited: list[float] = []

        async def one(number: int) -> int:
            status = await everybody[number].ask(f"web-{number % routes}.test", number)
            waited.append(time.monotonic() - began)
            return status

        statuses = Counter(await asyncio.gather(*map(one, range(requests))))
        await asyncio.sleep(2.0)
        return {
            "statuses": {str(status): count for status, count in sorted(statuses.items())},
            "answered_twice": sum(caller.surplus for caller in everybody),
            "waited_seconds": {"first": round(min(waited), 2), "last": round(max(waited), 2)},
        }

    return asyncio.run(ask())


def ask_steadily(port: int, rate: int, seconds: float) -> dict[str, Any]:
    """At a fixed rate, whatever the answers do; a request waits for a free connection if it must."""

    async def ask() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        idle: asyncio.Queue[Caller] = asyncio.Queue()
        for caller in await callers(port, CONNECTIONS):
            idle.put_nowait(caller)
        late: list[float] = []
        failed = 0

        async def one(due: float) -> None:
            nonlocal failed
            caller = await idle.get()
            if await caller.ask("web-0.test") != 200:
                failed += 1
            late.append(loop.time() - due)
            idle.put_nowait(caller)

        under_way = set()
        began = loop.time()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            task = asyncio.ensure_future(one(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        cuts = statistics.quantiles(late, n=1000)
        return {
            "requests": len(late),
            "failed": failed,
            "p50_ms": round(cuts[499] * 1000, 3),
            "p99_ms": round(cuts[989] * 1000, 3),
            "p999_ms": round(cuts[998] * 1000, 3),
        }

    return asyncio.run(ask())


# The cluster


async def add_sleeping_service(client: Client, name: str) -> None:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    metadata = {"name": name, "namespace": "default"}
    await client.create(DEPLOYMENT, {"metadata": metadata, "spec": spec})
    wishes = {"doorman.stratos.sh/host": f"{name}.test", "doorman.stratos.sh/hold-timeout": HOLD_TIMEOUT}
    await client.create(
        SERVICE, {"metadata": {**metadata, "annotations": wishes}, "spec": {"ports": [{"name": "http", "port": 80}]}}
    )


async def bring_up_what_is_woken(client: Client, routes: int) -> None:
    """What a warm pool, a kubelet and the endpoint controller would do."""
    began: dict[int, float] = {}
    up: set[int] = set()
    while len(up) < routes:
        now = time.monotonic()
        async for deployment in client.list_all(DEPLOYMENT):
            if deployment.spec.replicas:
                began.setdefault(int(deployment.metadata.name.removeprefix("web-")), now)
        for number in [number for number, since in began.items() if number not in up and now - since >= WAKING_SECONDS]:
            up.add(number)
            await client.create(ENDPOINT_SLICE, endpoint_of(f"web-{number}"))
        await asyncio.sleep(0.25)


def endpoint_of(name: str) -> dict[str, Any]:
    pod = {"kind": "Pod", "namespace": "default", "name": f"{name}-0"}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": pod}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(1, spawn) as clients:
        async with kept_cluster(Path(directory), port=0) as kept:
            for number in range(options.routes):
                await add_sleeping_service(kept.cluster.admin, f"web-{number}")
            backends = Part(spawn, run_backends, options.routes)
            ports = await backends.receive()
            doorman = Part(spawn, run_doorman, kept.kubeconfig, ports)
            port = await doorman.receive()
            waking = asyncio.create_task(bring_up_what_is_woken(kept.cluster.admin, options.routes))
            held = await loop.run_in_executor(clients, ask_held, port, options.held, options.routes)
            await waking
            direct = await loop.run_in_executor(clients, ask_steadily, ports[0], options.rate, options.seconds)
            through = await loop.run_in_executor(clients, ask_steadily, port, options.rate, options.seconds)
            used = await doorman.end()
            asked: Mapping[str, int] = await backends.end()
    held |= {
        "requests": options.held,
        "routes": options.routes,
        "lost": held["statuses"].get("0", 0),
        "asked": len(asked),
        "asked_twice": sum(times > 1 for times in asked.values()),
    }
    added = {name: round(through[name] - direct[name], 3) for name in ("p50_ms", "p99_ms", "p999_ms")}
    warm = {"rate": options.rate, "direct": direct, "through": through, "added": added}
    return {"machine": machine(), "held": held, "warm": warm, "doorman": used}


class Part:
    """A process of its own, that says something when it is ready, and again when it is told to end."""

    def __init__(self, spawn: Any, run: Callable[..., None], *arguments: Any) -> None:
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=run, args=(*arguments, theirs), daemon=True)
        self._process.start()

    async def receive(self) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, self._pipe.recv)

    async def end(self) -> Any:
        self._pipe.send("end")
        last_words = await self.receive()
        await asyncio.get_running_loop().run_in_executor(None, self._process.join)
        return last_words


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
    }


def _allow_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--held", type=int, default=10_000)
    parser.add_argument("--routes", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1000, help="requests a second on the warm path")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    json.dump(asyncio.run(measure(options)), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
