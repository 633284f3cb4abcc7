"""EC2 as the contract wants it. What takes more than a call is in the modules beside this one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from stratos.apis.meta import KubeObject
from stratos.base.clock import Clock
from stratos.catalog.allocatable import node_allocatable, node_capacity
from stratos.catalog.catalog import Catalog
from stratos.providers.aws.clients import AwsClients
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.instances import Instance, Instances
from stratos.providers.aws.interruptions import InterruptionQueue
from stratos.providers.aws.launching import Launching
from stratos.providers.aws.node_class import release_node_class, resolve_node_class
from stratos.providers.aws.starting import start
from stratos.providers.aws.templates import LaunchTemplates
from stratos.providers.contract import (
    CapacityType,
    Interruption,
    LaunchRequest,
    Machine,
    MachineBusy,
    MachineGone,
    MachineNotFound,
    MachineShape,
    MachineState,
    NotStoppable,
    ResolvedNodeClass,
)


class AWSProvider:
    """A `Provider` for one cluster in one region."""

    name = "aws"

    def __init__(
        self,
        clients: AwsClients,
        catalog: Catalog,
        cluster: ClusterAccess,
        *,
        clock: Clock,
        interruption_queue: str = "",
    ) -> None:
        """``interruption_queue`` is the name of the queue with EventBridge's events. Empty: there is none."""
        self.catalog = catalog
        self._clients = clients
        self._cluster = cluster
        self._instances = Instances(clients, catalog)
        self._queue = InterruptionQueue(clients, interruption_queue)
        self._templates = LaunchTemplates(clients, clock=clock, cluster_name=cluster.name)
        self._launching = Launching(
            clients, self._instances, self._templates, catalog=catalog, cluster=cluster, clock=clock
        )

    async def launch(self, request: LaunchRequest) -> Machine:
        return await self._launching.launch(request)

    async def start(self, machine_id: str, token: str) -> None:
        instance = await self._existing(machine_id)
        await start(self._clients, instance.machine, token)

    async def stop(self, machine_id: str, *, force: bool = False) -> None:
        instance = await self._existing(machine_id)
        machine = instance.machine
        if machine.capacity_type is CapacityType.SPOT:
            raise NotStoppable(f"machine {machine_id} is a spot machine: it can only run or be terminated")
        if machine.state is MachineState.PENDING:
            raise MachineBusy(f"machine {machine_id} is still pending", hint="stop it once it is running")
        if machine.state is MachineState.RUNNING or (machine.state is MachineState.STOPPING and force):
            hibernate = {"Hibernate": True} if instance.hibernates and not force else {}
            await self._clients.call("ec2", "stop_instances", InstanceIds=[machine_id], Force=force, **hibernate)

    async def terminate(self, machine_id: str) -> None:
        await self._clients.call("ec2", "terminate_instances", InstanceIds=[machine_id])

    async def describe(self, machine_ids: Sequence[str]) -> dict[str, Machine]:
        return {id_: found.machine for id_, found in (await self._instances.by_id(machine_ids)).items()}

    async def list_by_tags(self, tags: Mapping[str, str]) -> tuple[Machine, ...]:
        return tuple(instance.machine for instance in await self._instances.by_tags(tags))

    async def tag(self, machine_id: str, tags: Mapping[str, str]) -> None:
        await self._clients.call(
            "ec2",
            "create_tags",
            Resources=[machine_id],
            Tags=[{"Key": key, "Value": tags[key]} for key in sorted(tags)],
        )

    def interruptions(self) -> AsyncIterator[Interruption]:
        return self._queue.notices()

    async def resolve(self, node_class: KubeObject, *, arch: str = "", gpu: str = "") -> ResolvedNodeClass:
        return await resolve_node_class(
            self._clients, node_class, catalog=self.catalog, cluster=self._cluster, arch=arch, gpu=gpu
        )

    async def release(self, node_class: KubeObject) -> None:
        await release_node_class(self._clients, node_class, self._cluster.name)
        await self._templates.delete_unused()

    def shape(self, instance_type: str, *, max_pods: int | None = None, disk_gib: int | None = None) -> MachineShape:
        type_ = self.catalog.instance_type(instance_type)
        cloud = self.catalog.cloud
        return MachineShape(
            instance_type=type_,
            capacity=node_capacity(cloud, type_, max_pods=max_pods, disk_gib=disk_gib),
            allocatable=node_allocatable(cloud, type_, max_pods=max_pods, disk_gib=disk_gib),
            offerings=self.catalog.offerings(instance_type),
        )

    async def _existing(self, machine_id: str) -> Instance:
        found = (await self._instances.by_id((machine_id,))).get(machine_id)
        if found is None:
            raise MachineNotFound(f"there is no machine {machine_id!r}")
        if found.machine.state.gone:
            raise MachineGone(f"machine {machine_id} is {found.machine.state}")
        return found
