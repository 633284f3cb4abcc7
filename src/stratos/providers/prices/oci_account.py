"""What Oracle Cloud tells only to its customers: the sizes of its fixed shapes. Flexible ones have any one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stratos.base.errors import NotReady
from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType
from stratos.providers.prices.sdk import ask, find_sdk
from stratos.providers.prices.source import KnownRegion


class Shape(Protocol):
    @property
    def shape(self) -> str: ...
    @property
    def ocpus(self) -> float: ...
    @property
    def memory_in_gbs(self) -> float: ...
    @property
    def gpus(self) -> int: ...
    @property
    def is_flexible(self) -> bool: ...
    @property
    def processor_description(self) -> str: ...
    @property
    def networking_bandwidth_in_gbps(self) -> float: ...
    @property
    def local_disks_total_size_in_gbs(self) -> float | None: ...


ListShapes = Callable[[str], Sequence[Shape]]
"""All shapes that a tenancy sees in a region."""


def find_oci_shapes() -> ListShapes:
    """As the configuration file of OCI's own tools says. Raises `NotReady` with the reason why not."""
    sdk: Any = find_sdk("oci", "oci")
    try:
        config = sdk.config.from_file()
    except Exception as error:  # of the SDK, which is not installed everywhere
        raise NotReady(f"OCI configuration: {error}") from error

    def list_shapes(region: str) -> Sequence[Shape]:
        client = sdk.core.ComputeClient({**config, "region": region})
        shapes: Sequence[Shape] = sdk.pagination.list_call_get_all_results(client.list_shapes, config["tenancy"]).data
        return shapes

    return list_shapes


class OciAccount:
    """Raises `Unavailable` when Oracle refuses or does not answer."""

    def __init__(self, list_shapes: ListShapes) -> None:
        self._list_shapes = list_shapes

    async def types(self, known: KnownRegion) -> tuple[InstanceType, ...]:
        def call() -> tuple[InstanceType, ...]:
            shapes = self._list_shapes(known.region)
            fixed = {shape.shape: shape for shape in shapes if not shape.is_flexible}  # each domain lists them anew
            return tuple(type_ for name in sorted(fixed) if (type_ := _instance_type(fixed[name], known)))

        return await ask(f"shapes of {known.region}", call)


def _instance_type(row: Shape, known: KnownRegion) -> InstanceType | None:
    """None for a shape with GPUs of a family not known yet: which they are is told in prose only."""
    family = row.shape.rpartition(".")[0]
    alike = [type_ for type_ in known.types.values() if type_.family == family]
    gpu = None
    if row.gpus:
        kin = next((type_.gpu for type_ in alike if type_.gpu), None)
        if kin is None:
            return None
        gpu = Gpu(kin.manufacturer, kin.sku, row.gpus, kin.memory_gib)
    arm = any(maker in row.processor_description for maker in ("Ampere", "Arm", "Grace"))
    return InstanceType(
        name=row.shape,
        family=family,
        arch="arm64" if arm else "amd64",
        vcpu=int(row.ocpus * (1 if ".A1" in family else 2)),
        memory_bytes=int(row.memory_in_gbs * GIBIBYTE),
        max_pods=max((type_.max_pods for type_ in alike or known.types.values()), default=0),
        gpu=gpu,
        local_nvme_gb=int(row.local_disks_total_size_in_gbs or 0),
        network_gbps=float(row.networking_bandwidth_in_gbps),
        bare_metal=row.shape.startswith("BM."),
    )
