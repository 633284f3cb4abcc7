"""What Google Cloud tells only to its customers: the sizes of machine types, and the zones they are in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from stratos.base.errors import NotReady
from stratos.base.quantity import MEBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType
from stratos.providers.prices.sdk import ask, find_sdk
from stratos.providers.prices.source import KnownRegion

_LOCAL_DISK_GB = 375


class Accelerator(Protocol):
    @property
    def guest_accelerator_type(self) -> str: ...
    @property
    def guest_accelerator_count(self) -> int: ...


class LocalDisks(Protocol):
    @property
    def partition_count(self) -> int: ...


class MachineType(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def guest_cpus(self) -> int: ...
    @property
    def memory_mb(self) -> int: ...
    @property
    def architecture(self) -> str: ...
    @property
    def is_shared_cpu(self) -> bool: ...
    @property
    def accelerators(self) -> Sequence[Accelerator]: ...
    @property
    def bundled_local_ssds(self) -> LocalDisks | None: ...


class MachineTypesOfZone(Protocol):
    @property
    def machine_types(self) -> Sequence[MachineType]: ...


class MachineTypes(Protocol):
    """``compute_v1.MachineTypesClient``."""

    def aggregated_list(self, *, project: str) -> Iterable[tuple[str, MachineTypesOfZone]]: ...


def find_gcp_machine_types(project: str | None) -> MachineTypes:
    """The list, with the environment's credentials. Raises `NotReady` with the reason why there is none."""
    if not project:
        raise NotReady("GOOGLE_CLOUD_PROJECT is not set")
    compute: Any = find_sdk("google.cloud.compute_v1", "gcp")
    try:
        machine_types: MachineTypes = compute.MachineTypesClient()
    except Exception as error:  # of google.auth, which is not installed everywhere
        raise NotReady(f"Google Cloud credentials: {error}") from error
    return machine_types


class GcpAccount:
    """Raises `Unavailable` when Google Cloud refuses or does not answer."""

    def __init__(self, machine_types: MachineTypes, project: str) -> None:
        self._machine_types = machine_types
        self._project = project

    async def types(
        self, known: Sequence[KnownRegion]
    ) -> tuple[tuple[InstanceType, ...], dict[str, dict[str, tuple[str, ...]]]]:
        """The machine types of these regions; and by region and type, the letters of the zones it is in."""

        def call() -> list[tuple[str, list[MachineType]]]:
            pages = self._machine_types.aggregated_list(project=self._project)
            return [(zone.removeprefix("zones/"), list(page.machine_types)) for zone, page in pages]

        by_zone = await ask(f"machine types of project {self._project}", call)
        regions = {here.region: here for here in known}
        types: dict[str, InstanceType] = {}
        letters: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for zone, machine_types in sorted(by_zone, key=lambda each: each[0]):
            region, _, letter = zone.rpartition("-")
            for machine_type in machine_types if region in regions else ():
                type_ = _instance_type(machine_type, regions[region].types)
                if type_:
                    types[type_.name] = type_
                    letters[region][type_.name] = (*letters[region].get(type_.name, ()), letter)
        return tuple(types[name] for name in sorted(types)), dict(letters)


def _instance_type(row: MachineType, known: Mapping[str, InstanceType]) -> InstanceType | None:
    """None for a machine with an accelerator that no known type has: its memory is not told."""
    gpu = None
    if row.accelerators:
        called, count = row.accelerators[0].guest_accelerator_type, row.accelerators[0].guest_accelerator_count
        gpu = _gpu(called, count, known)
        if gpu is None:
            return None
    family = row.name.partition("-")[0]
    disks = row.bundled_local_ssds.partition_count if row.bundled_local_ssds else 0
    return InstanceType(
        name=row.name,
        family=family,
        arch="arm64" if row.architecture == "ARM64" else "amd64",
        vcpu=row.guest_cpus,
        memory_bytes=row.memory_mb * MEBIBYTE,
        max_pods=max((type_.max_pods for type_ in known.values()), default=0),  # the same for all
        gpu=gpu,
        local_nvme_gb=disks * _LOCAL_DISK_GB,
        burstable=row.is_shared_cpu,
        bare_metal=row.name.endswith("-metal"),
    )


def _gpu(called: str, count: int, known: Mapping[str, InstanceType]) -> Gpu | None:
    """``nvidia-l4`` or ``nvidia-h100-80gb`` as the known type of that device has it."""
    wanted = called.lower().replace("nvidia-", "").replace("tesla-", "").replace("-", "")
    for type_ in known.values():
        if type_.gpu and wanted in (_plain(type_.gpu), _plain(type_.gpu) + f"{type_.gpu.memory_gib:g}gb"):
            return Gpu(type_.gpu.manufacturer, type_.gpu.sku, count, type_.gpu.memory_gib)
    return None


def _plain(gpu: Gpu) -> str:
    return gpu.sku.lower().replace("-", "")
