"""The one interface between Stratos and a cloud.

Every call may raise `Throttled`, `Unauthorized`, `Forbidden` and `Unavailable`. After `Unavailable` nobody knows
whether the call took effect: that is what tokens are for. Calls return when the cloud has accepted them, and the
machine's ``state`` follows in its own time. For some seconds after its launch, a cloud may not find a machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from stratos.apis.meta import KubeObject
from stratos.catalog.catalog import Catalog
from stratos.providers.contract.machine import Interruption, LaunchRequest, Machine, MachineShape
from stratos.providers.contract.node_class import ResolvedNodeClass


class Provider(Protocol):
    @property
    def name(self) -> str:
        """The cloud's short name, as metrics and messages show it."""
        ...

    @property
    def catalog(self) -> Catalog:
        """What the cloud sells here, and for how much."""
        ...

    async def launch(self, request: LaunchRequest) -> Machine:
        """A new machine, pending. The same token always means the same machine, whatever has become of it since.

        Raises `OutOfStock` when no offering asked for can be had, `QuotaExceeded`, and `Invalid` for an image, subnet
        or type that does not exist. Nothing was launched when any of these is raised.
        """
        ...

    async def start(self, machine_id: str, token: str) -> None:
        """Start a stopped machine: its disk is as it was left. A token starts a machine once, however often it is sent.

        A machine that is pending or running is left alone. Raises `MachineNotFound`, `MachineGone`, `MachineBusy` while
        it is stopping, `OutOfStock` and `QuotaExceeded`; none of these uses up the token.
        """
        ...

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        """Stop a running machine and keep its disk; ``force`` skips the clean shutdown of its software.

        A machine that is stopping or stopped is left alone, except that ``force`` hurries one that is stopping. Raises
        `MachineNotFound`, `MachineGone`, `MachineBusy` while it is pending, and `NotStoppable` for spot machines.
        """
        ...

    async def terminate(self, machine_id: str) -> None:
        """End a machine and its disk, in whatever state it is. Twice is as good as once. Raises `MachineNotFound`."""
        ...

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        """The machines by id; those the cloud does not know are missing.

        The answer may lag a few seconds behind calls that returned before, and a machine just launched may be missing.
        """
        ...

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        """All machines that carry every one of ``tags``, terminated ones too while the cloud remembers them, by id.

        It lags like `describe`.
        """
        ...

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, and leave those not named. Raises `MachineNotFound`."""
        ...

    def interruptions(self) -> AsyncIterator[Interruption]:
        """Notices as they come, beginning with those still pending. It never ends, and raises nothing.

        Whoever asks for the next has recorded the last. A cloud that keeps notices in a queue lets go of one only then,
        and brings it again after a crash; such a queue has one reader at a time.
        """
        ...

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        """Look up what a node class selects, for machines of ``arch`` with GPUs of the maker ``gpu``, if any.

        Without ``arch``, for machines of the class's own type and architecture. A part that is not found is an answer,
        in ``failures``. What has to be made in the cloud for the class is made, and kept as the class says.

        Raises `Invalid`, naming the field, for a kind of class that this cloud does not run and for an instance type
        that it does not have.
        """
        ...

    async def release(self, node_class: KubeObject) -> None:
        """Take away again what was made for a class that goes and is not used any more. Twice is as good as once."""
        ...

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        """What nodes of a type will offer, from the catalog, without asking the cloud. Raises `NotFound`."""
        ...
