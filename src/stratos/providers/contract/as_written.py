"""What an AWSNodeClass says by itself, before any of it is looked up: the same on EC2 and wherever else it runs."""

from __future__ import annotations

import zlib

from stratos.apis.awsnodeclass import AWSNodeClass, KubeletSettings, SpotConfig
from stratos.base.errors import FieldProblem, Invalid, NotFound
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import InstanceType
from stratos.providers.contract.machine import Disk
from stratos.providers.contract.node_class import ResolvedNodeClass

ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
"""EC2's names of architectures, and Kubernetes'."""


def as_written(node_class: AWSNodeClass, catalog: Catalog) -> ResolvedNodeClass:
    """Raises `Invalid`, naming the field, for instance types that the cloud does not have and a price that is none."""
    spec = node_class.spec
    spot, kubelet = spec.spot_config, spec.kubelet or KubeletSettings()
    if spec.instance_type:
        existing_type(spec.instance_type, "spec.instanceType", catalog)
    for index, name in enumerate(spot.instance_types if spot else ()):
        existing_type(name, f"spec.spotConfig.instanceTypes[{index}]", catalog)
    return ResolvedNodeClass(
        instance_type=spec.instance_type or "",
        spot_instance_types=spot.instance_types if spot else (),
        spot_max_price_usd_per_hour=_max_price(spot),
        disks=tuple(
            Disk(
                device_name=mapping.device_name,
                size_gib=mapping.volume_size,
                volume_type=mapping.volume_type or "gp3",
                encrypted=bool(mapping.encrypted),
                iops=mapping.iops,
                throughput=mapping.throughput,
                snapshot_id=mapping.snapshot_id or "",
            )
            for mapping in spec.block_device_mappings
        ),
        tags=spec.tags,
        node_labels=kubelet.node_labels,
        node_taints=kubelet.node_taints,
        max_pods=kubelet.max_pods,
    )


def existing_type(name: str, field: str, catalog: Catalog) -> InstanceType:
    """The type that a field names. Raises `Invalid`."""
    try:
        return catalog.instance_type(name)
    except NotFound as error:
        problem = FieldProblem(field, "FieldValueInvalid", error.message)
        raise Invalid(f"{field}: {error.message}", problems=(problem,), hint=error.hint) from error


def architecture_conflict(node_class: AWSNodeClass, catalog: Catalog) -> str:
    """In a sentence, how the class's type and its architecture contradict each other. Empty: they do not."""
    spec = node_class.spec
    if not spec.instance_type:
        return ""
    arch = catalog.instance_type(spec.instance_type).arch
    if arch == ARCHITECTURES[spec.architecture]:
        return ""
    return f"{spec.instance_type} is an {arch} machine, and spec.architecture says {ARCHITECTURES[spec.architecture]}"


def generated_profile(cluster_name: str, node_class: AWSNodeClass) -> str:
    """The name of the instance profile that is made for a class with a role. EC2 takes 128 letters."""
    name = f"stratos-{cluster_name}-{node_class.metadata.name}"
    return name if len(name) <= 128 else f"{name[:119]}-{zlib.crc32(name.encode()):08x}"


def _max_price(spot: SpotConfig | None) -> float | None:
    """The limit that a class sets on spot prices; None: the on-demand price."""
    if spot is None or not spot.max_price:
        return None
    try:
        return float(spot.max_price)
    except ValueError as error:
        message = f"{spot.max_price!r} is not a price"
        problem = FieldProblem("spec.spotConfig.maxPrice", "FieldValueInvalid", message)
        hint = "write US dollars per hour, such as 0.05"
        raise Invalid(f"{problem.field}: {message}", problems=(problem,), hint=hint) from error
