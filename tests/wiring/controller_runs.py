"""`stratos controller` as a process of its own, and what the API server saw of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography.x509 import load_pem_x509_certificate

from stratos.apiserver.http.app import App
from stratos.base.certificates import identity_of

PATIENCE_SECONDS = 40.0  # machines that run tests are shared, and slow at times
_LOOK_SECONDS = 0.05

Scope = dict[str, Any]


@dataclass(slots=True)
class WriteRecorder:
    """An ASGI application in front of the API server: who, by client certificate, asked for which change."""

    app: App
    writes: list[tuple[str, str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
            user = identity_of(load_pem_x509_certificate(chain[0].encode()))[0] if chain else ""
            self.writes.append((user, scope["method"], scope["path"]))
        await self.app(scope, receive, send)

    def as_app(self) -> App:
        return cast(App, self)

    def by(self, user: str) -> list[str]:
        return [f"{method} {path}" for who, method, path in self.writes if who == user]


@dataclass(slots=True)
class Run:
    """One run of the command."""

    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait_line(self, pattern: str) -> None:
        await wait_until(lambda: any(re.search(pattern, line) for line in self.log), f"{pattern!r} in its log", self)

    async def wait_ended(self) -> int:
        async with asyncio.timeout(PATIENCE_SECONDS):
            code = await self.process.wait()
            if self._reading is not None:
                await self._reading
            return code


@asynccontextmanager
async def controller(
    kubeconfig: Path, *options: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Run]:
    """The command, by default with a simulated cloud, killed at the end of the block if it still runs then."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("STRATOS", "KUBE", "AWS"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "stratos.cli", "controller", "--kubeconfig", str(kubeconfig), "--cloud-provider", "fake"),
        *("--metrics-bind-address", "0", "--health-probe-bind-address", "0", *options),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**usual, **(environment or {})},
    )
    run = Run(process)

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            run.log.append(line.decode())

    run._reading = asyncio.create_task(read())
    try:
        yield run
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await run._reading


async def wait_until(true: Callable[[], bool], what: str, *runs: Run) -> None:
    async def asked() -> bool:
        return true()

    await wait_until_async(asked, what, *runs)


async def wait_until_async(true: Callable[[], Awaitable[bool]], what: str, *runs: Run) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if await true():
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        said = "".join(line for run in runs for line in run.log[-40:])
        raise AssertionError(f"waited {PATIENCE_SECONDS:g} s for {what}\n{said}") from None
