"""How much of a machine is left for pods on OKE.

The reservations are those that Oracle's own node provisioner (``karpenter-provider-oci``) counts on, after the page
"Cluster management best practices"; so is what a shape shows less than it is sold with.
"""

from __future__ import annotations

from stratos.base.quantity import GIBIBYTE, MEBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import Reservations, cpu_by_steps, memory_by_steps

MAX_PODS = 31  # with VCN-native pod networking, the default: the addresses of one further network interface
DEFAULT_DISK_GIB = 36  # the root file system on a boot volume of the default size
SYSTEM_RESERVED_CPU_MILLIS = 100
SYSTEM_RESERVED_MEMORY_BYTES = 100 * MEBIBYTE


def unseen_memory_bytes(instance_type: InstanceType) -> int:
    """600 MiB and 19 MiB for each GiB, above all measurements that were published; bare metal has no hypervisor."""
    gibibytes = instance_type.memory_bytes // GIBIBYTE
    return (19 * gibibytes + (0 if instance_type.bare_metal else 600)) * MEBIBYTE


def reserved_cpu_millis(vcpu: int) -> int:
    return cpu_by_steps(vcpu) + SYSTEM_RESERVED_CPU_MILLIS


def reserved_memory_bytes(memory_bytes: int) -> int:
    return memory_by_steps(memory_bytes) + SYSTEM_RESERVED_MEMORY_BYTES


RESERVATIONS = Reservations(
    default_disk_gib=DEFAULT_DISK_GIB,
    unseen_memory_bytes=unseen_memory_bytes,
    cpu_millis=lambda instance_type: reserved_cpu_millis(instance_type.vcpu),
    memory_bytes=lambda memory_bytes, _: reserved_memory_bytes(memory_bytes),
    disk_bytes=lambda _: 0,
)
