"""NodeClaim: the ledger. One machine we asked for, why, at what price, and how far it has come.

A claim is written before the cloud is called, and only for a claim is anything launched, started, stopped or
terminated. Its ``uid`` is the idempotency token of the launch, its ``wakes`` count that of each start. Whoever decides
writes the wish (``spec.wanted``); whoever carries it out writes what has become of it (``status``).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from stratos.apis.fields import Count, Duration, described, rules
from stratos.apis.labels import GROUP
from stratos.apis.meta import Condition, Kind, KubeObject, Struct, find_condition, is_condition_true
from stratos.apis.node import Taint
from stratos.apis.nodepool import NodeClassRef


class Wanted(StrEnum):
    """What the claim's machine should come to."""

    STANDBY = "standby"  # prepared and stopped
    RUNNING = "running"  # serving pods
    GONE = "gone"  # terminated, and the claim deleted


class NodeState(StrEnum):
    """Where a machine of a pool is in its life: the values of the ``stratos.sh/state`` label."""

    WARMUP = "warmup"
    STANDBY = "standby"
    RUNNING = "running"
    TERMINATING = "terminating"


class InterruptionKind(StrEnum):
    """What a cloud may say of a machine without being asked; the events that tell of it bear these names."""

    SPOT_INTERRUPTION = "SpotInterruption"  # it is taken back at the deadline
    REBALANCE_RECOMMENDATION = "RebalanceRecommendation"  # a spot machine is likelier than others to be taken back
    SCHEDULED_CHANGE = "ScheduledChange"  # its host is to be mended: it goes down at the deadline
    STATE_CHANGE = "StateChange"  # it has started, stopped or ended


class ClaimCondition(StrEnum):
    """The conditions a claim reports. What went wrong with a machine is said here, by its reason."""

    LAUNCHED = "Launched"  # Unknown while the cloud is being asked
    REGISTERED = "Registered"  # its node is there
    WARMED_UP = "WarmedUp"  # False: it never will be
    WOKEN = "Woken"  # False: the last wake failed, or somebody else changed what it did
    READY = "Ready"  # its node takes pods
    DRAINED = "Drained"  # no pods are left that would have to move
    ENDED = "Ended"  # somebody else ended its machine; False: the cloud would not end it yet


OVER_LIMIT = "OverLimit"
"""The reason of a claim that was not launched because its machine would be one too many: nothing is wrong with it."""

ENDED_OUTSIDE = "EndedOutside"
"""The reason of a claim whose machine is gone although nobody here wanted that."""

SPOT_REPLACEMENT = "SpotReplacement"
"""The reason why a pool's on-demand machine leaves service: a spot machine has taken its place."""


class Decision(Struct):
    """Why the wish is what it is: the record that ``stratos explain`` tells."""

    reason: Annotated[
        str, described("One of Replenish, ScaleUp, ScaleDown, Recycle, WarmupFailed, PoolDeleted, Drift …")
    ]
    message: Annotated[str, described("The decision in a sentence.")]
    at: Annotated[datetime, described("When it was made.")]
    pods: Annotated[tuple[str, ...], described("The pods it was made for, as namespace/name.")] = ()
    rejected: Annotated[tuple[str, ...], described("What was considered and not chosen, and why.")] = ()


class Departure(Struct):
    """That its machine is to leave service, written before anything is touched. It is carried out or taken back."""

    reason: Annotated[
        str,
        described(
            "Empty, Underutilized, Cheaper, Drifted, Expired, Interruption or Unhealthy; of pools also SpotReplacement."
        ),
    ]
    message: Annotated[str, described("The reason in a sentence.")]
    at: Annotated[datetime, described("When it was decided.")]
    replacements: Annotated[tuple[str, ...], described("Claims whose machines have to be ready before.")] = ()
    pods: Annotated[Count, described("How many pods were to move: the more, the longer it may take.")] = 0
    then: Annotated[Wanted, described("What the machine comes to when its pods have left: gone or standby.")] = (
        Wanted.GONE
    )


class ClaimInterruption(Struct):
    """What the cloud says is to happen to the machine, written before anything is done about it."""

    kind: Annotated[InterruptionKind, described("SpotInterruption, RebalanceRecommendation or ScheduledChange.")]
    noticed_at: Annotated[datetime, described("When the cloud said so.")]
    deadline: Annotated[datetime | None, described("When the machine goes down. Unset: the cloud does not say.")] = None
    answered_at: Annotated[
        datetime | None, described("When machines for its pods had been asked for; before, none of them is moved.")
    ] = None


class NodeSettings(Struct):
    """How the node of a template's machine looks. Kept here, so that edits of the template touch only new nodes."""

    labels: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    startup_taints: Annotated[tuple[Taint, ...], described("Placed at the start; somebody else removes them.")] = ()
    max_pods: int | None = None
    join_timeout: Annotated[Duration, described("A machine that has not joined by then is given up.")] = "10m"
    drain_timeout: Annotated[Duration, described("How long evicting its pods may take.")] = "5m"


class NodeClaimSpec(Struct):
    node_class_ref: Annotated[NodeClassRef, described("The class that launches it.")]
    wanted: Annotated[Wanted, described("What the machine should come to.")]
    pool: Annotated[str, described("The NodePool this machine belongs to. Empty: none, see template.")] = ""
    template: Annotated[str, described("The NodeTemplate it was made from. Empty: none, see pool.")] = ""
    wakes: Annotated[Count, described("How often it has been woken; with the uid, the token of a start.")] = 0
    instance_type: Annotated[str, described("What to launch. Empty: the type of the class.")] = ""
    capacity_type: Annotated[str, described("on-demand or spot.")] = "on-demand"
    zone: Annotated[
        str, described("For a template's machine the only zone, for a pool's the one to try first. Empty: any.")
    ] = ""
    price_usd_per_hour: Annotated[float | None, described("The price it was chosen for, in US dollars per hour.")] = (
        msgspec.field(default=None, name="priceUSDPerHour")
    )
    node: Annotated[NodeSettings | None, described("How the node of a template's machine looks.")] = None
    decision: Annotated[Decision | None, described("Why the wish is what it is.")] = None
    departure: Annotated[Departure | None, described("Why it is about to leave service. Unset: it stays.")] = None
    interruption: Annotated[
        ClaimInterruption | None, described("What the cloud is about to do to its machine. Unset: nothing.")
    ] = None

    @property
    def owner(self) -> str:
        """The name of its pool or template."""
        return self.pool or self.template


class NodeClaimStatus(Struct):
    conditions: tuple[Condition, ...] = ()
    state: Annotated[NodeState | None, described("Where the machine is in its life.")] = None
    state_since: datetime | None = None
    instance_id: Annotated[str, described("The cloud's name of the machine.")] = msgspec.field(
        default="", name="instanceID"
    )
    provider_id: str = msgspec.field(default="", name="providerID")
    node_name: str = ""
    instance_type: str = ""
    zone: str = ""
    image: str = ""
    price_usd_per_hour: float | None = msgspec.field(default=None, name="priceUSDPerHour")
    launched_at: datetime | None = None
    warmup_completed_at: datetime | None = None
    last_started_at: Annotated[datetime | None, described("When the cloud was last asked to start it.")] = None
    stopped_at: Annotated[
        datetime | None, described("When it was last found stopped: what its node said before is of no use.")
    ] = None
    ready_at: Annotated[datetime | None, described("When its node last became ready for pods.")] = None
    wakes_done: Annotated[int, described("How many of spec.wakes the cloud was asked for.")] = 0


class NodeClaim(KubeObject, kw_only=True):
    spec: Annotated[
        NodeClaimSpec,
        rules(
            (
                "(has(self.pool) && self.pool != '') != (has(self.template) && self.template != '')",
                "exactly one of pool and template is needed",
            )
        ),
    ]
    status: NodeClaimStatus = NodeClaimStatus()

    @property
    def wish(self) -> Wanted:
        """What it comes to in the end: deleting it, a warm-up that failed and a machine that was lost override.

        A spot machine cannot stop: not wanted in service, it goes.
        """
        warmed_up = find_condition(self.status.conditions, ClaimCondition.WARMED_UP)
        failed = warmed_up is not None and warmed_up.status == "False"
        lost = is_condition_true(self.status.conditions, ClaimCondition.ENDED)
        parted = self.is_spot and self.spec.wanted is Wanted.STANDBY
        over = failed or lost or parted or self.metadata.deletion_timestamp is not None
        return Wanted.GONE if over else self.spec.wanted

    @property
    def parks(self) -> bool:
        """Whether its machine can stand by: one of a template, or on spot, serves or goes."""
        return not self.spec.template and not self.is_spot

    @property
    def is_spot(self) -> bool:
        return self.spec.capacity_type == "spot"

    @property
    def price_usd_per_hour(self) -> float:
        """What its machine costs, and until that is there the price it was chosen for. 0 where nobody knows."""
        paid = self.status.price_usd_per_hour
        return (self.spec.price_usd_per_hour if paid is None else paid) or 0.0


NODE_CLAIM = Kind(
    group=GROUP, version="v1alpha1", plural="nodeclaims", kind="NodeClaim", namespaced=False, type=NodeClaim
)
