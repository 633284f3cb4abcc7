"""What a warm pool costs to keep: the disks of the machines that stand by, and the machines while they run.

A stopped machine costs its disks and nothing else. That is the price of being there in seconds, and it should be known
before the pool is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from stratos.apis.awsnodeclass import AWS_NODE_CLASS, AWSNodeClass, AWSNodeClassSpec, BlockDeviceMapping
from stratos.apis.nodeclasses import class_of_pool
from stratos.apis.nodepool import NODE_POOL, NodePool
from stratos.base.errors import Invalid, NotFound
from stratos.catalog.allocatable import default_disk_gib
from stratos.catalog.catalog import Catalog
from stratos.catalog.disks import DEFAULT_VOLUME_TYPE, disk_usd_per_month
from stratos.catalog.instance_type import CapacityType

T = TypeVar("T")

_CLOUD = "aws"  # the only one whose node classes there are


@dataclass(frozen=True, slots=True)
class PoolQuote:
    """``reason`` says why there is no price."""

    name: str
    min_standby: int
    pool_size: int
    instance_type: str = ""
    disks: tuple[str, ...] = ()  # of each machine, in words
    disks_usd_per_month: float = 0.0  # of each machine, running or not
    price_usd_per_hour: float = 0.0  # of each machine while it runs
    reason: str = ""

    @property
    def standby_usd_per_month(self) -> float:
        return self.min_standby * self.disks_usd_per_month

    @property
    def most_usd_per_hour(self) -> float:
        """With all its machines running, without their disks."""
        return self.pool_size * self.price_usd_per_hour


@dataclass(frozen=True, slots=True)
class WarmPools:
    """The pools among some manifests, and the classes that they may name."""

    pools: tuple[NodePool, ...]
    classes: Mapping[str, AWSNodeClass]

    def quotes(self, catalog: Catalog) -> tuple[PoolQuote, ...]:
        """What each costs in the catalog's region; nothing in a cloud that they have no classes for."""
        return tuple(self._quote(pool, catalog) for pool in self.pools) if catalog.cloud == _CLOUD else ()

    def _quote(self, pool: NodePool, catalog: Catalog) -> PoolQuote:
        quote = PoolQuote(pool.metadata.name, pool.spec.min_standby, pool.spec.pool_size)
        ref = class_of_pool(pool)
        spec = self._class_spec(pool)
        if spec is None:
            return replace(quote, reason=f"{ref.kind} {ref.name} is not among the manifests")
        name = spec.instance_type
        if name is None:
            return replace(quote, reason=f"{ref.kind} {ref.name} names no instanceType")
        try:
            offerings = catalog.offerings(name)
        except NotFound as error:
            return replace(quote, instance_type=name, reason=error.message)
        prices = [each.price_usd_per_hour for each in offerings if each.capacity_type is CapacityType.ON_DEMAND]
        if not prices:
            return replace(quote, instance_type=name, reason=f"{name} has no on-demand price in {catalog.region}")
        disks = spec.block_device_mappings or (BlockDeviceMapping("root", default_disk_gib(_CLOUD)),)
        return replace(
            quote,
            instance_type=name,
            disks=tuple(map(_in_words, disks)),
            disks_usd_per_month=sum(map(_usd_per_month, disks)),
            price_usd_per_hour=min(prices),
        )

    def _class_spec(self, pool: NodePool) -> AWSNodeClassSpec | None:
        if pool.spec.template.aws is not None:
            return _converted(pool.spec.template.aws, AWSNodeClassSpec, f"nodepool/{pool.metadata.name}")
        found = self.classes.get(class_of_pool(pool).name)
        return found.spec if found else None


def read_warm_pools(objects: Sequence[Mapping[str, Any]]) -> WarmPools:
    """Raises `Invalid` naming the object and the field."""
    pools = _of_kind(objects, NODE_POOL.kind, NodePool)
    classes = _of_kind(objects, AWS_NODE_CLASS.kind, AWSNodeClass)
    return WarmPools(pools, {each.metadata.name: each for each in classes})


def _of_kind(objects: Sequence[Mapping[str, Any]], kind: str, type_: type[T]) -> tuple[T, ...]:
    return tuple(
        _converted(obj, type_, f"{kind.lower()}/{(obj.get('metadata') or {}).get('name', '')}")
        for obj in objects
        if obj.get("kind") == kind
    )


def _converted(value: object, type_: type[T], title: str) -> T:
    try:
        return msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{title}: {error}") from error


def _usd_per_month(disk: BlockDeviceMapping) -> float:
    return disk_usd_per_month(disk.volume_size, disk.volume_type, iops=disk.iops, throughput=disk.throughput)


def _in_words(disk: BlockDeviceMapping) -> str:
    more = [f"{disk.iops} IOPS"] * bool(disk.iops) + [f"{disk.throughput} MiB/s"] * bool(disk.throughput)
    return ", ".join((f"{disk.volume_size} GiB {disk.volume_type or DEFAULT_VOLUME_TYPE}", *more))
