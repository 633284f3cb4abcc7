"""What a node class comes to when its selectors are looked up in the cloud.

Four parts are looked up, and each can fail alone with its reason; the rest of the class is carried along, so that a
launch needs nothing but this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from stratos.apis.node import Taint
from stratos.base.errors import NotReady
from stratos.catalog.instance_type import CapacityType
from stratos.providers.contract.machine import Bootstrap, Disk, LaunchRequest, SecurityGroup, Subnet


class NodeClassPart(StrEnum):
    """The parts of a node class that are looked up; the value is the condition that reports on it."""

    IMAGE = "AMIReady"
    SUBNETS = "SubnetsReady"
    SECURITY_GROUPS = "SecurityGroupsReady"
    INSTANCE_PROFILE = "InstanceProfileReady"


class FailureReason(StrEnum):
    NO_MATCHING_RESOURCES = "NoMatchingResources"
    RESOLUTION_FAILED = "ResolutionFailed"
    INVALID_IMAGE = "InvalidAMI"
    ROLE_NOT_FOUND = "RoleNotFound"
    ROLE_UPDATE_FAILED = "RoleUpdateFailed"


@dataclass(frozen=True, slots=True)
class PartFailure:
    part: NodeClassPart
    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True)
class ResolvedNodeClass:
    """A node class, ready to launch from unless ``failures`` says which part is missing, and why."""

    instance_type: str  # empty: the class leaves it to whoever launches
    image: str = ""
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    instance_profile: str = ""
    failures: tuple[PartFailure, ...] = ()
    spot_instance_types: tuple[str, ...] = ()
    spot_max_price_usd_per_hour: float | None = None
    disks: tuple[Disk, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    node_labels: Mapping[str, str] = field(default_factory=dict)
    node_taints: tuple[Taint, ...] = ()
    max_pods: int | None = None
    extra_script: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)  # what only this cloud understands

    @property
    def ready(self) -> bool:
        return not self.failures

    @property
    def disk_gib(self) -> int | None:
        """The size of the root disk, if the class says one."""
        return self.disks[0].size_gib if self.disks else None

    def failure(self, part: NodeClassPart) -> PartFailure | None:
        return next((failure for failure in self.failures if failure.part == part), None)

    def launch_request(
        self,
        *,
        token: str,
        bootstrap: Bootstrap,
        capacity_type: CapacityType = CapacityType.ON_DEMAND,
        tags: Mapping[str, str] | None = None,
        first_subnet: int = 0,
        instance_types: tuple[str, ...] = (),
    ) -> LaunchRequest:
        """Ask for one machine of this class. What the caller says about tags and nodes adds to what the class says.

        ``first_subnet`` (any number, taken modulo their count) turns the order of subnets, so that launches rotate.
        ``instance_types`` stand in for those of the class.
        """
        if self.failures:
            first = self.failures[0]
            raise NotReady(
                f"the node class cannot launch: {first.part} is False ({first.reason})", looked_at=(first.message,)
            )
        spot = capacity_type is CapacityType.SPOT
        turn = first_subnet % len(self.subnets)
        return LaunchRequest(
            token=token,
            instance_types=instance_types or (self.spot_instance_types if spot else ()) or (self.instance_type,),
            subnets=self.subnets[turn:] + self.subnets[:turn],
            image=self.image,
            bootstrap=replace(
                bootstrap,
                node_labels={**self.node_labels, **bootstrap.node_labels},
                node_taints=(*self.node_taints, *bootstrap.node_taints),
                max_pods=bootstrap.max_pods if bootstrap.max_pods is not None else self.max_pods,
                extra_script="\n".join(part for part in (self.extra_script, bootstrap.extra_script) if part),
            ),
            capacity_type=capacity_type,
            security_groups=self.security_groups,
            instance_profile=self.instance_profile,
            disks=self.disks,
            tags={**self.tags, **(tags or {})},
            max_price_usd_per_hour=self.spot_max_price_usd_per_hour if spot else None,
            settings=self.settings,
        )
