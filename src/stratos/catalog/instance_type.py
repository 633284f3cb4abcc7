"""The nouns of a catalog: a type of machine, and an offering of it in one zone under one kind of terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HOURS_PER_MONTH = 730
"""As clouds count: 8760 hours a year, in twelve months."""

_RESOURCES = {"habana": "habana.ai/gaudi"}  # whose device plugin calls it otherwise than maker.com/gpu


class CapacityType(StrEnum):
    """The terms a machine is rented under."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Gpu:
    manufacturer: str  # nvidia, amd, …: the first part of the resource name
    sku: str
    count: float  # below 1: a share of one device
    memory_gib: float  # of one device; 0 when the catalog does not know

    @property
    def resource(self) -> str:
        """The extended resource under which the device plugin of its maker reports it."""
        return _RESOURCES.get(self.manufacturer, f"{self.manufacturer}.com/gpu")

    @property
    def is_fractional(self) -> bool:
        """A share of a device: it never serves a pod that asks for a whole one."""
        return self.count < 1

    @property
    def devices(self) -> int:
        """How many whole devices pods may count on. A share is none, although its node shows one small device."""
        return int(self.count)


@dataclass(frozen=True, slots=True)
class InstanceType:
    name: str
    family: str
    arch: str  # amd64 or arm64, as Kubernetes writes it
    vcpu: int
    memory_bytes: int
    max_pods: int  # by the cloud's default network plugin
    gpu: Gpu | None = None
    local_nvme_gb: int = 0
    network_gbps: float = 0.0
    burstable: bool = False
    bare_metal: bool = False
    lifecycle: str = "current"  # "previous": still sold, no longer the cloud's first choice; "retired": on its way out
    custom: bool = False  # made to measure, beside the sizes the cloud has names for

    @property
    def cloud_name(self) -> str:
        """What the cloud calls it, and its nodes bear as a label: without what we add for what is attached or cut."""
        return self.name.partition("+")[0].partition(":")[0]


@dataclass(frozen=True, slots=True)
class Offering:
    instance_type: str
    zone: str
    capacity_type: CapacityType
    price_usd_per_hour: float
    interruption_bucket: int | None = None  # of spot: 0 below 5 %, 1 to 10, 2 to 15, 3 to 20, 4 above; None: not known
    price_source: str = ""  # whose list the price is from, or how it was derived; the data's README explains the names
    price_as_of: str = ""  # the day of that list, as ISO 8601 writes it; a month when the day is not known
