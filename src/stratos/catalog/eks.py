"""How much of a machine is left for pods on EKS.

The node's boot scripts (``nodeadm`` and before it ``bootstrap.sh`` of the EKS optimised images) reserve CPU, memory and
disk for the kubelet by fixed formulas, and the kubelet keeps some free before it evicts. All else is for pods.
Amounts are those of `stratos.base.quantity`: millicores, and bytes or devices.
"""

from __future__ import annotations

from stratos.catalog.instance_type import InstanceType

MEBIBYTE = 2**20
GIBIBYTE = 2**30

# kubelet: evictionHard memory.available<100Mi, nodefs.available<10%, as the EKS images configure it
EVICTION_MEMORY_BYTES = 100 * MEBIBYTE
EVICTION_DISK_SHARE = 0.10
RESERVED_DISK_BYTES = GIBIBYTE
DEFAULT_DISK_GIB = 20  # the root volume of an EKS image, unless a node class maps a larger one


def reserved_cpu_millis(vcpu: int) -> int:
    """6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of all others."""
    shares_in_tenths_of_a_milli = (600, 100, 50, 50)
    first_four = sum(shares_in_tenths_of_a_milli[:vcpu])
    return (first_four + 25 * max(0, vcpu - len(shares_in_tenths_of_a_milli))) // 10


def reserved_memory_bytes(max_pods: int) -> int:
    """255 MiB, and 11 MiB for each pod the node may run."""
    return (255 + 11 * max_pods) * MEBIBYTE


def node_capacity(
    instance_type: InstanceType, *, max_pods: int | None = None, disk_gib: int = DEFAULT_DISK_GIB
) -> dict[str, int]:
    """All the machine has, as its node reports it in ``status.capacity``."""
    capacity = {
        "cpu": instance_type.vcpu * 1000,
        "memory": instance_type.memory_bytes,
        "ephemeral-storage": disk_gib * GIBIBYTE,
        "pods": instance_type.max_pods if max_pods is None else max_pods,
    }
    if instance_type.gpu:
        capacity[instance_type.gpu.resource] = instance_type.gpu.devices
    return capacity


def node_allocatable(
    instance_type: InstanceType, *, max_pods: int | None = None, disk_gib: int = DEFAULT_DISK_GIB
) -> dict[str, int]:
    """What is left for pods, as its node reports it in ``status.allocatable``."""
    capacity = node_capacity(instance_type, max_pods=max_pods, disk_gib=disk_gib)
    disk = capacity["ephemeral-storage"]
    return {
        **capacity,
        "cpu": capacity["cpu"] - reserved_cpu_millis(instance_type.vcpu),
        "memory": max(0, capacity["memory"] - reserved_memory_bytes(capacity["pods"]) - EVICTION_MEMORY_BYTES),
        "ephemeral-storage": disk - RESERVED_DISK_BYTES - int(disk * EVICTION_DISK_SHARE),
    }
