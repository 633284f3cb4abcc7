"""A cluster on AWS, small and quick: a control plane behind a socket, EC2 on loopback, and `stratos controller`.

The controllers are a process of their own, which knows the cluster by a kubeconfig with the rights that ship, and the
cloud by ``AWS_ENDPOINT_URL``. Everything else is here, and outlives it. Time is real.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.awsnodeclass import AWS_NODE_CLASS
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.node import NODE, Node
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.apis.nodetemplate import NODE_TEMPLATE
from stratos.apis.pod import POD, Pod
from stratos.apiserver.auth.certificates import CertificateStore
from stratos.apiserver.auth.kubeconfig import kubeconfig, write_kubeconfig
from stratos.apiserver.http.app import App
from stratos.apiserver.http.serving import TlsFiles, serving
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import NotFound
from stratos.base.ids import SeededIds
from stratos.kube.client import Client
from stratos.providers.simulated.registry import ImageRegistry
from stratos.providers.simulated.timings import Duration
from stratos.testing.aws import LoopbackAws, aws_on_loopback, xml
from stratos.testing.aws.instances import Instance
from stratos.wiring.api import STRATOS, ApiSecrets
from stratos.wiring.clock import SystemClock
from stratos.wiring.control_plane import ControlPlane, ControlPlaneOptions
from stratos.wiring.webhook import CallerOfOurOwn
from wiring.controller_runs import PATIENCE_SECONDS, Run, controller

CLUSTER = "e2e"
CLASS = "small"
POOL = "ci"
TEMPLATE = "anything"
ON_POOL = {"stratos.sh/pool": POOL}
ON_TEMPLATE = {"stratos.sh/template": TEMPLATE}
_KUBERNETES_VERSION = "1.32"  # as the embedded API says
_LOOK_SECONDS = 0.05
_QUICK_KUBELETS = KubeletOptions(lease_seconds=2.0, network_up=Duration.exactly(0.1), container_start_seconds=0.05)


@dataclass(frozen=True, slots=True)
class AwsWorld:
    aws: LoopbackAws
    plane: ControlPlane
    kubeconfig: Path
    credentials: Path

    @property
    def admin(self) -> Client:
        return self.plane.admin

    def controller(self, *options: str) -> AbstractAsyncContextManager[Run]:
        """`stratos controller`, with what it needs to find this world."""
        return controller(
            self.kubeconfig,
            "--cloud-provider=aws",
            f"--region={self.aws.region}",
            f"--cluster-name={CLUSTER}",
            f"--interruption-queue={self.aws.account.queue_name}",
            "--cluster-cidr=172.20.0.0/16",
            "--sync-period=2s",
            *options,
            environment={
                "AWS_ENDPOINT_URL": self.aws.endpoint_url,
                "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials),
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        )

    def use_access_key(self, key: str) -> None:
        """From now on, for whoever reads the credentials anew."""
        self.credentials.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")

    # --- asking for things ---

    async def add_class(self, **spec: Any) -> None:
        discovery = {"tags": {"stratos.sh/discovery": CLUSTER}}
        usual = {
            "instanceType": "m5.large",
            "subnetSelector": discovery,
            "securityGroupSelector": discovery,
            "iamInstanceProfile": "stratos-node",
        }
        await self.admin.create(AWS_NODE_CLASS, {"metadata": {"name": CLASS}, "spec": usual | spec})

    async def add_pool(self, **spec: Any) -> None:
        template = {"nodeClassRef": {"kind": "AWSNodeClass", "name": CLASS}, "labels": ON_POOL}
        usual = {"poolSize": 4, "minStandby": 2, "template": template, "reconciliationInterval": "2s"}
        await self.admin.create(NODE_POOL, {"metadata": {"name": POOL}, "spec": usual | spec})

    async def add_template(self) -> None:
        spec = {"nodeClassRef": {"kind": "AWSNodeClass", "name": CLASS}}
        await self.admin.create(NODE_TEMPLATE, {"metadata": {"name": TEMPLATE}, "spec": spec})

    async def add_pod(self, name: str, selector: Mapping[str, str] = ON_POOL) -> None:
        """One that fills a machine, runs until it is deleted, and leaves at once."""
        spec = _pod_spec(selector)
        await self.admin.create(POD, {"metadata": {"namespace": "default", "name": name}, "spec": spec})

    async def add_deployment(self, name: str, replicas: int, selector: Mapping[str, str] = ON_POOL) -> None:
        """Of such pods."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": _pod_spec(selector)}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        await self.admin.create(DEPLOYMENT, {"metadata": {"namespace": "default", "name": name}, "spec": spec})

    # --- looking ---

    async def pool(self) -> NodePool:
        return await self.admin.get(NODE_POOL, POOL)

    async def pods(self) -> list[Pod]:
        return [pod async for pod in self.admin.list_all(POD)]

    async def claims(self) -> list[NodeClaim]:
        return [claim async for claim in self.admin.list_all(NODE_CLAIM)]

    async def nodes(self) -> list[Node]:
        return [node async for node in self.admin.list_all(NODE)]

    async def launch_templates(self) -> list[str]:
        found = xml.items(await self.aws.moto.ec2("DescribeLaunchTemplates", {}), "launchTemplates")
        return [xml.text(each, "launchTemplateName") for each in found]

    def machines(self) -> list[Instance]:
        """Those that are not terminated, nor about to be."""
        return self.aws.instances.alive()

    # --- waiting ---

    async def wait(self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await _found(holds):  # noqa: ASYNC110 - it happens in another process
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"waited {seconds:g} s for {what}\n{await self._picture()}") from None

    async def wait_standby(self, count: int) -> None:
        async def holds() -> bool:
            return (await self.pool()).status.standby == count

        await self.wait(holds, f"{count} machines on standby")

    async def wait_all_running(self, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        """All pods run that there are, and there are so many."""

        async def holds() -> bool:
            pods = await self.pods()
            return len(pods) == count and all(pod.status.phase == "Running" for pod in pods)

        await self.wait(holds, f"{count} pods to run", seconds)

    async def delete_class(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns when it is gone: what was made for it in the cloud goes first."""
        await self.admin.delete(AWS_NODE_CLASS, CLASS)

        async def gone() -> bool:
            return not (await self.admin.list(AWS_NODE_CLASS)).items

        await self.wait(gone, "the class to go", seconds)

    async def wait_gone(self, seconds: float = PATIENCE_SECONDS) -> None:
        """No machine, no claim and no node left."""

        async def holds() -> bool:
            return not (self.machines() or await self.claims() or await self.nodes())

        await self.wait(holds, "all machines to go", seconds)

    async def _picture(self) -> str:
        machines = [f"{each.id} {each.offering.capacity_type} {each.state}" for each in self.machines()]
        claims = [
            f"{claim.metadata.name} wanted {claim.spec.wanted}, {claim.status.state}, {claim.status.instance_id}"
            for claim in await self.claims()
        ]
        pods = [f"{pod.metadata.name} {pod.status.phase} {pod.spec.node_name}" for pod in await self.pods()]
        nodes = [
            f"{node.metadata.name} {[taint.key for taint in node.spec.taints or ()]} "
            f"{'cordoned ' if node.spec.unschedulable else ''}{'ready' if is_ready(node) else 'not ready'}"
            for node in await self.nodes()
        ]
        return "\n".join(("machines", *machines, "claims", *claims, "nodes", *nodes, "pods", *pods))


def is_ready(node: Node) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or ())


def _pod_spec(selector: Mapping[str, str]) -> dict[str, Any]:
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1500m"}}}
    return {"containers": [container], "terminationGracePeriodSeconds": 1, "nodeSelector": dict(selector)}


async def _found(holds: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await holds()
    except NotFound:
        return False


@asynccontextmanager
async def aws_world(
    directory: Path, moto_url: str, *, in_front_of_api: Callable[[App], App] = lambda app: app
) -> AsyncIterator[AwsWorld]:
    """``in_front_of_api`` sees only what comes through the socket, and that is the controllers' alone."""
    clock, chance = SystemClock(), random.Random(1)
    certificates = CertificateStore(directory / "pki", clock)
    authority = certificates.authority()
    certificates.serving()
    plane = ControlPlane(
        open_memory(),
        clock=clock,
        ids=SeededIds(chance),
        rng=chance,
        options=ControlPlaneOptions(
            kubelets=_QUICK_KUBELETS, registry=ImageRegistry({"app:1": 10**6}, latency_seconds=0.0)
        ),
        secrets=ApiSecrets(authority.certificate_pem, certificates.service_account_key(), clock),
        webhook_caller=CallerOfOurOwn(),
    )
    tls = TlsFiles(*certificates.paths("apiserver"), client_authority=certificates.paths("ca")[0])
    async with (
        serving(in_front_of_api(plane.api.server.app), host="127.0.0.1", port=0, tls=tls) as port,
        plane.running(),
        aws_on_loopback(
            clock=clock,
            cluster_name=CLUSTER,
            kubernetes_version=_KUBERNETES_VERSION,
            software=plane.kubelets.run_host,
            moto_url=moto_url,
        ) as aws,
    ):
        aws.faults.timings.boot = 1.0  # nodes tell of themselves in whole seconds, and nobody boots within the same one
        path = directory / "kubeconfig"
        user = certificates.client(STRATOS, [])
        write_kubeconfig(path, kubeconfig(f"https://127.0.0.1:{port}", authority.certificate_pem, user))
        world = AwsWorld(aws, plane, path, directory / "credentials")
        world.use_access_key("loopback")
        yield world
