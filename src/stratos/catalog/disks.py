"""What a disk costs while it is kept, whether its machine runs or not: that is the price of standing by.

List prices of Elastic Block Store in us-east-1 and us-west-2 (aws.amazon.com/ebs/pricing, read 2026-08); most other
regions ask up to a quarter more. The simulated cloud asks the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stratos.catalog.instance_type import HOURS_PER_MONTH

DEFAULT_VOLUME_TYPE = "gp3"


@dataclass(frozen=True, slots=True)
class DiskPrice:
    """US dollars a month, by GiB; and by what is asked for above the ``free`` amounts that come with any disk."""

    per_gib: float
    per_iops: float = 0.0
    free_iops: int = 0
    per_mib_per_second: float = 0.0
    free_mib_per_second: int = 0


DISK_PRICES: Mapping[str, DiskPrice] = {
    "gp3": DiskPrice(0.08, per_iops=0.005, free_iops=3000, per_mib_per_second=0.04, free_mib_per_second=125),
    "gp2": DiskPrice(0.10),
    "io1": DiskPrice(0.125, per_iops=0.065),
    "io2": DiskPrice(0.125, per_iops=0.065),
    "st1": DiskPrice(0.045),
    "sc1": DiskPrice(0.015),
    "standard": DiskPrice(0.05),
}


def disk_usd_per_month(
    size_gib: int, volume_type: str | None = None, *, iops: int | None = None, throughput: int | None = None
) -> float:
    """``throughput`` in MiB per second. A type that is not known costs as the default one."""
    price = DISK_PRICES.get(volume_type or DEFAULT_VOLUME_TYPE, DISK_PRICES[DEFAULT_VOLUME_TYPE])
    return (
        size_gib * price.per_gib
        + max(0, (iops or 0) - price.free_iops) * price.per_iops
        + max(0, (throughput or 0) - price.free_mib_per_second) * price.per_mib_per_second
    )


def disk_usd_per_hour(
    size_gib: int, volume_type: str | None = None, *, iops: int | None = None, throughput: int | None = None
) -> float:
    return disk_usd_per_month(size_gib, volume_type, iops=iops, throughput=throughput) / HOURS_PER_MONTH
