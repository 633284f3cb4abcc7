"""A whole cluster behind a TLS socket, in a hurry, and the stock kubectl to use it with.

It is the cluster that `stratos up` runs. It lives in a thread with an event loop of its own, because kubectl is another
process and its user waits for it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stratos.wiring.clock import HurriedLoop
from stratos.wiring.kept import kept_cluster

KUBECTL = shutil.which("kubectl")
SPEED = 50.0
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """A printed table: each row by the names of its columns."""
        header, *rows = self.lines
        starts = [name.start() for name in re.finditer(r"\S+(?: \S+)*", header)]
        spans = list(zip(starts, [*starts[1:], None], strict=True))
        return [{header[start:end].strip(): row[start:end].strip() for start, end in spans} for row in rows]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl as one user, in one namespace."""

    config: Path
    home: Path
    namespace: str = "default"
    timeout_seconds: float = 30
    editor: str = ""  # what `kubectl edit` opens

    def __call__(self, command: str, *more: str, stdin: str | None = None, code: int | None = 0) -> Outcome:
        """Run it. ``command`` is split at spaces, ``more`` is not. It must exit with ``code``, unless that is None."""
        done = subprocess.run(
            self._arguments(command, *more),
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=self.timeout_seconds,
            env=self._environment,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        if code is not None:
            assert outcome.code == code, f"kubectl {command} exited with {outcome.code}\n{outcome.out}\n{outcome.err}"
        return outcome

    def apply(self, *objects: dict[str, Any], options: str = "", code: int | None = 0) -> Outcome:
        return self(f"apply -f - {options}", stdin=yaml.safe_dump_all(objects), code=code)

    @contextmanager
    def started(self, command: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        """kubectl in the background, its output in a pipe, ended with the block."""
        process = subprocess.Popen(
            self._arguments(command, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def edited_with(self, editor: str) -> Kubectl:
        return replace(self, editor=editor)

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)

    def _arguments(self, command: str, *more: str) -> list[str]:
        assert KUBECTL is not None
        return [KUBECTL, f"--kubeconfig={self.config}", f"--namespace={self.namespace}", *command.split(), *more]

    @property
    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        return {"HOME": home, "TMPDIR": home, "PATH": os.environ["PATH"], "KUBE_EDITOR": self.editor}


@contextmanager
def served_cluster(directory: Path) -> Iterator[Kubectl]:
    """The administrator's kubectl, for the length of the block."""
    opened = threading.Event()
    ended: list[BaseException] = []
    loop = HurriedLoop(SPEED)
    closing = asyncio.Event()

    def serve() -> None:
        try:
            loop.run_until_complete(_serve(directory, opened, closing))
        except BaseException as error:
            ended.append(error)
        finally:
            opened.set()
            loop.close()

    thread = threading.Thread(target=serve, name="cluster")
    thread.start()
    try:
        assert opened.wait(_START_SECONDS), "the cluster did not come up"
        if not ended:
            yield Kubectl(directory / "kubeconfig", directory)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(closing.set)
        thread.join()
    if ended:
        raise ended[0]


async def _serve(directory: Path, opened: threading.Event, closing: asyncio.Event) -> None:
    async with kept_cluster(directory, port=0, speed=SPEED):
        opened.set()
        await closing.wait()
