"""What every cloud's Kubernetes service decides about its nodes, and the steps by which most of them do it.

`eks`, `gke`, `aks` and `oke` each fill in one `Reservations`; `allocatable` applies them. Amounts are those of
`stratos.base.quantity`: millicores, and bytes or devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stratos.base.quantity import GIBIBYTE, MEBIBYTE
from stratos.catalog.instance_type import InstanceType

# kubelet: evictionHard memory.available<100Mi and nodefs.available<10%, its own defaults. Nobody here sets others.
EVICTION_MEMORY_BYTES = 100 * MEBIBYTE
EVICTION_DISK_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Reservations:
    """How a machine becomes a node: what its kernel never shows, and what is kept from pods of the rest."""

    default_disk_gib: int  # the root disk, unless a node class asks for another
    unseen_memory_bytes: Callable[[InstanceType], int]  # between what is sold and what Linux counts as its memory
    cpu_millis: Callable[[InstanceType], int]
    memory_bytes: Callable[[int, int], int]  # by what the node shows, and the number of its pods; without eviction
    disk_bytes: Callable[[int], int]  # by the size of the disk; without eviction


def cpu_by_steps(vcpu: int) -> int:
    """6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of all others."""
    shares_in_tenths_of_a_milli = (600, 100, 50, 50)
    first_four = sum(shares_in_tenths_of_a_milli[:vcpu])
    return (first_four + 25 * max(0, vcpu - len(shares_in_tenths_of_a_milli))) // 10


def memory_by_steps(memory_bytes: int) -> int:
    """25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112 and 2 % of all above."""
    return _by_steps(memory_bytes, ((4, 25), (4, 20), (8, 10), (112, 6)), percent_above=2)


def _by_steps(amount: int, steps: Sequence[tuple[int, int]], percent_above: int) -> int:
    reserved, left = 0, amount
    for gibibytes, percent in steps:
        here = min(left, gibibytes * GIBIBYTE)
        reserved += here * percent // 100
        left -= here
    return reserved + left * percent_above // 100
