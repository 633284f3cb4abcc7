"""``stratos doorman``: the proxy that holds requests for what sleeps, and wakes it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from stratos.base.duration import parse_duration_seconds
from stratos.cli.connect import connected
from stratos.cli.stopping import stop_on_signals
from stratos.doorman import DoormanSettings, RoomLimits
from stratos.telemetry.logs import configure, get_logger
from stratos.wiring.clock import SystemClock
from stratos.wiring.doorman import DoormanOptions, running_doorman

log = get_logger(__name__)


def run_doorman(
    kubeconfig: Path | None,
    *,
    listen: str,
    metrics_bind_address: str,
    max_held: int,
    max_held_bytes: int,
    graceful_shutdown_timeout: str,
    json_logs: bool,
) -> None:
    options = DoormanOptions(
        listen=listen,
        metrics_bind_address=metrics_bind_address,
        grace_seconds=parse_duration_seconds(graceful_shutdown_timeout),
        doorman=DoormanSettings(room=RoomLimits(requests=max_held, body_bytes=max_held_bytes)),
    )
    options.check()
    configure(sys.stderr, clock=SystemClock(), json_lines=json_logs)
    asyncio.run(_doorman(kubeconfig, options))


async def _doorman(kubeconfig: Path | None, options: DoormanOptions) -> None:
    stopping = stop_on_signals()
    async with connected(kubeconfig) as client, running_doorman(client, options) as running:
        log.info("doorman listens", port=running.port, metrics_port=running.metrics_port or "none")
        stopped = asyncio.create_task(stopping.wait(), name="stop")
        await asyncio.wait({stopped, running.failed}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running.failed.done():
            running.failed.result()
        log.info("doorman stops: requests under way may finish", seconds=options.grace_seconds)
