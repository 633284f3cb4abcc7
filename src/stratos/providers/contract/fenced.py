"""A provider that does nothing for a process whose term as leader is over.

It stands right before the cloud, behind whatever makes calls wait: the term is looked at when the call is made. What
has left by then cannot be called back; that is what tokens are for, and why a term ends well before the next begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from stratos.apis.meta import KubeObject
from stratos.base.errors import NotLeading
from stratos.catalog.catalog import Catalog
from stratos.providers.contract.machine import Interruption, LaunchRequest, Machine, MachineShape
from stratos.providers.contract.node_class import ResolvedNodeClass
from stratos.providers.contract.provider import Provider


class Fenced:
    """A `Provider` in front of another: calls pass while ``leading`` says so.

    Questions are refused like the rest: some clouds make what a node class lacks when it is looked up.
    """

    def __init__(self, provider: Provider, leading: Callable[[], bool]) -> None:
        self._provider = provider
        self._leading = leading

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def catalog(self) -> Catalog:
        return self._provider.catalog

    async def launch(self, request: LaunchRequest) -> Machine:
        self._check("launch")
        return await self._provider.launch(request)

    async def start(self, machine_id: str, token: str) -> None:
        self._check("start")
        await self._provider.start(machine_id, token)

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        self._check("stop")
        await self._provider.stop(machine_id, force=force)

    async def terminate(self, machine_id: str) -> None:
        self._check("terminate")
        await self._provider.terminate(machine_id)

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        self._check("describe")
        return await self._provider.describe(machine_ids)

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        self._check("list_by_tags")
        return await self._provider.list_by_tags(tags)

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        self._check("tag")
        await self._provider.tag(machine_id, tags)

    def interruptions(self) -> AsyncIterator[Interruption]:
        return self._provider.interruptions()

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        self._check("resolve")
        return await self._provider.resolve(node_class, arch=arch, gpu=gpu)

    async def release(self, node_class: KubeObject) -> None:
        self._check("release")
        await self._provider.release(node_class)

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        return self._provider.shape(instance_type, max_pods=max_pods, disk_gib=disk_gib)

    def _check(self, operation: str) -> None:
        if not self._leading():
            raise NotLeading(f"{self.name} was not asked to {operation}: this process does not lead any more")
