"""``stratos agent``: what runs beside the kubelet on every host."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from stratos.agent.notices import InstanceMetadata, watch_notices
from stratos.base.duration import parse_duration_seconds
from stratos.base.errors import Invalid
from stratos.cli.connect import choose_access
from stratos.cli.stopping import stop_on_signals
from stratos.kube.client import Client
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.telemetry.logs import configure
from stratos.wiring.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """As typed: durations are text."""

    node_name: str
    imds: str
    poll_interval: str
    kubeconfig: Path | None
    json_logs: bool


def run_agent(options: AgentOptions) -> None:
    if not options.node_name:
        raise Invalid("no node was named", hint="--node-name, or NODE_NAME from the pod's spec.nodeName")
    if not options.imds.startswith(("http://", "https://")):
        raise Invalid(f"--imds: {options.imds!r} is no address", hint="such as http://169.254.169.254")
    poll_seconds = parse_duration_seconds(options.poll_interval)
    if poll_seconds <= 0:
        raise Invalid(f"--poll-interval: {options.poll_interval!r} is not above zero")
    configure(sys.stderr, clock=SystemClock(), json_lines=options.json_logs, level="info")
    asyncio.run(_run(options, choose_access(options.kubeconfig), poll_seconds))


async def _run(options: AgentOptions, access: ClusterAccess, poll_seconds: float) -> None:
    stopping = stop_on_signals()
    transport = AiohttpTransport(access, clock=SystemClock())
    try:
        async with aiohttp.ClientSession() as session:
            metadata = InstanceMetadata(session, options.imds)
            watching = asyncio.create_task(
                watch_notices(Client(transport), options.node_name, metadata.notice, poll_seconds=poll_seconds)
            )
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if watching.done():
                watching.result()
            watching.cancel()
    finally:
        await transport.close()
