"""A cluster of one API server and simulated hosts, without anybody who schedules: tests bind pods by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stratos.agent.simulated_kubelet.fleet import KubeletFleet
from stratos.agent.simulated_kubelet.kubelet import KubeletOptions
from stratos.apis.node import NODE
from stratos.apis.pod import POD
from stratos.apiserver.admission.contract import AdmissionRequest
from stratos.apiserver.auth.contract import SYSTEM_MASTERS, Attributes, Credentials, Decision, User
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.memory import open_memory
from stratos.base.errors import NotFound, Unavailable
from stratos.base.ids import SeededIds
from stratos.catalog.catalog import load_catalog
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.kube.transport import NOTHING, Response
from stratos.providers.contract import Bootstrap, LaunchRequest, MachineState, Subnet
from stratos.providers.simulated.cloud import CloudOptions, SimulatedCloud
from stratos.providers.simulated.registry import ImageRegistry
from stratos.testing.virtual_time import VirtualClock


class _Anybody:
    """Everyone is welcome, and may do everything."""

    def authenticate(self, credentials: Credentials) -> User | None:
        return User("test", groups=(SYSTEM_MASTERS,))

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(True)

    def rules_for(self, user: User, namespace: str) -> Sequence[Mapping[str, Any]]:
        return ()


class _Anything:
    async def mutate(self, request: AdmissionRequest) -> None:
        pass

    async def validate(self, request: AdmissionRequest) -> None:
        pass


class _Cable(InProcessTransport):
    """The hosts' way to the API server; it can be cut."""

    cut = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        if self.cut:
            raise Unavailable("nobody answers")
        return await super().request(method, path, query=query, headers=headers, body=body)


@dataclass
class World:
    client: Client
    cloud: SimulatedCloud
    registry: ImageRegistry
    cable: _Cable

    def break_server(self) -> None:
        self.cable.cut = True

    def mend_server(self) -> None:
        self.cable.cut = False

    async def launch(self, token: str = "one", instance_type: str = "m5.large", **bootstrap: Any) -> str:
        subnet = self.cloud.account.subnets[0]
        machine = await self.cloud.launch(
            LaunchRequest(
                token=token,
                instance_types=(instance_type,),
                subnets=(Subnet(subnet.id, subnet.zone),),
                image=self.cloud.account.images[0].id,
                bootstrap=Bootstrap(cluster_name="test", node_name=token, **bootstrap),
            )
        )
        return machine.id

    async def node(self, name: str = "one") -> dict[str, Any]:
        return await self.client.get_raw(NODE, name)

    async def pod(self, name: str) -> dict[str, Any]:
        return await self.client.get_raw(POD, f"default/{name}")

    async def wait_ready(self, name: str = "one") -> None:
        await self.wait_condition(name, "Ready", "True")

    async def wait_condition(self, node: str, type_: str, status: str) -> None:
        async def as_wanted() -> bool:
            return bool(condition(await self.node(node), type_).get("status") == status)

        await wait_until(as_wanted)

    async def wait_phase(self, name: str, phase: str) -> dict[str, Any]:
        async def as_wanted() -> bool:
            return bool((await self.pod(name))["status"].get("phase") == phase)

        await wait_until(as_wanted)
        return await self.pod(name)

    async def wait_waiting(self, name: str, reason: str) -> dict[str, Any]:
        """Until the pod's first container waits for this reason."""

        async def as_wanted() -> bool:
            statuses = (await self.pod(name))["status"].get("containerStatuses") or [{"state": {}}]
            return bool(statuses[0]["state"].get("waiting", {}).get("reason") == reason)

        await wait_until(as_wanted)
        return await self.pod(name)

    async def wait_pod_gone(self, name: str) -> None:
        async def gone() -> bool:
            try:
                await self.pod(name)
            except NotFound:
                return True
            return False

        await wait_until(gone)

    async def wait_state(self, machine_id: str, state: MachineState) -> None:
        async def as_wanted() -> bool:
            return self.cloud.machine(machine_id).state is state

        await wait_until(as_wanted)

    async def restart(self, machine_id: str, token: str) -> None:
        """Stop the machine of node one and start it again, until it is ready."""
        await self.cloud.stop(machine_id)
        await self.wait_state(machine_id, MachineState.STOPPED)
        await self.cloud.start(machine_id, token)
        await self.wait_condition("one", "Ready", "False")
        await self.wait_ready("one")

    async def create_pod(
        self,
        name: str,
        *,
        node: str = "one",
        annotations: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        image: str = "app:1",
        cpu: str = "100m",
        **spec: Any,
    ) -> None:
        container: dict[str, Any] = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
        if command:
            container["command"] = list(command)
        await self.client.create(
            POD,
            {
                "metadata": {"name": name, "namespace": "default", "annotations": dict(annotations or {})},
                "spec": {"nodeName": node, "containers": [container], **spec},
            },
        )


@asynccontextmanager
async def a_world(
    *, cloud: CloudOptions | None = None, kubelet: KubeletOptions | None = None, seed: int = 1
) -> AsyncGenerator[World]:
    clock, rng = VirtualClock(), random.Random(seed)
    server = ApiServer(
        storage=open_memory(),
        clock=clock,
        ids=SeededIds(rng),
        observed=ObservedObjects(),
        authenticator=_Anybody(),
        authorizer=_Anybody(),
        admission=_Anything(),
    )
    await server.start()
    client = Client(InProcessTransport(server.app))
    cable = _Cable(server.app)
    registry = ImageRegistry({"app:1": 200_000_000, "big:1": 30_000_000_000}, missing={"none:1"})
    fleet = KubeletFleet(Client(cable), registry=registry, clock=clock, rng=rng, options=kubelet)
    machines = SimulatedCloud(
        load_catalog("aws", "us-east-1"), clock=clock, rng=rng, options=cloud, software=fleet.run_host
    )
    watching = asyncio.ensure_future(fleet.run())
    try:
        yield World(client, machines, registry, cable)
    finally:
        await machines.close()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await server.stop()


async def wait_until(check: Callable[[], Awaitable[bool]], *, patience_seconds: float = 7200.0) -> None:
    """Look every tenth of a second. Nothing that is looked at has to exist yet."""
    async with asyncio.timeout(patience_seconds):
        while True:
            try:
                if await check():
                    return
            except NotFound:
                pass
            await asyncio.sleep(0.1)


def condition(obj: Mapping[str, Any], type_: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == type_), {})
