"""What the cloud has to sell to a launch or a start: offerings of the catalog, within stock and quota."""

from __future__ import annotations

from collections.abc import Callable

from stratos.base.clock import Clock
from stratos.base.errors import FieldProblem, Invalid
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, Offering
from stratos.providers.contract import LaunchRequest, OfferingKey, OutOfStock
from stratos.providers.simulated.account import Account
from stratos.providers.simulated.market import Quota, Stock


class Sales:
    def __init__(
        self,
        catalog: Catalog,
        account: Account,
        stock: Stock,
        quota: Quota,
        *,
        clock: Clock,
        used_vcpus: Callable[[CapacityType], int],
    ) -> None:
        self._catalog = catalog
        self._account = account
        self._stock = stock
        self._quota = quota
        self._clock = clock
        self._used_vcpus = used_vcpus

    def check(self, request: LaunchRequest) -> None:
        """Raise `Invalid` for a request that could never be served."""
        problems: list[FieldProblem] = []
        if request.image not in {image.id for image in self._account.images}:
            problems.append(FieldProblem("image", "FieldValueInvalid", f"there is no image {request.image!r}"))
        subnets = {subnet.id for subnet in self._account.subnets}
        problems += [
            FieldProblem(f"subnets[{index}]", "FieldValueInvalid", f"there is no subnet {subnet.id!r}")
            for index, subnet in enumerate(request.subnets)
            if subnet.id not in subnets
        ]
        problems += [
            FieldProblem(f"instance_types[{index}]", "FieldValueInvalid", f"there is no instance type {name!r}")
            for index, name in enumerate(request.instance_types)
            if name not in self._catalog.instance_types
        ]
        problems += [
            FieldProblem(f"disks[{index}]", "FieldValueInvalid", f"there is no snapshot {disk.snapshot_id!r}")
            for index, disk in enumerate(request.disks)
            if disk.snapshot_id and disk.snapshot_id not in self._account.snapshots
        ]
        if not self._offerings(request):
            message = "none of the types is sold in any of the zones under these terms"
            problems.append(FieldProblem("instance_types", "FieldValueInvalid", message))
        if problems:
            first = problems[0]
            raise Invalid(f"cannot launch: {first.field}: {first.message}", problems=tuple(problems))

    def choose(self, request: LaunchRequest) -> Offering:
        """The first offering, in the request's order, that can be had. Raises `OutOfStock` and `QuotaExceeded`."""
        tried: list[OfferingKey] = []
        for offering in self._offerings(request):
            key = OfferingKey(offering.instance_type, offering.zone, offering.capacity_type)
            limit = request.max_price_usd_per_hour
            affordable = limit is None or offering.price_usd_per_hour <= limit
            self._check_quota(key)
            if affordable and self._stock.has(key, self._clock.monotonic()):
                return offering
            tried.append(key)
        raise OutOfStock(
            f"no {request.capacity_type} machine to be had among {len(tried)} offerings",
            tried=tuple(tried),
            hint="allow more instance types or zones, or wait",
        )

    def check_start(self, machine_id: str, key: OfferingKey) -> None:
        """A stopped machine needs a host and quota like a new one. Raises `OutOfStock` and `QuotaExceeded`."""
        self._check_quota(key)
        if not self._stock.has(key, self._clock.monotonic()):
            raise OutOfStock(f"machine {machine_id} cannot start: no host is free for it", tried=(key,))

    def _offerings(self, request: LaunchRequest) -> list[Offering]:
        """What the request may be served from, in its order."""
        candidates = (
            self._catalog.offering(instance_type, subnet.zone, request.capacity_type)
            for instance_type in request.instance_types
            for subnet in request.subnets
        )
        return [offering for offering in candidates if offering]

    def _check_quota(self, key: OfferingKey) -> None:
        if self._quota.is_limited(key.capacity_type):
            wanted = self._catalog.instance_type(key.instance_type).vcpu
            self._quota.check(key.capacity_type, self._used_vcpus(key.capacity_type), wanted)
