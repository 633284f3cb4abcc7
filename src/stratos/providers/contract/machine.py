"""Machines as a provider shows them, and what it needs to know to launch one.

All of these are plain values. What a machine means to a pool (standby, running, …) is for the controllers to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from stratos.apis.node import Taint
from stratos.apis.nodeclaim import InterruptionKind
from stratos.catalog.instance_type import CapacityType, InstanceType, Offering
from stratos.snapshot.machine import MachineState


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as the cloud described it. The description may be a few seconds old."""

    id: str
    provider_id: str  # what its node carries in spec.providerID
    state: MachineState
    instance_type: str
    zone: str
    capacity_type: CapacityType
    image: str
    tags: Mapping[str, str]
    launched_at: datetime
    price_usd_per_hour: float  # while it runs
    private_ip: str = ""
    state_reason: str = ""  # why it left its former state, in the cloud's words; empty when all went as asked


class ImagePullPolicy(StrEnum):
    """What a failed image pre-pull means: a warm-up that failed, or one that did what it could."""

    REQUIRED = "Required"
    BEST_EFFORT = "BestEffort"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What the host's own software does when the machine boots. Providers carry it there in their way (user data)."""

    cluster_name: str
    node_name: str | None = None  # None: the cloud's name for the host
    node_labels: Mapping[str, str] = field(default_factory=dict)
    node_taints: tuple[Taint, ...] = ()
    max_pods: int | None = None  # None: what the instance type allows
    images_to_pull: tuple[str, ...] = ()
    images_to_try: tuple[str, ...] = ()  # worth having on disk as well, and no reason to fail
    image_pull_policy: ImagePullPolicy = ImagePullPolicy.REQUIRED
    power_off_when_ready: bool = False  # on the first boot only, once the node is ready and its images are pulled
    extra_script: str = ""  # runs on the first boot, before the node joins


@dataclass(frozen=True, slots=True)
class Disk:
    device_name: str
    size_gib: int
    volume_type: str = "gp3"
    encrypted: bool = False
    iops: int | None = None
    throughput: int | None = None
    snapshot_id: str = ""  # what is on it from the start; empty: nothing, or what the machine image says


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    zone: str


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """One machine, please. Offerings are tried in order: every subnet for the first type, then for the next."""

    token: str
    instance_types: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    image: str
    bootstrap: Bootstrap
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    security_groups: tuple[SecurityGroup, ...] = ()
    instance_profile: str = ""
    disks: tuple[Disk, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    max_price_usd_per_hour: float | None = None  # for spot; None: up to the on-demand price
    settings: Mapping[str, str] = field(default_factory=dict)  # what only the cloud of the node class understands


@dataclass(frozen=True, slots=True)
class Interruption:
    """What the cloud says of a machine without being asked. It may say the same twice."""

    machine_id: str
    kind: InterruptionKind
    noticed_at: datetime
    deadline: datetime | None = None  # when the machine goes down; only advice and changes of state have none


@dataclass(frozen=True, slots=True)
class MachineShape:
    """What a node of a type will report, before it exists. Amounts are those of `stratos.base.quantity`."""

    instance_type: InstanceType
    capacity: Mapping[str, int]
    allocatable: Mapping[str, int]
    offerings: tuple[Offering, ...]
