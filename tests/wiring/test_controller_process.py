"""`stratos controller` against a cluster that is there already: a process of its own, real sockets, real signals."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from pathlib import Path

import aiohttp

from stratos.apis.crds import CUSTOM_KINDS, custom_resource_definition
from stratos.apis.lease import LEASE
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD
from stratos.apis.simnodeclass import SIM_NODE_CLASS
from stratos.kube.client import Client
from stratos.wiring.installation.alerts import ALERTS
from stratos.wiring.installation.dashboard import PANELS
from wiring.bare_cluster import bare_cluster
from wiring.controller_runs import controller, wait_until_async

LEASE_KEY = "default/stratos-controller"
SHORT_TERMS = (
    "--leader-elect",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=1500ms",
    "--leader-elect-retry-period=300ms",
)
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def install_kinds(admin: Client) -> None:
    for custom in CUSTOM_KINDS:
        await admin.request_json("POST", CRDS, body=custom_resource_definition(custom))


async def add_class(admin: Client, name: str) -> None:
    spec = {"instanceType": "m5.large", "bootTime": "200ms", "startTime": "100ms"}
    await admin.create(SIM_NODE_CLASS, {"metadata": {"name": name}, "spec": spec})


async def add_pool(admin: Client, name: str, *, standby: int) -> None:
    await add_class(admin, name)
    template = {"nodeClassRef": {"kind": "SimNodeClass", "name": name}, "labels": {"pool": name}}
    spec = {"poolSize": 4, "minStandby": standby, "template": template}
    await admin.create(NODE_POOL, {"metadata": {"name": name}, "spec": spec})


async def holder(admin: Client) -> str:
    leases = {lease.metadata.key: lease async for lease in admin.list_all(LEASE)}
    return leases[LEASE_KEY].spec.holder_identity or "" if LEASE_KEY in leases else ""


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def watched_metrics() -> set[str]:
    """The metrics that alerts and dashboard speak of."""
    expressions = [alert.expression for alert in ALERTS]
    expressions += [expression for panel in PANELS for expression, _ in panel.series]
    names = {name for text in expressions for name in re.findall(r"\bstratos_\w+", text)}
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


def test_a_pod_gets_a_machine_on_a_cluster_that_was_there_already(tmp_path: Path) -> None:
    """The same controllers as in the embedded cluster, over real sockets, with the fake cloud to try them on."""

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster:
            admin = cluster.admin
            await install_kinds(admin)
            await add_class(admin, "quick")
            spec = {"nodeClassRef": {"kind": "SimNodeClass", "name": "quick"}, "isDefault": True}
            await admin.create(NODE_TEMPLATE, {"metadata": {"name": "default"}, "spec": spec})
            async with controller(cluster.kubeconfig("only")) as run:
                container = {"name": "main", "image": "nginx:1", "command": ["sleep", "3600"]}
                pod = {"metadata": {"namespace": "default", "name": "job"}, "spec": {"containers": [container]}}
                await admin.create(POD, pod)

                async def bound() -> bool:
                    return bool((await admin.get(POD, "default/job")).spec.node_name)

                await wait_until_async(bound, "a node for the pod", run)
                run.signal(signal.SIGTERM)
                assert await run.wait_ended() == 0

    asyncio.run(story())


def test_a_running_controller_is_ready_and_shows_every_metric_that_alerts_and_dashboard_name(tmp_path: Path) -> None:
    """Kubernetes asks the one before it sends traffic, Prometheus scrapes the other."""

    async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        async with session.get(url) as answer:
            return answer.status, await answer.text()

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster, aiohttp.ClientSession() as session:
            await install_kinds(cluster.admin)
            shown_at, asked_at, webhook = (free_address() for _ in range(3))
            addresses = (
                f"--metrics-bind-address={shown_at}",
                f"--health-probe-bind-address={asked_at}",
                f"--webhook-bind-address={webhook}",
            )
            async with controller(cluster.kubeconfig("only"), *addresses) as run:

                async def ready() -> bool:
                    try:
                        return (await get(session, f"http://{asked_at}/readyz"))[0] == 200
                    except aiohttp.ClientError:
                        return False

                await wait_until_async(ready, "readiness", run)
                assert await get(session, f"http://{asked_at}/healthz") == (200, "ok")
                _, metrics = await get(session, f"http://{shown_at}/metrics")
                assert "stratos_leading 1.0" in metrics
                assert "process_resident_memory_bytes" in metrics
                shown = {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}
                assert watched_metrics() - shown == set()

    asyncio.run(story())


def test_a_cluster_without_stratos_is_told_how_to_install_it(tmp_path: Path) -> None:
    """Without its kinds every loop would wait for ever, and say nothing."""

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster, controller(cluster.kubeconfig("only")) as run:
            assert await run.wait_ended() == 1
            assert "knows no NodePool" in "".join(run.log)
            assert "stratos install" in "".join(run.log)

    asyncio.run(story())


def test_a_leader_that_was_paused_changes_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """By then another one leads. What the first was about to do, it did not forget: it is not let through.

    What it had handed to the socket in the very moment of the pause leaves it when it goes on, before it knows.
    """

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster:
            admin = cluster.admin
            await install_kinds(admin)
            async with (
                controller(cluster.kubeconfig("first"), *SHORT_TERMS, "--leader-elect-identity=first") as first,
                controller(cluster.kubeconfig("second"), *SHORT_TERMS, "--leader-elect-identity=second") as second,
            ):

                async def somebody_leads() -> bool:
                    return bool(await holder(admin))

                await wait_until_async(somebody_leads, "a leader", first, second)
                old_leader = await holder(admin)
                old, new = (first, second) if old_leader == "first" else (second, first)
                await old.wait_line("controllers start")
                await add_pool(admin, "before", standby=2)

                async def asked_for() -> bool:
                    return len((await admin.list(NODE_CLAIM)).items) == 2

                await wait_until_async(asked_for, "claims of the first pool", old)
                old.signal(signal.SIGSTOP)  # in the midst of launching them

                async def taken_over() -> bool:
                    return await holder(admin) not in ("", old_leader)

                await wait_until_async(taken_over, "another leader", new)
                await new.wait_line("controllers start")
                await add_pool(admin, "after", standby=1)
                old.signal(signal.SIGCONT)
                await old.wait_line("no longer leading")
                written = len(cluster.recorder.by(old_leader))

                async def launched() -> bool:
                    return all(claim.status.instance_id for claim in (await admin.list(NODE_CLAIM)).items)

                await wait_until_async(launched, "the new leader's work", new)
                later = cluster.recorder.by(old_leader)[written:]
                assert [write for write in later if "/leases" not in write] == []
                new_leader = await holder(admin)
                assert new_leader != old_leader
                new.signal(signal.SIGTERM)
                assert await new.wait_ended() == 0
                assert await holder(admin) != new_leader  # given back: nobody waits until it has run out

    asyncio.run(story())
