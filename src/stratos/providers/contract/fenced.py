"""A provider that does nothing for a process whose term as leader is over.

It stands right before the cloud, behind whatever makes calls wait: how long the term runs is asked when the call is
made, and a call that is still under way when it ends is given up. What has left by then cannot be called back; that is
what tokens are for, and why a term ends well before the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from stratos.apis.meta import KubeObject
from stratos.base.errors import NotLeading, Unavailable
from stratos.catalog.catalog import Catalog
from stratos.providers.contract.machine import Interruption, LaunchRequest, Machine, MachineShape
from stratos.providers.contract.node_class import ResolvedNodeClass
from stratos.providers.contract.provider import Provider

T = TypeVar("T")


class Fenced:
    """A `Provider` in front of another, for as long as ``term_left`` is above zero.

    Questions are refused like the rest: what a node class lacks is made in the cloud when it is looked up.
    """

    def __init__(self, provider: Provider, term_left: Callable[[], float]) -> None:
        self._provider = provider
        self._term_left = term_left

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def catalog(self) -> Catalog:
        return self._provider.catalog

    async def launch(self, request: LaunchRequest) -> Machine:
        return await self._call("launch", lambda: self._provider.launch(request))

    async def start(self, machine_id: str, token: str) -> None:
        await self._call("start", lambda: self._provider.start(machine_id, token))

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        await self._call("stop", lambda: self._provider.stop(machine_id, force=force))

    async def terminate(self, machine_id: str) -> None:
        await self._call("terminate", lambda: self._provider.terminate(machine_id))

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        return await self._call("describe", lambda: self._provider.describe(machine_ids))

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        return await self._call("list_by_tags", lambda: self._provider.list_by_tags(tags))

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        await self._call("tag", lambda: self._provider.tag(machine_id, tags))

    def interruptions(self) -> AsyncIterator[Interruption]:
        return self._provider.interruptions()

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        return await self._call("resolve", lambda: self._provider.resolve(node_class, arch=arch, gpu=gpu))

    async def release(self, node_class: KubeObject) -> None:
        await self._call("release", lambda: self._provider.release(node_class))

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        return self._provider.shape(instance_type, max_pods=max_pods, disk_gib=disk_gib)

    async def _call(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        left_seconds = self._term_left()
        if left_seconds <= 0:
            raise NotLeading(f"{self.name} was not asked to {operation}: this process does not lead any more")
        try:
            async with asyncio.timeout(left_seconds):
                return await call()
        except TimeoutError as error:
            raise Unavailable(f"{operation} was given up: {self.name} took longer than this process leads") from error
