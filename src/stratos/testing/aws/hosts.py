"""The software of instances: each that boots gets a host made of what EC2 keeps of it, its user data above all."""

from __future__ import annotations

from collections.abc import Callable

from stratos.catalog.allocatable import node_allocatable, node_capacity
from stratos.catalog.catalog import Catalog
from stratos.providers.contract import Bootstrap, MachineShape
from stratos.providers.simulated.host import Host, HostSoftware
from stratos.testing.aws import xml
from stratos.testing.aws.instances import Instance
from stratos.testing.aws.moto import Moto
from stratos.testing.aws.user_data import bootstrap_of


class Hosts:
    def __init__(self, moto: Moto, catalog: Catalog, software: HostSoftware | None) -> None:
        self._moto = moto
        self._catalog = catalog
        self._software = software

    async def run(self, instance: Instance, power_off: Callable[[Instance, int], None]) -> None:
        """One boot, until it is cancelled."""
        if self._software is None:
            return
        attribute = {"InstanceId": instance.id, "Attribute": "userData"}
        answer = await self._moto.ec2("DescribeInstanceAttribute", attribute)
        user_data = xml.text(answer, "userData", "value")
        bootstrap = bootstrap_of(user_data) if user_data else Bootstrap(cluster_name="")
        boot = instance.boots
        await self._software(
            Host(
                machine_id=instance.id,
                provider_id=f"aws:///{instance.offering.zone}/{instance.id}",
                hostname=instance.hostname,
                private_ip=instance.private_ip,
                region=instance.region,
                zone=instance.offering.zone,
                capacity_type=instance.offering.capacity_type,
                image=instance.image,
                shape=self._shape(instance, bootstrap.max_pods),
                bootstrap=bootstrap,
                tags=instance.tags,
                disk=instance.disk,
                boot=boot,
                power_off=lambda: power_off(instance, boot),
            )
        )

    def _shape(self, instance: Instance, max_pods: int | None) -> MachineShape:
        type_ = self._catalog.instance_type(instance.offering.instance_type)
        disk_gib = instance.disk.size_gib
        return MachineShape(
            instance_type=type_,
            capacity=node_capacity("aws", type_, max_pods=max_pods, disk_gib=disk_gib),
            allocatable=node_allocatable("aws", type_, max_pods=max_pods, disk_gib=disk_gib),
            offerings=self._catalog.offerings(instance.offering.instance_type),
        )
