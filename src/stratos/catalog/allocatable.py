"""How large a node is that an instance type becomes, and how much of it pods may use.

What a cloud sells as 16 GiB is less to the kernel, and less again to pods. Every cloud's Kubernetes service has its own
rules; they are in `eks`, `gke`, `aks` and `oke`. What DaemonSets take comes on top, see `daemons`.
"""

from __future__ import annotations

from stratos.base.errors import NotFound
from stratos.base.quantity import GIBIBYTE
from stratos.catalog import aks, eks, gke, oke
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import EVICTION_DISK_SHARE, EVICTION_MEMORY_BYTES, Reservations

_RESERVATIONS = {
    "aws": eks.RESERVATIONS,
    "gcp": gke.RESERVATIONS,
    "azure": aks.RESERVATIONS,
    "oci": oke.RESERVATIONS,
}


def default_disk_gib(cloud: str) -> int:
    """The root disk of a node for which nobody asked for another. Raises `NotFound`."""
    return _reservations(cloud).default_disk_gib


def node_capacity(
    cloud: str, instance_type: InstanceType, *, max_pods: int | None = None, disk_gib: int | None = None
) -> dict[str, int]:
    """All that the node has, as it reports it in ``status.capacity``. Raises `NotFound` for an unknown cloud.

    A share of a GPU is left out: its node would show a whole one, and no pod that asks for one should end there.
    """
    rules = _reservations(cloud)
    disk = rules.default_disk_gib if disk_gib is None else disk_gib
    capacity = {
        "cpu": instance_type.vcpu * 1000,
        "memory": max(0, instance_type.memory_bytes - rules.unseen_memory_bytes(instance_type)),
        "ephemeral-storage": disk * GIBIBYTE,
        "pods": instance_type.max_pods if max_pods is None else max_pods,
    }
    if instance_type.gpu and instance_type.gpu.devices:
        capacity[instance_type.gpu.resource] = instance_type.gpu.devices
    return capacity


def node_allocatable(
    cloud: str, instance_type: InstanceType, *, max_pods: int | None = None, disk_gib: int | None = None
) -> dict[str, int]:
    """What is left for pods, as the node reports it in ``status.allocatable``. Raises `NotFound` likewise."""
    rules = _reservations(cloud)
    capacity = node_capacity(cloud, instance_type, max_pods=max_pods, disk_gib=disk_gib)
    memory, disk = capacity["memory"], capacity["ephemeral-storage"]
    reserved = {
        "cpu": rules.cpu_millis(instance_type),
        "memory": rules.memory_bytes(memory, capacity["pods"]) + EVICTION_MEMORY_BYTES,
        "ephemeral-storage": rules.disk_bytes(disk) + int(disk * EVICTION_DISK_SHARE),
    }
    return {name: max(0, amount - reserved.get(name, 0)) for name, amount in capacity.items()}


def _reservations(cloud: str) -> Reservations:
    rules = _RESERVATIONS.get(cloud)
    if rules is None:
        raise NotFound(
            f"nobody knows how much nodes of {cloud!r} reserve", looked_at=(f"clouds: {', '.join(_RESERVATIONS)}",)
        )
    return rules
