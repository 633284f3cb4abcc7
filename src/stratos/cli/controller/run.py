"""Runs the controllers until told to stop."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from stratos.apis.nodepool import StandbyNode
from stratos.base.duration import format_duration, parse_duration_seconds
from stratos.base.errors import Invalid, Unavailable
from stratos.base.ids import SeededIds
from stratos.cli.connect import choose_access
from stratos.cli.stopping import stop_on_signals
from stratos.controllers import disruption, provisioning
from stratos.controllers.disruption import DisruptionSettings
from stratos.controllers.provisioning import ProvisioningSettings
from stratos.controllers.webhook.keeper import KeeperSettings
from stratos.kube.http import AiohttpTransport
from stratos.kube.kubeconfig import ClusterAccess
from stratos.kube.lease import LeaseTimes
from stratos.planning.provisioning.limits import ClusterLimits
from stratos.telemetry.logs import configure
from stratos.wiring.clock import SystemClock
from stratos.wiring.clouds import CloudChoice, open_cloud
from stratos.wiring.cluster_access import ClusterWords, check_cluster_name
from stratos.wiring.controllers import ControllerSettings
from stratos.wiring.probes import OFF
from stratos.wiring.process import ControllerProcess, Election, ProcessOptions, Webhook

_LOG_LEVELS = ("debug", "info", "warning", "error")
_LOG_FORMATS = {"text": False, "console": False, "json": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionOptions:
    """As typed: durations are text."""

    namespace: str
    identity: str
    lease_duration: str
    renew_deadline: str
    retry_period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """As typed: durations are text."""

    kubeconfig: Path | None
    cluster: ClusterWords
    cloud_provider: str
    region: str
    interruption_queue: str
    standby_node: str
    sync_period: str
    graceful_shutdown_timeout: str
    metrics_bind_address: str
    health_probe_bind_address: str
    webhook_bind_address: str
    webhook_config_prefix: str
    election: ElectionOptions | None
    qps: float
    burst: float
    cluster_cost_limit: float | None
    cluster_gpu_limit: int | None
    log_level: str
    log_format: str
    log_file: Path | None


def run_controller(options: RunOptions) -> None:
    access = choose_access(options.kubeconfig)
    process = process_options(options, access)
    grace_seconds = _seconds("--graceful-shutdown-timeout", options.graceful_shutdown_timeout)
    level, format_ = options.log_level.lower(), options.log_format.lower()
    _one_of("--log-level", level, _LOG_LEVELS)
    _one_of("--log-format", format_, tuple(_LOG_FORMATS))
    try:
        configure(sys.stderr, clock=SystemClock(), json_lines=_LOG_FORMATS[format_], level=level, file=options.log_file)
    except OSError as error:
        raise Invalid(f"--log-file: {options.log_file} cannot be written: {error.strerror}") from error
    cloud = CloudChoice(options.cloud_provider, options.region, options.cluster, options.interruption_queue)
    asyncio.run(_run(access, cloud, process, grace_seconds))


def process_options(options: RunOptions, access: ClusterAccess) -> ProcessOptions:
    """The options read. Raises `Invalid`, naming the one that makes no sense."""
    check_cluster_name(options.cluster.name, "--cluster-name", "--cluster-name production")
    return ProcessOptions(
        settings=ControllerSettings(
            cluster_name=options.cluster.name,
            provider_qps=options.qps,
            provider_burst=round(options.burst),
            survey_seconds=_seconds("--sync-period", options.sync_period),
            standby_node=_standby_node(options.standby_node),
            provisioning=ProvisioningSettings(
                limits=ClusterLimits(options.cluster_cost_limit, options.cluster_gpu_limit),
                planner=provisioning.plan_aside,
            ),
            disruption=DisruptionSettings(planner=disruption.plan_aside),
        ),
        metrics_address=options.metrics_bind_address,
        probe_address=options.health_probe_bind_address,
        election=_election(options.election, access) if options.election else None,
        webhook=_webhook(options, access),
    )


def _standby_node(text: str) -> StandbyNode:
    for known in get_args(StandbyNode):
        if text == known:
            return cast(StandbyNode, known)
    raise Invalid(f"--standby-node: {text!r} is unknown", hint="choose one of Keep, Remove")


def _webhook(options: RunOptions, access: ClusterAccess) -> Webhook | None:
    if options.webhook_bind_address == OFF:
        return None
    settings = KeeperSettings(namespace=access.namespace, prefix=options.webhook_config_prefix)
    return Webhook(address=options.webhook_bind_address, keeper=settings)


def _election(options: ElectionOptions, access: ClusterAccess) -> Election:
    duration = _seconds("--leader-elect-lease-duration", options.lease_duration)
    deadline = _seconds("--leader-elect-renew-deadline", options.renew_deadline)
    if duration != round(duration) or deadline >= duration:
        raise Invalid(
            f"a lease of {options.lease_duration} that is renewed within {options.renew_deadline} is not safe",
            hint="--leader-elect-lease-duration is in whole seconds, and --leader-elect-renew-deadline well below it",
        )
    return Election(
        namespace=options.namespace or access.namespace,
        identity=options.identity or f"{socket.gethostname()}_{random.SystemRandom().getrandbits(32):08x}",
        times=LeaseTimes(round(duration), deadline, _seconds("--leader-elect-retry-period", options.retry_period)),
    )


def _seconds(option: str, text: str) -> float:
    try:
        seconds = parse_duration_seconds(text)
    except Invalid as error:
        raise Invalid(f"{option}: {error.message}", hint=error.hint) from error
    if seconds <= 0:
        raise Invalid(f"{option}: {text!r} is not above zero")
    return seconds


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Invalid(f"{option}: {value!r} is unknown", hint=f"choose one of {', '.join(known)}")


async def _run(access: ClusterAccess, cloud: CloudChoice, options: ProcessOptions, grace_seconds: float) -> None:
    clock = SystemClock()
    chance = random.SystemRandom()
    stopping = stop_on_signals()
    transport = AiohttpTransport(access, clock=clock)
    try:
        process = ControllerProcess(
            transport,
            lambda client: open_cloud(cloud, client, access, clock=clock, rng=chance),
            options,
            clock=clock,
            ids=SeededIds(chance),
            rng=chance,
        )
        gc.freeze()  # what is there now, stays: looking through it for garbage again and again would only delay pods
        await _run_until(stopping, process.run(), grace_seconds)
    finally:
        await transport.close()


async def _run_until(stopping: asyncio.Event, work: Coroutine[Any, Any, None], grace_seconds: float) -> None:
    """Do the work until told to stop, then let it end in good order, if that is quick."""
    stopped = asyncio.create_task(stopping.wait(), name="stop")
    working = asyncio.create_task(work, name="controllers")
    await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    working.cancel()
    _, late = await asyncio.wait({working}, timeout=grace_seconds)
    if late:
        raise Unavailable(f"did not come to an end within {format_duration(grace_seconds)}: what is under way is left")
    if not working.cancelled():
        working.result()
