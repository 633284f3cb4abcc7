"""How much of a machine is left for pods on GKE.

CPU, memory and disk are reserved as Google's page "Plan GKE Standard node sizes" says. What the kernel keeps for itself
is the estimate that the cluster autoscaler ships for Google's Container-Optimized OS.
"""

from __future__ import annotations

from stratos.base.quantity import GIBIBYTE, MEBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import Reservations, cpu_by_steps, memory_by_steps

MAX_PODS = 110  # of a node in a Standard cluster
DEFAULT_DISK_GIB = 100
SHARED_CORE_TYPES = frozenset({"e2-micro", "e2-small", "e2-medium"})
SHARED_CORE_RESERVED_MILLIS = 1060  # they show two cores, and have the use of less than one


def unseen_memory_bytes(instance_type: InstanceType) -> int:
    """A 64th for the kernel's page table, 16 MiB, 64 MiB of bounce buffers above 3 GiB, and a correction."""
    memory = instance_type.memory_bytes
    bounce_buffers = 64 * MEBIBYTE if memory > 3 * GIBIBYTE else 0
    small = 8 * MEBIBYTE if memory <= 8 * GIBIBYTE else 0
    correction = min(memory * 175 // 100_000, 248 * MEBIBYTE)
    return memory // 64 + 16 * MEBIBYTE + bounce_buffers + small + correction


def reserved_cpu_millis(instance_type: InstanceType) -> int:
    if instance_type.name in SHARED_CORE_TYPES:
        return SHARED_CORE_RESERVED_MILLIS
    return cpu_by_steps(instance_type.vcpu)


def reserved_memory_bytes(memory_bytes: int) -> int:
    """By steps; of less than 1 GiB, 255 MiB."""
    return memory_by_steps(memory_bytes) if memory_bytes >= GIBIBYTE else 255 * MEBIBYTE


def reserved_disk_bytes(disk_bytes: int) -> int:
    """The system's own partitions, and then the least of half, of 6 GiB + 35 %, and of 100 GiB."""
    partitions = int(0.0156 * disk_bytes + 4.15 * GIBIBYTE)
    return partitions + int(min(0.5 * disk_bytes, 6 * GIBIBYTE + 0.35 * disk_bytes, 100 * GIBIBYTE))


RESERVATIONS = Reservations(
    default_disk_gib=DEFAULT_DISK_GIB,
    unseen_memory_bytes=unseen_memory_bytes,
    cpu_millis=reserved_cpu_millis,
    memory_bytes=lambda memory_bytes, _: reserved_memory_bytes(memory_bytes),
    disk_bytes=reserved_disk_bytes,
)
