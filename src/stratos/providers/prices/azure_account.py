"""What Azure tells only to its customers: the sizes of its machines, and the zones they are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from stratos.base.errors import NotReady
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType
from stratos.providers.prices.sdk import ask, find_sdk
from stratos.providers.prices.source import KnownRegion


class Capability(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...


class LocationInfo(Protocol):
    @property
    def zones(self) -> Sequence[str] | None: ...


class ResourceSku(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def resource_type(self) -> str: ...
    @property
    def capabilities(self) -> Sequence[Capability] | None: ...
    @property
    def location_info(self) -> Sequence[LocationInfo] | None: ...


class ResourceSkus(Protocol):
    """``ComputeManagementClient.resource_skus``."""

    def list(self, *, filter: str) -> Iterable[ResourceSku]: ...


def find_azure_skus(subscription: str | None) -> ResourceSkus:
    """The list of a subscription, with the environment's credentials. Raises `NotReady` with the reason why not."""
    if not subscription:
        raise NotReady("AZURE_SUBSCRIPTION_ID is not set")
    identity: Any = find_sdk("azure.identity", "azure")
    compute: Any = find_sdk("azure.mgmt.compute", "azure")
    skus: ResourceSkus = compute.ComputeManagementClient(identity.DefaultAzureCredential(), subscription).resource_skus
    return skus


class AzureAccount:
    """Raises `Unavailable` when Azure refuses or does not answer."""

    def __init__(self, skus: ResourceSkus) -> None:
        self._skus = skus

    async def types(self, known: KnownRegion) -> tuple[tuple[InstanceType, ...], dict[str, tuple[str, ...]]]:
        """The types of the catalog's region, and the numbers of the zones each is in."""

        def call() -> tuple[tuple[InstanceType, ...], dict[str, tuple[str, ...]]]:
            listed = self._skus.list(filter=f"location eq '{known.region}'")
            skus = sorted((sku for sku in listed if sku.resource_type == "virtualMachines"), key=lambda sku: sku.name)
            types = tuple(type_ for sku in skus if (type_ := _instance_type(sku, known)))
            return types, {sku.name: zones for sku in skus if (zones := _zones(sku))}

        return await ask(f"resource SKUs of {known.region}", call)


def _zones(sku: ResourceSku) -> tuple[str, ...]:
    return tuple(sorted({zone for info in sku.location_info or () for zone in info.zones or ()}))


def _instance_type(sku: ResourceSku, known: KnownRegion) -> InstanceType | None:
    """None for a machine with GPUs of a family not known yet, or one that has shares of them: Azure counts devices,
    and tells neither which they are nor how much of one is there."""
    told = {each.name: each.value for each in sku.capabilities or ()}
    family = [type_ for type_ in known.types.values() if type_.family == sku.family]
    gpu = None
    if count := float(told.get("GPUs", 0)):
        alike = next((type_.gpu for type_ in family if type_.gpu), None)
        if alike is None or alike.is_fractional:
            return None
        gpu = Gpu(alike.manufacturer, alike.sku, count, alike.memory_gib)
    return InstanceType(
        name=sku.name,
        family=sku.family,
        arch="arm64" if told.get("CpuArchitectureType") == "Arm64" else "amd64",
        vcpu=int(told.get("vCPUsAvailable") or told["vCPUs"]),
        memory_bytes=int(float(told["MemoryGB"]) * GIBIBYTE),
        max_pods=max((type_.max_pods for type_ in known.types.values()), default=0),  # the same for all
        gpu=gpu,
        local_nvme_gb=int(told.get("NvmeDiskSizeInMiB", 0)) // 1024,
        burstable=sku.name.startswith("Standard_B"),
    )
