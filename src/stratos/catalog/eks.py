"""How much of a machine is left for pods on EKS.

The node's boot scripts (``nodeadm`` and before it ``bootstrap.sh`` of the EKS optimised images) reserve CPU, memory and
disk for the kubelet by fixed formulas. How many pods a node may run follows from the addresses of its type, and is kept
with the type.
"""

from __future__ import annotations

from stratos.base.quantity import GIBIBYTE, MEBIBYTE
from stratos.catalog.instance_type import InstanceType
from stratos.catalog.reservations import Reservations, cpu_by_steps

KUBELET_DEFAULT_MAX_PODS = 110  # for types whose addresses nobody lists
RESERVED_DISK_BYTES = GIBIBYTE
DEFAULT_DISK_GIB = 20  # the root volume of an EKS image


def unseen_memory_bytes(instance_type: InstanceType) -> int:
    """A 32nd of it and up to 384 MiB: at or above what nodes from 8 GiB to 1 TiB were seen to lack.

    Reported: 4.4 to 5.3 % of 16 GiB, 3.4 % of 32 GiB, 3.1 % of 1 TiB. Bare metal lacks no less.
    """
    memory = instance_type.memory_bytes
    return memory // 32 + min(384 * MEBIBYTE, memory // 16)


def reserved_cpu_millis(vcpu: int) -> int:
    return cpu_by_steps(vcpu)


def reserved_memory_bytes(max_pods: int) -> int:
    """255 MiB, and 11 MiB for each pod the node may run."""
    return (255 + 11 * max_pods) * MEBIBYTE


RESERVATIONS = Reservations(
    default_disk_gib=DEFAULT_DISK_GIB,
    unseen_memory_bytes=unseen_memory_bytes,
    cpu_millis=lambda instance_type: reserved_cpu_millis(instance_type.vcpu),
    memory_bytes=lambda _, max_pods: reserved_memory_bytes(max_pods),
    disk_bytes=lambda _: RESERVED_DISK_BYTES,
)
