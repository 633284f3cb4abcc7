"""``stratos up``: a whole cluster in this process, and a view of it while it runs."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live

from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.pod import POD
from stratos.base.clock import Clock
from stratos.base.errors import Invalid
from stratos.cli.applying import Refused, apply_each
from stratos.cli.manifests import Manifest, read_manifests
from stratos.cli.stopping import stop_on_signals
from stratos.cli.view import ClusterView
from stratos.kube.client import Client
from stratos.kube.controller import Manager
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.telemetry.logs import configure
from stratos.wiring.clock import HurriedLoop
from stratos.wiring.kept import KeptCluster, kept_cluster

_FRAMES_PER_SECOND = 4


def run_up(
    cloud: str,
    catalog: str,
    speed: float,
    directory: Path,
    port: int,
    files: Sequence[Path],
    *,
    cost_limit: float | None = None,
    gpu_limit: int | None = None,
) -> None:
    if cloud != "sim":
        raise Invalid(f"there is no cloud {cloud!r}", looked_at=("known clouds: sim",), hint="leave out --cloud")
    manifests = read_manifests(files)
    with asyncio.Runner(loop_factory=lambda: HurriedLoop(speed)) as runner:
        runner.run(_up(catalog, speed, directory, port, manifests, ClusterLimits(cost_limit, gpu_limit)))


async def _up(
    catalog: str, speed: float, directory: Path, port: int, manifests: Sequence[Manifest], limits: ClusterLimits
) -> None:
    stopping = stop_on_signals()
    console = Console()
    async with kept_cluster(directory, port=port, speed=speed, catalog=catalog, limits=limits) as kept:
        _configure_logs(console, kept.clock)
        gc.freeze()  # what is there now, stays: looking through it for garbage again and again would only delay pods
        _greet(console, kept, speed)
        async with _observing(kept, speed) as view:
            if not console.is_terminal:
                view.tell_changes()
            await _until(stopping, _apply(console, kept.cluster.admin, manifests))
            if console.is_terminal:
                await _show(console, view, kept.clock, speed, stopping)
            else:
                await stopping.wait()
        _say(console, "stopping; Ctrl-C again does not wait for what is under way")
    _say(console, f"stopped; stratos up --data-dir {directory} goes on from here")


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, unless told to stop before it is done."""
    stopped = asyncio.create_task(stopping.wait(), name="stop")
    working = asyncio.create_task(work, name="apply manifests")
    await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, working):
        task.cancel()
    await asyncio.wait({stopped, working})
    if not working.cancelled():
        working.result()


def _configure_logs(console: Console, clock: Clock) -> None:
    """On the terminal of the view, lines go above it, and only those that matter. The view tells the Events' story."""
    if console.is_terminal and sys.stderr.isatty():
        configure(cast(TextIO, FileProxy(console, sys.stderr)), clock=clock, level="WARNING")
    else:
        configure(sys.stderr, clock=clock, events=False)


def _greet(console: Console, kept: KeptCluster, speed: float) -> None:
    _say(console, f"Kubernetes API at {kept.url}, with a simulated cloud")
    if speed != 1:
        _say(console, f"{speed:g} times as fast as real time: the cluster's clock runs ahead of yours")
    _say(console, f"export KUBECONFIG={kept.kubeconfig}")


async def _apply(console: Console, client: Client, manifests: Sequence[Manifest]) -> None:
    """What is refused is told, and the cluster goes on: it can be mended and applied again with kubectl."""
    async for outcome in apply_each(client, manifests):
        if isinstance(outcome, Refused):
            print(outcome.error.explain(), file=sys.stderr, flush=True)
            continue
        _say(console, f"{outcome.manifest.title} applied")
        for note in outcome.manifest.notes:
            _say(console, f"  note: {note}")


def _say(console: Console, text: str) -> None:
    """One line, however long: it may be copied, or read by a program."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@asynccontextmanager
async def _observing(kept: KeptCluster, speed: float) -> AsyncIterator[ClusterView]:
    """A view that follows the cluster for the length of the block."""
    manager = Manager(kept.cluster.admin, rng=random.Random())
    title = kept.url if speed == 1 else f"{kept.url} (×{speed:g})"
    view = ClusterView(title, manager.cache(NODE_POOL), manager.cache(NODE_CLAIM), manager.cache(POD))
    following = asyncio.create_task(manager.run(), name="view")
    try:
        await manager.wait_synced()
        yield view
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _show(console: Console, view: ClusterView, clock: Clock, speed: float, stopping: asyncio.Event) -> None:
    """Redraw until told to stop; real seconds, however hurried the cluster is."""
    with Live(view.at(clock.now()), console=console, auto_refresh=False) as live:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(speed / _FRAMES_PER_SECOND):
                    await stopping.wait()
            except TimeoutError:
                live.update(view.at(clock.now()), refresh=True)
