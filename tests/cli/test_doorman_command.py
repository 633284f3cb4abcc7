"""`stratos doorman` as it is run: a process of its own, in front of a cluster of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.service import SERVICE
from stratos.base.errors import Invalid
from stratos.cli.doorman import run_doorman
from stratos.kube.client import Client
from stratos.wiring.clock import HurriedLoop
from stratos.wiring.kept import kept_cluster

PATIENCE_SECONDS = 40.0  # machines that run tests are shared, and slow at times


async def started(kubeconfig: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stratos.cli", "doorman", "--kubeconfig", str(kubeconfig)),
        *("--listen", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "KUBECONFIG": "/nonexistent"},
    )


async def told(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(pattern, line.decode()):
            return found
    raise AssertionError(f"it ended without saying {pattern!r}")


async def add_sleeping_service(client: Client) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    metadata = {"name": "web", "namespace": "default"}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    await client.create(DEPLOYMENT, {"metadata": metadata, "spec": spec})
    wishes = {"doorman.stratos.sh/host": "web.test", "doorman.stratos.sh/hold-timeout": "2s"}
    service = {"selector": labels, "ports": [{"port": 80}]}
    await client.create(SERVICE, {"metadata": {**metadata, "annotations": wishes}, "spec": service})


def test_the_command_serves_probes_and_metrics_wakes_what_is_asked_for_and_stops_when_told(tmp_path: Path) -> None:
    """What the chart runs, from its first line to its last."""

    async def story() -> None:
        async with kept_cluster(tmp_path, port=0) as kept, aiohttp.ClientSession() as session:
            await add_sleeping_service(kept.cluster.admin)
            process = await started(kept.kubeconfig)
            listens = await told(process, r"doorman listens port=(\d+) metrics_port=(\d+)")
            watched = f"http://127.0.0.1:{listens[2]}"

            async def status(path: str) -> tuple[int, str]:
                async with session.get(watched + path) as answer:
                    return answer.status, await answer.text()

            while True:
                if (await status("/readyz"))[0] == 200:
                    break
                await asyncio.sleep(0.05)
            assert await status("/healthz") == (200, "ok")
            async with session.get(f"http://127.0.0.1:{listens[1]}/", headers={"host": "web.test"}) as answer:
                assert answer.status == 503  # there is no machine for it in this cluster
                assert "waits for a node" in await answer.text()
            deployment = await kept.cluster.admin.get(DEPLOYMENT, "default/web")
            assert deployment.spec.replicas == 1
            assert (
                'stratos_doorman_requests_total{outcome="timed-out",route="default/web"} 1.0'
                in (await status("/metrics"))[1]
            )

            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    with asyncio.Runner(loop_factory=lambda: HurriedLoop(1.0)) as runner:
        runner.run(asyncio.wait_for(story(), PATIENCE_SECONDS))


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("listen", "8000", "'8000' is not an address to listen on"),
        ("metrics_bind_address", ":http", "':http' is not an address to listen on"),
        ("graceful_shutdown_timeout", "soon", "'soon' is not a duration"),
    ],
)
def test_bad_options_are_told_of_before_anything_runs(option: str, text: str, said: str) -> None:
    """A typing error in a chart is found in the first line of the log."""
    good = {"listen": ":8000", "metrics_bind_address": ":8080", "graceful_shutdown_timeout": "25s"}
    with pytest.raises(Invalid, match=said) as error:
        run_doorman(None, max_held=1, max_held_bytes=1, json_logs=False, **(good | {option: text}))
    assert error.value.hint
