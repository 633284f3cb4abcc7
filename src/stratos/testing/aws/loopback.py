"""AWS on a loopback port: moto keeps what a cloud keeps, and the layer in front of it behaves as EC2 does.

    async with aws_on_loopback() as aws:
        clients = AwsClients(region=aws.region, endpoint_url=aws.endpoint_url)
        aws.faults.out_of_stock.add(OfferingKey("m5.large", "us-east-1a", CapacityType.ON_DEMAND))

Time is real here, since sockets are; `AwsFaults.timings` says how little of it things take.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict

from stratos.base.clock import Clock
from stratos.catalog.catalog import load_catalog
from stratos.providers.contract import MachineState
from stratos.providers.simulated.host import HostSoftware
from stratos.testing.aws.account import AwsAccount, furnish
from stratos.testing.aws.calls import AwsCall, AwsError, error_answer, parse_call
from stratos.testing.aws.ec2 import Ec2, form_body
from stratos.testing.aws.faults import AwsFaults, CutOff
from stratos.testing.aws.hosts import Hosts
from stratos.testing.aws.instances import POWERED_OFF, RECLAIMED, USER_SHUTDOWN, Instance, Instances
from stratos.testing.aws.moto import Moto, MotoRefused, moto_process
from stratos.testing.aws.notices import Notices

ACCESS_KEY = "AKIALOOPBACK"
SECRET_KEY = "loopback"
_HOP_BY_HOP = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")


class LoopbackAws:
    """What runs, and the handles by which a test moves it."""

    def __init__(
        self, moto: Moto, account: AwsAccount, clock: Clock, *, software: HostSoftware | None, state_changes: bool
    ) -> None:
        self.account = account
        self.region = moto.region
        self.endpoint_url = ""
        self.faults = AwsFaults()
        self.calls: list[AwsCall] = []
        catalog = load_catalog("aws", moto.region)
        self.instances = Instances(self.faults, clock, software=self._run_host, changed=self._changed)
        self.ec2 = Ec2(moto, self.instances, account, catalog, self.faults)
        self.notices = Notices(moto, account.queue_url, clock)
        self.moto = moto  # what the cloud really keeps
        self._hosts = Hosts(moto, catalog, software)
        self._tells_state_changes = state_changes
        self._errands: set[asyncio.Task[None]] = set()

    # --- fate ---

    async def interrupt(self, instance_id: str, notice_seconds: float = 120.0) -> None:
        """The cloud takes the machine back at the end of the notice."""
        instance = self.instances.by_id[instance_id]
        await self.notices.spot_interruption(instance)
        loop = asyncio.get_running_loop()
        instance.reclaim_timer = loop.call_later(notice_seconds, lambda: self._reclaim(instance))

    async def rebalance(self, instance_id: str) -> None:
        """The cloud expects to take the machine back before long."""
        await self.notices.rebalance(self.instances.by_id[instance_id])

    async def schedule_change(self, instance_id: str, starts_at: datetime) -> None:
        await self.notices.scheduled_change(self.instances.by_id[instance_id], starts_at)

    def outside_terminate(self, instance_id: str) -> None:
        """Somebody terminates the machine on the console."""
        self._end(self.instances.by_id[instance_id], USER_SHUTDOWN)

    # --- how it is served ---

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = parse_call(request, body)
        self.calls.append(call)
        try:
            self.faults.before(call)
            answer = await self._effect(call, request, body)
            self.faults.after(call)
        except AwsError as error:
            return error_answer(call, error)
        except MotoRefused as refused:
            return web.Response(body=refused.body, status=refused.status, content_type="text/xml")
        except CutOff:
            if request.transport is not None:  # otherwise the caller has hung up first
                request.transport.abort()
            return web.Response()
        return answer

    async def _effect(self, call: AwsCall, request: web.Request, body: bytes) -> web.Response:
        parameter = self.account.parameters.get(call.parameters.get("Name", "")) if call.service == "ssm" else None
        if parameter is not None and call.operation == "GetParameter":
            found = {"Name": call.parameters["Name"], "Type": "String", "Value": parameter, "Version": 1}
            return web.Response(
                body=msgspec.json.encode({"Parameter": found}), content_type="application/x-amz-json-1.1"
            )
        headers = CIMultiDict((key, value) for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP)
        headers["host"] = request.headers["host"]  # queues are named by it
        if call.service != "ec2":
            status, told, content = await self.moto.forward(request.method, request.path_qs, headers, body)
            kept = {key: value for key, value in told.items() if key.lower().startswith(("content-type", "x-amzn"))}
            return web.Response(body=content, status=status, headers=kept)

        async def forward(form: Mapping[str, str]) -> tuple[int, bytes]:
            status, _, content = await self.moto.forward("POST", "/", headers, form_body(form))
            return status, content

        status, content = await self.ec2.answer(call, forward)
        return web.Response(body=content, status=status, content_type="text/xml")

    # --- what happens by itself ---

    async def _run_host(self, instance: Instance) -> None:
        await self._hosts.run(instance, self._power_off)

    def _power_off(self, instance: Instance, boot: int) -> None:
        # Software of an earlier boot, on its way out, must not stop the machine of today.
        if instance.boots != boot or instance.state is not MachineState.RUNNING:
            return
        if instance.spot:
            self._end(instance, POWERED_OFF)
        else:
            self.instances.stop(instance, POWERED_OFF)
            self._do(self._tell_moto("StopInstances", instance))

    def _reclaim(self, instance: Instance) -> None:
        self._end(instance, RECLAIMED)

    def _end(self, instance: Instance, reason: str) -> None:
        self.instances.terminate(instance, reason)
        self._do(self._tell_moto("TerminateInstances", instance))

    async def _tell_moto(self, action: str, instance: Instance) -> None:
        await self.moto.ec2(action, {"InstanceId.1": instance.id})

    def _changed(self, instance: Instance) -> None:
        if self._tells_state_changes:
            self._do(self.notices.state_change(instance))

    def _do(self, errand: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        await self.instances.close()
        await asyncio.gather(*self._errands)


@asynccontextmanager
async def aws_on_loopback(
    *,
    clock: Clock,
    cluster_name: str = "my-cluster",
    region: str = "us-east-1",
    kubernetes_version: str = "1.33",
    software: HostSoftware | None = None,
    state_changes: bool = False,
    moto_url: str | None = None,
) -> AsyncIterator[LoopbackAws]:
    """AWS for the length of the block.

    ``software`` runs on every instance that has booted (`KubeletFleet.run_host`). ``state_changes`` tells of each on
    the queue. ``moto_url`` is a moto server to be wiped and used instead of a process of its own, which takes a second.
    """
    async with AsyncExitStack() as stack:
        url = moto_url if moto_url is not None else stack.enter_context(moto_process())
        moto = Moto(url, region, await stack.enter_async_context(aiohttp.ClientSession()))
        await moto.reset()
        account = await furnish(moto, cluster_name, kubernetes_version)
        aws = LoopbackAws(moto, account, clock, software=software, state_changes=state_changes)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", aws.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(aws.close)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        aws.endpoint_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield aws
