"""What constraints ask of an instance type that no catalog column says: its processor's maker, what it is good at.

Clouds tell these by the names of their families, so they are read from there. What a name does not tell is unknown,
and satisfies no constraint that asks for it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stratos.base.quantity import GIBIBYTE
from stratos.catalog.instance_type import Gpu, InstanceType

_AWS_FAMILY = re.compile(r"(?P<series>[a-z]+)\d+(?P<features>[a-z]*)")
_GCP_AMD = ("n2d", "c2d", "c3d", "c4d", "n4d", "t2d", "h4d", "g4")
_GCP_INTEL = ("n1", "n2", "n4", "c2", "c3", "c4", "m1", "m2", "m3", "x4", "z3", "h3", "a2", "a3", "g2")
_AZURE_TYPE = re.compile(r"(?:Standard|Basic)_(?P<series>[A-Z]+)\d+(?:-\d+)?(?P<features>[a-z]*)(?P<rest>\w*)")
_OCI_AMPERE = ("VM.Standard.A", "BM.Standard.A")
_OCI_AMD = ("VM.Standard.E", "BM.Standard.E", "VM.DenseIO.E", "BM.DenseIO.E", "VM.Standard3.E")
_OCI_INTEL = ("VM.Standard2", "VM.Standard3", "BM.Standard2", "BM.Standard3", "VM.Optimized3", "BM.Optimized3")

_COMPUTE_SERIES = {"aws": ("c", "hpc"), "gcp": ("c", "h"), "azure": ("F", "FX")}
_LEAN_MEMORY_BYTES_PER_CORE = 2 * GIBIBYTE


@lru_cache(maxsize=16384)
def cpu_manufacturer(cloud: str, instance_type: str, arch: str) -> str:
    """``AMD``, ``INTEL``, ``AMPERE``, ``AWS``, ``GOOGLE`` or ``MICROSOFT``; empty when the name does not tell."""
    match cloud:
        case "aws":
            return _aws_cpu(instance_type, arch)
        case "gcp":
            return _gcp_cpu(instance_type.partition("-")[0], arch)
        case "azure":
            return _azure_cpu(instance_type, arch)
        case "oci":
            return _oci_cpu(instance_type)
        case _:
            return ""


def is_compute_optimized(cloud: str, instance_type: InstanceType) -> bool:
    """Of a series that the cloud sells for its processors; where it has none, with little memory for its cores."""
    if instance_type.burstable or instance_type.gpu is not None:
        return False
    series = _COMPUTE_SERIES.get(cloud)
    if series is None:
        return instance_type.memory_bytes <= _LEAN_MEMORY_BYTES_PER_CORE * instance_type.vcpu
    return _series(cloud, instance_type.name) in series


def is_storage_optimized(instance_type: InstanceType) -> bool:
    return instance_type.local_nvme_gb > 0


def has_extended_memory(instance_type: InstanceType) -> bool:
    """More memory than a shape made to measure may have for its cores, against a surcharge."""
    return instance_type.custom and instance_type.name.endswith("-ext")


def is_gpu_named(gpu: Gpu, wanted: str) -> bool:
    """``A100`` means both ``A100-40`` and ``A100-80``. Upper or lower case, and the maker's name before it, are the
    same."""
    sku, name = gpu.sku.casefold(), wanted.casefold().strip()
    name = name.removeprefix(gpu.manufacturer.casefold()).lstrip("- ")
    return sku == name or sku.startswith(f"{name}-")


def _series(cloud: str, name: str) -> str:
    match cloud:
        case "aws":
            found = _AWS_FAMILY.match(name)
            return found["series"] if found else ""
        case "gcp":
            return name[:1] if name[1:2].isdigit() else ""
        case "azure":
            found = _AZURE_TYPE.match(name)
            return found["series"] if found else ""
        case _:
            return ""


def _aws_cpu(name: str, arch: str) -> str:
    if arch == "arm64":
        return "AWS"
    found = _AWS_FAMILY.match(name)
    return "" if found is None else "AMD" if "a" in found["features"] else "INTEL"


def _gcp_cpu(family: str, arch: str) -> str:
    if arch == "arm64":
        return "AMPERE" if family == "t2a" else "GOOGLE"
    return "AMD" if family in _GCP_AMD else "INTEL" if family in _GCP_INTEL else ""


def _azure_cpu(name: str, arch: str) -> str:
    found = _AZURE_TYPE.match(name)
    if arch == "arm64":
        return "MICROSOFT" if found is not None and found["rest"].endswith("v6") else "AMPERE"
    return "" if found is None else "AMD" if "a" in found["features"] else "INTEL"


def _oci_cpu(name: str) -> str:
    if name.startswith(_OCI_AMPERE):
        return "AMPERE"
    return "AMD" if name.startswith(_OCI_AMD) else "INTEL" if name.startswith(_OCI_INTEL) else ""
