"""A set of one's own: pods and instance types from two JSON files, checked field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stratos.apis import labels
from stratos.apis.meta import ObjectMeta
from stratos.apis.pod import (
    Affinity,
    Container,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    ResourceRequirements,
    SelectorRequirement,
)
from stratos.base.errors import Invalid
from stratos.base.quantity import GIBIBYTE, MEBIBYTE, parse_quantity
from stratos.catalog.instance_type import CapacityType
from stratos.cli.bench.sets import BenchSet, candidate
from stratos.cli.reading import read_bytes
from stratos.planning.packing.problem import Candidate

MOST_BYTES = 200 * MEBIBYTE
ANYWHERE = "zone-a"
_FORM = "`stratos bench packing --help` shows the form of both files, which are JSON"

Cores = float | str  # a number of cores, or a quantity such as 250m


class PodRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    cpu: Cores
    mem_mib: float
    gpu: int = 0
    gpu_skus: list[str] = []
    arch: str = ""
    zone: str = ""
    node_selector: dict[str, str] = {}


class TypeRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    vcpu: float
    mem_gib: float
    pods: int = 110
    arch: str = "amd64"
    os: str = "linux"
    price_on_demand: float | None = None
    price_spot: float | None = None
    zones: list[str] = []
    gpu: int = 0
    gpu_sku: str = ""


class Overhead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a machine keeps for itself."""

    cpu: Cores = 0
    mem_mib: float = 0


class TypesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    types: list[TypeRow]
    overhead: Overhead = Overhead()


def read_set(pods_file: Path, types_file: Path, zones: tuple[str, ...], pricing: str) -> BenchSet:
    """Types are sold in those of their zones that ``zones`` names, if any; types that name none in all of them.

    Raises `Invalid` naming the file and the place in it.
    """
    pods = _read(pods_file, list[PodRow])
    types = _read(types_file, TypesFile)
    terms = tuple(CapacityType) if pricing == "both" else (CapacityType(pricing),)
    _refuse_doubles(pods_file, [pod.name for pod in pods])
    _refuse_doubles(types_file, [type_.name for type_ in types.types])
    return BenchSet(
        pods=[_pod(row, f"{pods_file}: [{index}]") for index, row in enumerate(pods)],
        candidates=[
            each
            for index, row in enumerate(types.types)
            for each in _candidates(row, types.overhead, zones, terms, f"{types_file}: types[{index}]")
        ],
        existing=[],
    )


_T = TypeVar("_T")


def _read(file: Path, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(read_bytes(file, most_bytes=MOST_BYTES, hint=_FORM), type=shape)
    except msgspec.DecodeError as error:
        raise Invalid(f"{file}: {error}", hint=_FORM) from error


def _refuse_doubles(file: Path, names: list[str]) -> None:
    seen = set()
    for index, name in enumerate(names):
        if name in seen:
            raise Invalid(f"{file}: entry {index}: the name {name!r} is taken by an entry before it")
        seen.add(name)


def _pod(row: PodRow, place: str) -> Pod:
    if row.mem_mib < 0 or row.gpu < 0:
        raise Invalid(f"{place}: {row.name} asks for less than nothing", hint="what a pod asks for is 0 or more")
    requests: dict[str, Any] = {
        "cpu": f"{_millis(row.cpu, place)}m",
        "memory": round(row.mem_mib * MEBIBYTE),
    }
    if row.gpu:
        requests["nvidia.com/gpu"] = row.gpu
    selector = dict(row.node_selector)
    if row.arch:
        selector[labels.ARCH] = row.arch
    if row.zone:
        selector[labels.ZONE] = row.zone
    skus = SelectorRequirement(labels.GPU_SKU, "In", tuple(row.gpu_skus))
    required = NodeSelector((NodeSelectorTerm(match_expressions=(skus,)),))
    return Pod(
        metadata=ObjectMeta(name=row.name, namespace="default"),
        spec=PodSpec(
            containers=(Container(name="main", resources=ResourceRequirements(requests=requests)),),
            node_selector=selector,
            affinity=Affinity(node_affinity=NodeAffinity(required=required)) if row.gpu_skus else None,
        ),
    )


def _candidates(
    row: TypeRow, overhead: Overhead, zones: tuple[str, ...], terms: tuple[CapacityType, ...], place: str
) -> list[Candidate]:
    prices = {CapacityType.ON_DEMAND: row.price_on_demand, CapacityType.SPOT: row.price_spot}
    allocatable = {
        "cpu": round(row.vcpu * 1000) - _millis(overhead.cpu, "overhead"),
        "memory": round(row.mem_gib * GIBIBYTE) - round(overhead.mem_mib * MEBIBYTE),
        "pods": row.pods,
    }
    if row.gpu:
        allocatable["nvidia.com/gpu"] = row.gpu
    own_labels = {labels.ARCH: row.arch, labels.OS: row.os}
    if row.gpu_sku:
        own_labels[labels.GPU_SKU] = row.gpu_sku
    sold_in = [zone for zone in row.zones if not zones or zone in zones] if row.zones else (zones or [ANYWHERE])
    found = []
    for term in terms:
        price = prices[term]
        if price is None:
            continue
        if price < 0:
            raise Invalid(f"{place}: the {term} price of {row.name} is {price}", hint="prices are 0 or more, in $/h")
        found += [candidate(row.name, allocatable, zone, term, price, **own_labels) for zone in sold_in]
    return found


def _millis(cores: Cores, place: str) -> int:
    try:
        millis = round(parse_quantity(cores) * 1000)
    except Invalid as error:
        raise Invalid(f"{place}: cpu: {error.message}", hint="cores as a number, or a quantity such as 250m") from error
    if millis < 0:
        raise Invalid(f"{place}: cpu: {cores} is less than nothing", hint="cores are 0 or more")
    return millis
