"""``stratos up``: a whole cluster in this process, and a view of it while it runs."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.base.clock import Clock
from stratos.base.errors import Invalid
from stratos.cli.applying import apply_manifests
from stratos.cli.manifests import Manifest, read_manifests
from stratos.cli.view import ClusterView
from stratos.kube.controller import Manager
from stratos.telemetry.logs import configure, get_logger
from stratos.wiring.clock import HurriedLoop
from stratos.wiring.cluster import Cluster
from stratos.wiring.kept import KeptCluster, kept_cluster

log = get_logger(__name__)

_FRAMES_PER_SECOND = 4


def run_up(cloud: str, speed: float, directory: Path, port: int, files: Sequence[Path]) -> None:
    if cloud != "sim":
        raise Invalid(f"there is no cloud {cloud!r}", looked_at=("known clouds: sim",), hint="leave out --cloud")
    manifests = read_manifests(files)
    with asyncio.Runner(loop_factory=lambda: HurriedLoop(speed)) as runner:
        runner.run(_up(speed, directory, port, manifests))


async def _up(speed: float, directory: Path, port: int, manifests: Sequence[Manifest]) -> None:
    stopping = _stop_on_signals()
    console = Console()
    async with kept_cluster(directory, port=port, speed=speed) as kept:
        configure(sys.stderr, clock=kept.clock, level="WARNING" if console.is_terminal else "INFO")
        _greet(console, kept, speed)
        for applied in await apply_manifests(kept.cluster.admin, manifests):
            console.print(f"{applied.manifest.title} applied", highlight=False)
            for note in applied.manifest.notes:
                console.print(f"  note: {note}", highlight=False)
        async with _observing(kept.cluster) as view:
            if console.is_terminal:
                await _show(console, view, kept.clock, speed, stopping)
            else:
                view.tell_changes()
                await stopping.wait()
        console.print("stopping …", highlight=False)
    console.print(f"stopped; `stratos up --data-dir {directory}` goes on from here", highlight=False)


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _greet(console: Console, kept: KeptCluster, speed: float) -> None:
    hurry = f", {speed:g} times as fast as real time" if speed != 1 else ""
    console.print(f"Kubernetes API at {kept.url}, with a simulated cloud{hurry}", highlight=False)
    console.print(f"export KUBECONFIG={kept.kubeconfig}", highlight=False, soft_wrap=True)


@asynccontextmanager
async def _observing(cluster: Cluster) -> AsyncIterator[ClusterView]:
    """A view that follows the cluster for the length of the block."""
    manager = Manager(cluster.admin, rng=random.Random())
    view = ClusterView(manager.cache(NODE_POOL), manager.cache(NODE_CLAIM), manager.cache(POD))
    following = asyncio.create_task(manager.run(), name="view")
    try:
        await manager.wait_synced()
        yield view
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _show(console: Console, view: ClusterView, clock: Clock, speed: float, stopping: asyncio.Event) -> None:
    """Redraw until told to stop; real seconds, however hurried the cluster is."""
    with Live(view.render(clock.now()), console=console, auto_refresh=False) as live:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(speed / _FRAMES_PER_SECOND):
                    await stopping.wait()
            except TimeoutError:
                live.update(view.render(clock.now()), refresh=True)
