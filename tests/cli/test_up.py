"""`stratos up` as a user runs it: a process of its own, real sockets, a folder that outlives it."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.cli.connect import connected
from stratos.cli.pool_facts import pool_facts
from stratos.kube.cache import Cache
from stratos.kube.client import Client

T = TypeVar("T")

POOL = Path(__file__).parents[2] / "examples" / "ci-runners" / "pool.yaml"
SPEED = 500
SETTLING_SECONDS = 0.5  # of real time: minutes of the cluster's
PATIENCE_SECONDS = 40.0  # machines that run tests are shared, and slow at times


class Up:
    """One run of the command."""

    def __init__(self, directory: Path, *more: str, port: int = 0) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "stratos.cli", "up", "--data-dir", str(directory), "--port", str(port)]
        environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        self.process = subprocess.Popen(
            [*command, "--speed", str(SPEED), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self._told: list[str] = []

    def wait_line(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._told.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without saying {pattern!r}:\n{self.told}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Exit status, and how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self._told.extend(self.process.stdout)  # communicate() would lose what was read ahead of the last line
        return self.process.wait(PATIENCE_SECONDS), time.monotonic() - started

    @property
    def told(self) -> str:
        """What it has said up to the last line waited for, or all of it once it has stopped."""
        return "".join(self._told)

    def machines(self) -> dict[str, str]:
        """The cloud's name of each machine, by claim."""

        async def read(client: Client) -> dict[str, str]:
            claims = [claim async for claim in client.list_all(NODE_CLAIM)]
            return {claim.metadata.name: claim.status.instance_id for claim in claims}

        return self._ask(read)

    def wait_ready_pool(self) -> None:
        """And then for as long as several rounds of each loop take, so that what they launch in error is there."""

        async def wait(client: Client) -> None:
            pools = Cache(client, NODE_POOL, rng=random.Random(1))
            following = asyncio.create_task(pools.run())
            async with asyncio.timeout(PATIENCE_SECONDS):
                await pools.wait_until(lambda seen: [pool_facts(pool, ()).ready for pool in seen] == ["yes"])
            following.cancel()
            await asyncio.sleep(SETTLING_SECONDS)

        self._ask(wait)

    def _ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        async def ask() -> T:
            async with connected(self.directory / "kubeconfig") as client:
                return await question(client)

        return asyncio.run(ask())


@pytest.fixture
def run_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    runs: list[Up] = []

    def run(*more: str, port: int = 0) -> Up:
        runs.append(Up(tmp_path / "data", *more, port=port))
        return runs[-1]

    yield run
    for up in runs:
        if up.process.poll() is None:
            up.process.kill()
        up.process.communicate()


def test_a_cluster_goes_on_after_a_stop_and_after_a_kill(run_up: Callable[..., Up]) -> None:
    """Machines cost money and time to prepare: no restart, however rude, may launch them a second time."""
    first = run_up("-f", str(POOL))
    first.wait_line("export KUBECONFIG=.*/data/kubeconfig")
    first.wait_line("nodepool/ci-runners applied")
    first.wait_ready_pool()
    prepared = first.machines()
    assert len(prepared) == 5 and all(prepared.values())
    status, seconds = first.stop()
    assert status == 0
    assert seconds < 5

    second = run_up()
    second.wait_line("export KUBECONFIG=")
    second.wait_ready_pool()
    assert second.machines() == prepared
    assert second.stop(signal.SIGKILL)[0] == -signal.SIGKILL

    third = run_up()
    third.wait_line("export KUBECONFIG=")
    third.wait_ready_pool()
    assert third.machines() == prepared
    assert third.stop(signal.SIGTERM)[0] == 0
    assert "machine wanted" in first.told
    for later in (second, third):
        assert "machine wanted" not in later.told  # what was asked for before is no news


def test_a_kill_while_machines_are_asked_for_leaves_none_without_a_claim(run_up: Callable[..., Up]) -> None:
    """The cloud remembers what it was asked for; a machine that the cluster forgot would be paid for in vain."""
    first = run_up("-f", str(POOL))
    first.wait_line("machine in warmup")
    first.stop(signal.SIGKILL)

    second = run_up()
    second.wait_line("export KUBECONFIG=")
    second.wait_ready_pool()
    machines = second.machines()
    assert len(machines) == 5
    assert len(set(machines.values())) == 5
    second.stop()


def test_what_is_taken_already_is_named(run_up: Callable[..., Up]) -> None:
    """Two clusters in one folder would write over each other, and a port can be listened on once."""
    first = run_up()
    port = int(first.wait_line(r"https://127\.0\.0\.1:(\d+)")[1])

    same_folder = run_up()
    same_port = Up(first.directory.parent / "other", port=port)
    same_folder.wait_line(r"error: .*/data is in use by another stratos up, process \d+")
    assert same_folder.process.wait(PATIENCE_SECONDS) == 1
    same_port.wait_line(f"error: cannot listen on 127.0.0.1 port {port}")
    assert same_port.process.wait(PATIENCE_SECONDS) == 1
    same_port.process.communicate()
    assert first.stop()[0] == 0


def test_a_manifest_that_is_refused_is_named_and_the_cluster_goes_on(run_up: Callable[..., Up], tmp_path: Path) -> None:
    """Whoever wrote it mends it and applies it again; the others are there already."""
    manifests = tmp_path / "pools.yaml"
    pool = POOL.read_text()
    manifests.write_text(pool.replace("minStandby: 5", "minStandby: 50") + "---\n" + pool.replace("20", "2"))
    up = run_up("-f", str(manifests))

    up.wait_line(r"error: .*pools\.yaml, document 2: nodepool/ci-runners was refused")
    up.wait_line("minStandby must not be above poolSize")
    assert up.stop()[0] == 0


def test_a_manifest_that_cannot_be_read_stops_it_before_anything_is_started(
    run_up: Callable[..., Up], tmp_path: Path
) -> None:
    """A typing error is found before a folder is made and machines are launched."""
    manifest = tmp_path / "pool.yaml"
    manifest.write_text("kind: NodePool\nmetadata: {name: a}\n")
    up = run_up("-f", str(manifest))

    up.wait_line(r"error: .*pool\.yaml: apiVersion is missing")
    assert up.process.wait(PATIENCE_SECONDS) == 1
    assert not up.directory.exists()
