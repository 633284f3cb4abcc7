"""A provider in front of another: every call to the cloud goes through one door, which its subclass keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from stratos.apis.meta import KubeObject
from stratos.catalog.catalog import Catalog
from stratos.providers.contract.machine import Interruption, LaunchRequest, Machine, MachineShape
from stratos.providers.contract.node_class import ResolvedNodeClass
from stratos.providers.contract.provider import Provider

T = TypeVar("T")


class InFront(ABC):
    """A `Provider`. What asks nothing of the cloud (catalog, shapes), and the feed of notices, pass by the door."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @abstractmethod
    async def _through(self, operation: str, call: Callable[[], Awaitable[T]], *, what: str = "") -> T:
        """``what`` the call is about: a token, a machine, a start of one; empty where it is about many."""

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def catalog(self) -> Catalog:
        return self._provider.catalog

    async def launch(self, request: LaunchRequest) -> Machine:
        return await self._through("launch", lambda: self._provider.launch(request), what=request.token)

    async def start(self, machine_id: str, token: str) -> None:
        await self._through("start", lambda: self._provider.start(machine_id, token), what=f"{machine_id} {token}")

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        await self._through("stop", lambda: self._provider.stop(machine_id, force=force), what=machine_id)

    async def terminate(self, machine_id: str) -> None:
        await self._through("terminate", lambda: self._provider.terminate(machine_id), what=machine_id)

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        return await self._through("describe", lambda: self._provider.describe(machine_ids))

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        return await self._through("list_by_tags", lambda: self._provider.list_by_tags(tags))

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        await self._through("tag", lambda: self._provider.tag(machine_id, tags), what=machine_id)

    def interruptions(self) -> AsyncIterator[Interruption]:
        return self._provider.interruptions()

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        return await self._through("resolve", lambda: self._provider.resolve(node_class, arch=arch, gpu=gpu))

    async def release(self, node_class: KubeObject) -> None:
        await self._through("release", lambda: self._provider.release(node_class))

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        return self._provider.shape(instance_type, max_pods=max_pods, disk_gib=disk_gib)
