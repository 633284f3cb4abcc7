"""How much of a machine is left for pods on AKS.

CPU and memory are reserved as Microsoft's page "Node resource reservations" says for Kubernetes 1.29 and later. Before,
memory was reserved by steps and 750 MiB kept from eviction; no such cluster is supported any more.
"""

from __future__ import annotations

from stratos.base.quantity import MEBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import Reservations

MAX_PODS = 250  # with Azure CNI Overlay, which a new cluster gets unless it asks for something else
DEFAULT_DISK_GIB = 128


def unseen_memory_bytes(instance_type: InstanceType) -> int:
    """A 64th for the kernel's page table and 128 MiB: what nodes of 4, 7 and 16 GiB were seen to lack."""
    return instance_type.memory_bytes // 64 + 128 * MEBIBYTE


def reserved_cpu_millis(vcpu: int) -> int:
    """The published table (60 for 1 core, 100 for 2, 140, 180, 260, 420, 740 for 64), and between its lines."""
    return 60 + 40 * (vcpu > 1) + 20 * min(2, max(0, vcpu - 2)) + 10 * max(0, vcpu - 4)


def reserved_memory_bytes(memory_bytes: int, max_pods: int) -> int:
    """20 MB for each pod the node may run and 50 MB, or a quarter of the memory if less. Nodes show that MB is MiB."""
    return min((20 * max_pods + 50) * MEBIBYTE, memory_bytes // 4)


RESERVATIONS = Reservations(
    default_disk_gib=DEFAULT_DISK_GIB,
    unseen_memory_bytes=unseen_memory_bytes,
    cpu_millis=lambda instance_type: reserved_cpu_millis(instance_type.vcpu),
    memory_bytes=reserved_memory_bytes,
    disk_bytes=lambda _: 0,
)
