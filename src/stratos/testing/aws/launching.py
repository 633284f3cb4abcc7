"""What a launch asks for, put together from the call and its launch template, and whether it may have it.

moto launches whatever it is asked for; this says no as EC2 does: unknown types and images, stock, quotas, prices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stratos.base.errors import NotFound
from stratos.catalog.catalog import Catalog
from stratos.providers.contract import CapacityType, Offering, OfferingKey
from stratos.testing.aws import xml
from stratos.testing.aws.calls import AwsError
from stratos.testing.aws.faults import AwsFaults
from stratos.testing.aws.instances import UP, Instance
from stratos.testing.aws.moto import Moto

_OVERRIDE = re.compile(r"LaunchTemplateConfigs\.(\d+)\.Overrides\.(\d+)\.(.+)")


@dataclass(frozen=True, slots=True)
class Wish:
    """One way to satisfy a launch."""

    instance_type: str
    zone: str
    subnet: str
    image: str
    capacity_type: CapacityType
    max_price_usd_per_hour: float | None = None
    priority: float = 0.0
    template: Mapping[str, str] = field(default_factory=dict)  # of a fleet: the launch template it is made from
    override: Mapping[str, str] = field(default_factory=dict)  # … and what is put in place of parts of it

    @property
    def offering(self) -> OfferingKey:
        return OfferingKey(self.instance_type, self.zone, self.capacity_type)


class Sales:
    """What this account may have. Raises `AwsError`, or `MotoRefused` for what moto does not know."""

    def __init__(self, moto: Moto, catalog: Catalog, faults: AwsFaults, machines: Mapping[str, Instance]) -> None:
        self._moto = moto
        self._catalog = catalog
        self._faults = faults
        self._machines = machines
        self._zones: dict[str, str] = {}  # by subnet

    async def wish_of_run(self, form: Mapping[str, str]) -> Wish:
        template = _under(form, "LaunchTemplate")
        wish = await self._template_wish(template) if template else Wish("", "", "", "", CapacityType.ON_DEMAND)
        subnet = form.get("SubnetId") or form.get("NetworkInterface.1.SubnetId") or wish.subnet
        spot = form.get("InstanceMarketOptions.MarketType") == "spot" or wish.capacity_type is CapacityType.SPOT
        return replace(
            wish,
            instance_type=form.get("InstanceType") or wish.instance_type or "m1.small",
            subnet=subnet,
            zone=await self._zone(subnet) if subnet else form.get("Placement.AvailabilityZone", ""),
            image=form.get("ImageId") or wish.image,
            capacity_type=CapacityType.SPOT if spot else CapacityType.ON_DEMAND,
            max_price_usd_per_hour=_price(form.get("InstanceMarketOptions.SpotOptions.MaxPrice")),
        )

    async def wishes_of_fleet(self, form: Mapping[str, str]) -> list[Wish]:
        """Every override, the one that EC2 would try first before the others."""
        target = form.get("TargetCapacitySpecification.DefaultTargetCapacityType", "on-demand")
        spot = target == "spot" or int(form.get("TargetCapacitySpecification.SpotTargetCapacity") or 0) > 0
        capacity_type = CapacityType.SPOT if spot else CapacityType.ON_DEMAND
        overrides: dict[tuple[int, int], dict[str, str]] = {}
        for key, value in form.items():
            if found := _OVERRIDE.fullmatch(key):
                overrides.setdefault((int(found[1]), int(found[2])), {})[found[3]] = value
        templates: dict[int, Wish] = {}
        wishes = []
        for (config, _), override in sorted(overrides.items()):
            template = _under(form, f"LaunchTemplateConfigs.{config}.LaunchTemplateSpecification")
            if config not in templates:
                templates[config] = await self._template_wish(template)
            wish = templates[config]
            subnet = override.get("SubnetId") or wish.subnet
            wishes.append(
                replace(
                    wish,
                    instance_type=override.get("InstanceType") or wish.instance_type,
                    subnet=subnet,
                    zone=await self._zone(subnet) if subnet else override.get("AvailabilityZone", ""),
                    image=override.get("ImageId") or wish.image,
                    capacity_type=capacity_type,
                    max_price_usd_per_hour=_price(override.get("MaxPrice")),
                    priority=float(override.get("Priority") or 0),
                    template=template,
                    override=override,
                )
            )
        strategy = form.get("SpotOptions.AllocationStrategy" if spot else "OnDemandOptions.AllocationStrategy", "")
        if strategy in ("prioritized", "capacity-optimized-prioritized"):
            return sorted(wishes, key=lambda wish: wish.priority)
        return sorted(wishes, key=self._price_of)

    async def check(self, wish: Wish) -> None:
        """Raise what EC2 says to a launch that cannot be."""
        if wish.image:
            await self._moto.ec2("DescribeImages", {"ImageId.1": wish.image})
        try:
            offerings = self._catalog.offerings(wish.instance_type)
        except NotFound:
            raise AwsError("InvalidParameterValue", f"Invalid value '{wish.instance_type}' for InstanceType.") from None
        if not any(_sold(offering, wish) for offering in offerings):
            raise AwsError(
                "Unsupported",
                f"Your requested instance type ({wish.instance_type}) is not supported in your requested Availability "
                f"Zone ({wish.zone}).",
            )
        price = self._price_of(wish)
        if wish.max_price_usd_per_hour is not None and price > wish.max_price_usd_per_hour:
            raise AwsError(
                "SpotMaxPriceTooLow",
                f"Your Spot request price of {wish.max_price_usd_per_hour} is lower than the minimum required Spot "
                f"request fulfillment price of {price}.",
            )
        self.check_start(wish.offering)

    def check_start(self, offering: OfferingKey) -> None:
        """Whether a machine of this kind may be up, launched or started."""
        if offering in self._faults.out_of_stock:
            raise AwsError(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {offering.instance_type} capacity in the Availability Zone you "
                f"requested ({offering.zone}). Our system will be working on provisioning additional capacity.",
                500,
            )
        most = self._faults.max_vcpus.get(offering.capacity_type)
        used = self._used_vcpus()
        if most is None or used[offering.capacity_type] + self._vcpus(offering.instance_type) <= most:
            return
        if offering.capacity_type is CapacityType.SPOT:
            raise AwsError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
        raise AwsError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {most} allows for the instance "
            "bucket that the specified instance type belongs to.",
        )

    def _used_vcpus(self) -> Counter[CapacityType]:
        used: Counter[CapacityType] = Counter()
        for machine in self._machines.values():
            if machine.state in UP:
                used[machine.offering.capacity_type] += self._vcpus(machine.offering.instance_type)
        return used

    def _vcpus(self, instance_type: str) -> int:
        return self._catalog.instance_type(instance_type).vcpu

    def _price_of(self, wish: Wish) -> float:
        """What it costs, and more than anything where it is not sold."""
        try:
            offerings = self._catalog.offerings(wish.instance_type)
        except NotFound:
            return float("inf")
        return min((each.price_usd_per_hour for each in offerings if _sold(each, wish)), default=float("inf"))

    async def _template_wish(self, template: Mapping[str, str]) -> Wish:
        names = {key: value for key, value in template.items() if key != "Version"}
        version = template.get("Version") or "$Default"
        root = await self._moto.ec2("DescribeLaunchTemplateVersions", {**names, "LaunchTemplateVersion.1": version})
        data = next(iter(xml.items(root, "launchTemplateVersionSet")))
        subnets = [xml.text(each, "subnetId") for each in xml.items(data, "launchTemplateData", "networkInterfaceSet")]
        market = xml.text(data, "launchTemplateData", "instanceMarketOptions", "marketType")
        return Wish(
            instance_type=xml.text(data, "launchTemplateData", "instanceType"),
            zone="",
            subnet=next(filter(None, subnets), ""),
            image=xml.text(data, "launchTemplateData", "imageId"),
            capacity_type=CapacityType.SPOT if market == "spot" else CapacityType.ON_DEMAND,
        )

    async def _zone(self, subnet: str) -> str:
        if subnet not in self._zones:
            root = await self._moto.ec2("DescribeSubnets", {"SubnetId.1": subnet})
            self._zones[subnet] = xml.text(next(xml.items(root, "subnetSet")), "availabilityZone")
        return self._zones[subnet]


def _under(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(f"{prefix}."): value for key, value in form.items() if key.startswith(f"{prefix}.")}


def _price(said: str | None) -> float | None:
    return float(said) if said else None


def _sold(offering: Offering, wish: Wish) -> bool:
    return offering.capacity_type is wish.capacity_type and wish.zone in ("", offering.zone)
