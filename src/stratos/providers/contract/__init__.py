"""What every cloud must do for Stratos, and the words it is said in. No cloud is named here."""

from stratos.apis.nodeclaim import InterruptionKind
from stratos.base.errors import (
    Forbidden,
    InsufficientCapacity,
    Invalid,
    NotFound,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    Unavailable,
)
from stratos.catalog.instance_type import CapacityType, InstanceType, Offering
from stratos.providers.contract.errors import (
    MachineBusy,
    MachineGone,
    MachineNotFound,
    NotStoppable,
    OfferingKey,
    OutOfStock,
)
from stratos.providers.contract.machine import (
    Bootstrap,
    Disk,
    ImagePullPolicy,
    Interruption,
    LaunchRequest,
    Machine,
    MachineShape,
    SecurityGroup,
    Subnet,
)
from stratos.providers.contract.node_class import FailureReason, NodeClassPart, PartFailure, ResolvedNodeClass
from stratos.providers.contract.provider import Provider
from stratos.providers.contract.rate_limited import ProviderMetrics, RateLimited
from stratos.snapshot.machine import MachineState

__all__ = [
    "Bootstrap",
    "CapacityType",
    "Disk",
    "FailureReason",
    "Forbidden",
    "ImagePullPolicy",
    "InstanceType",
    "InsufficientCapacity",
    "Interruption",
    "InterruptionKind",
    "Invalid",
    "LaunchRequest",
    "Machine",
    "MachineBusy",
    "MachineGone",
    "MachineNotFound",
    "MachineShape",
    "MachineState",
    "NodeClassPart",
    "NotFound",
    "NotStoppable",
    "Offering",
    "OfferingKey",
    "OutOfStock",
    "PartFailure",
    "Provider",
    "ProviderMetrics",
    "QuotaExceeded",
    "RateLimited",
    "ResolvedNodeClass",
    "SecurityGroup",
    "Subnet",
    "Throttled",
    "Unauthorized",
    "Unavailable",
]
