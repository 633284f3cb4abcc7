"""EC2 instances, read: by id, by tags, by the token they were launched with.

All reads go by filters and not by ids. A filter answers with what it finds, where a list of ids is refused as a whole
because of one that EC2 does not show (yet); and listings by filter come in pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stratos.apis.labels import TAG_LAUNCH_TOKEN
from stratos.catalog.catalog import Catalog
from stratos.providers.aws.batching import Batched
from stratos.providers.aws.clients import AwsClients
from stratos.providers.contract import CapacityType, Machine, MachineState

_PAGE = {"PageSize": 1000}


@dataclass(frozen=True, slots=True)
class Instance:
    machine: Machine
    hibernates: bool = False  # was launched so that it can


class Instances:
    def __init__(self, clients: AwsClients, catalog: Catalog) -> None:
        self._clients = clients
        self._catalog = catalog
        self._by_id = Batched(self._ask_by_id)
        self._by_launch_token = Batched(self._ask_by_launch_token)

    async def by_id(self, ids: Iterable[str]) -> dict[str, Instance]:
        """Those that EC2 shows. Instances just launched may be missing for some seconds."""
        return await self._by_id.get(ids)

    async def by_tags(self, tags: Mapping[str, str]) -> list[Instance]:
        return await self._find({f"tag:{key}": (value,) for key, value in tags.items()})

    async def by_launch_token(self, token: str) -> Instance | None:
        """The instance that was launched with the token, terminated or not, if EC2 shows it."""
        return (await self._by_launch_token.get((token,))).get(token)

    async def _ask_by_id(self, ids: tuple[str, ...]) -> dict[str, Instance]:
        return {found.machine.id: found for found in await self._find({"instance-id": ids})}

    async def _ask_by_launch_token(self, tokens: tuple[str, ...]) -> dict[str, Instance]:
        found = await self._find({f"tag:{TAG_LAUNCH_TOKEN}": tokens})
        return {instance.machine.tags[TAG_LAUNCH_TOKEN]: instance for instance in found}

    async def _find(self, filters: Mapping[str, tuple[str, ...]]) -> list[Instance]:
        reservations = await self._clients.pages(
            "ec2",
            "describe_instances",
            "Reservations",
            Filters=[{"Name": name, "Values": list(values)} for name, values in filters.items()],
            PaginationConfig=_PAGE,
        )
        found = [read_instance(row, self._catalog) for each in reservations for row in each["Instances"]]
        return sorted(found, key=lambda instance: instance.machine.id)


def read_instance(row: Mapping[str, Any], catalog: Catalog) -> Instance:
    """An instance as EC2 describes it in the answers of its calls."""
    instance_type, zone = row["InstanceType"], row["Placement"]["AvailabilityZone"]
    capacity_type = CapacityType.SPOT if row.get("InstanceLifecycle") == "spot" else CapacityType.ON_DEMAND
    machine = Machine(
        id=row["InstanceId"],
        provider_id=provider_id(zone, row["InstanceId"]),
        state=MachineState(row["State"]["Name"]),
        instance_type=instance_type,
        zone=zone,
        capacity_type=capacity_type,
        image=row["ImageId"],
        tags={tag["Key"]: tag["Value"] for tag in row.get("Tags", ())},
        launched_at=row["LaunchTime"],  # EC2 sets it anew at each start
        price_usd_per_hour=price(catalog, instance_type, zone, capacity_type),
        private_ip=row.get("PrivateIpAddress", ""),
        state_reason=row.get("StateReason", {}).get("Code", ""),
    )
    return Instance(machine, hibernates=row.get("HibernationOptions", {}).get("Configured", False))


def provider_id(zone: str, instance_id: str) -> str:
    """As nodes on EC2 carry it."""
    return f"aws:///{zone}/{instance_id}"


def price(catalog: Catalog, instance_type: str, zone: str, capacity_type: CapacityType) -> float:
    """By the catalog. The letters of zones differ between accounts, so that another zone's price may have to do."""
    offerings = [
        offering
        for offering in catalog.offerings_by_type.get(instance_type, ())
        if offering.capacity_type is capacity_type
    ]
    there = next((offering for offering in offerings if offering.zone == zone), None)
    return there.price_usd_per_hour if there else max((each.price_usd_per_hour for each in offerings), default=0.0)
