"""How fast the embedded API server is with everything on: TLS off, RBAC, admission, validation and managed fields on.

    python benchmarks/apiserver.py [--seconds 3]

Prints JSON: reads, durable writes, and durable writes with 50 watchers, of ConfigMaps of 5 KB over loopback. Server and
clients are processes of their own, as they would be; on two cores they share them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httptools

from stratos.apiserver.admission.chain import build_admission
from stratos.apiserver.auth.authentication import RequestAuthenticator
from stratos.apiserver.auth.contract import User
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.tokens import StaticTokens
from stratos.apiserver.http.serving import serving
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.sqlite import open_sqlite
from stratos.base.ids import SeededIds

OBJECTS = 64
CONNECTIONS = 16
WATCHERS = 50
TOKEN = "benchmark"
ROOT = "/api/v1/namespaces/default/configmaps"
USER = "bench"


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def _rights() -> list[dict[str, object]]:
    """A right by RBAC, so that authorisation has something to decide."""
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
        },
    ]


async def _serve(directory: Path, port: multiprocessing.Queue[int]) -> None:
    observed, ids = ObservedObjects(), SeededIds(random.SystemRandom())
    authorizer = RbacAuthorizer(observed)
    server = ApiServer(
        storage=open_sqlite(directory / "state.db"),
        clock=_Clock(),
        ids=ids,
        authenticator=RequestAuthenticator(tokens=StaticTokens({TOKEN: User(USER)})),
        authorizer=authorizer,
        admission=build_admission(observed, authorizer, ids),
        observed=observed,
    )
    await server.start(_rights())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(server.app, host="127.0.0.1", port=0, tls=None) as chosen:
        port.put(chosen)
        await stop.wait()
        await server.stop()


def _run_server(directory: Path, port: multiprocessing.Queue[int]) -> None:
    asyncio.run(_serve(directory, port))


class Connection:
    """A bare keep-alive client: what it costs should not be mistaken for the server's cost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = _Answer()
        while not answer.complete:
            data = await self._reader.read(1 << 18)
            if not data:
                raise ConnectionError("the server hung up")
            answer.parser.feed_data(data)
        return answer.parser.get_status_code(), b"".join(answer.chunks)

    async def watch(self, path: str) -> None:
        """Read a watch until cancelled, and count nothing: its bytes alone are the load."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        while await self._reader.read(1 << 18):
            pass


class _Answer:
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.chunks: list[bytes] = []
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


async def _connect(port: int) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))


def _object(number: int, generation: int) -> bytes:
    """About 5 KB, like a pod with its managed fields."""
    data = {f"key-{line}": f"{generation} " + "x" * 90 for line in range(46)}
    metadata = {"name": f"object-{number}", "labels": {"app": "bench"}}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).encode()


async def _rate(port: int, seconds: float, *, write: bool) -> float:
    """Requests per second over some connections, each with one request under way."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    done = 0

    async def work(worker: int) -> None:
        nonlocal done
        connection, turn = await _connect(port), 0
        while loop.time() < end:
            turn += 1
            number = worker * (OBJECTS // CONNECTIONS) + turn % (OBJECTS // CONNECTIONS)
            path = f"{ROOT}/object-{number}"
            code, body = await (
                connection.call("PUT", path, _object(number, turn)) if write else connection.call("GET", path)
            )
            if code != 200:
                raise RuntimeError(f"{code}: {body.decode()[:300]}")
            done += 1

    started = loop.time()
    await asyncio.gather(*(work(worker) for worker in range(CONNECTIONS)))
    return done / (loop.time() - started)


def _watch_from_afar(port: int, ready: multiprocessing.Queue[int]) -> None:
    async def watch() -> None:
        connections = [await _connect(port) for _ in range(WATCHERS)]
        watches = [asyncio.create_task(one.watch(f"{ROOT}?watch=true")) for one in connections]
        ready.put(len(watches))
        await asyncio.gather(*watches)

    asyncio.run(watch())


async def _measure(port: int, seconds: float) -> dict[str, float]:
    connection = await _connect(port)
    for number in range(OBJECTS):
        code, body = await connection.call("POST", ROOT, _object(number, 0))
        if code != 201:
            raise RuntimeError(f"{code}: {body.decode()[:300]}")
    reads = await _rate(port, seconds, write=False)
    writes = await _rate(port, seconds, write=True)
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    watchers = multiprocessing.Process(target=_watch_from_afar, args=(port, ready), daemon=True)
    watchers.start()
    await asyncio.to_thread(ready.get)
    await asyncio.sleep(0.5)
    watched = await _rate(port, seconds, write=True)
    watchers.terminate()
    return {
        "reads_per_second": round(reads),
        "durable_writes_per_second": round(writes),
        "durable_writes_per_second_with_50_watchers": round(watched),
        "object_bytes": len(_object(0, 1)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each of the three measurements takes")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        port: multiprocessing.Queue[int] = multiprocessing.Queue()
        server = multiprocessing.Process(target=_run_server, args=(Path(directory), port))
        server.start()
        try:
            print(json.dumps({"apiserver": asyncio.run(_measure(port.get(timeout=30), seconds))}, indent=2))
        finally:
            server.terminate()
            server.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
