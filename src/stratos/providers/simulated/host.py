"""A simulated machine seen from the inside: what its operating system would know and could do.

The cloud runs whatever host software it is given, once for each boot, and cancels it when the machine goes down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract import Bootstrap, MachineShape


@dataclass(slots=True)
class HostDisk:
    """What is kept while the machine is stopped, and lost when it is terminated."""

    size_gib: int
    images: dict[str, int] = field(default_factory=dict)  # container images, with their size in bytes
    files: dict[str, int] = field(default_factory=dict)  # paths, with their size in bytes
    streams_images: bool = False  # containers start from images that are still being fetched


@dataclass(frozen=True, slots=True)
class Host:
    machine_id: str
    provider_id: str
    hostname: str
    private_ip: str
    region: str
    zone: str
    capacity_type: CapacityType
    image: str
    shape: MachineShape
    bootstrap: Bootstrap
    tags: Mapping[str, str]
    disk: HostDisk
    boot: int  # counted from 1
    power_off: Callable[[], None]  # the host shuts itself down, as after the command of that name

    @property
    def first_boot(self) -> bool:
        return self.boot == 1


HostSoftware = Callable[[Host], Awaitable[None]]
"""What runs on a host from the end of its boot until it is cancelled."""
