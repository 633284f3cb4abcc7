"""What a machine's node says of itself, and how it has to look in each part of the machine's life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from stratos.apis import labels
from stratos.apis.meta import find_condition
from stratos.apis.node import Node, NodeCondition, Taint
from stratos.apis.nodeclaim import NodeClaim, NodeClaimStatus, NodeState
from stratos.apis.nodepool import PoolTemplate

STANDBY_TAINT = Taint(key=labels.STANDBY_TAINT, effect="NoExecute")
DISRUPTED_TAINT = Taint(key=labels.DISRUPTED_TAINT, effect="NoSchedule")
NOT_READY_TAINT = Taint(key=labels.NOT_READY_TAINT, effect="NoSchedule", value="true")

_NETWORK_UP_REASONS = ("CiliumIsUp", "CalicoIsUp")


class Role(Enum):
    """What a node is for at the moment: it decides about its cordon and its taints."""

    PREPARED = auto()  # cordoned; DaemonSets may run
    PARKED = auto()  # cordoned, nothing may run: the machine stops, or is stopped
    SERVING = auto()
    LEAVING = auto()  # cordoned; pods leave at their own pace


@dataclass(frozen=True, slots=True)
class NodeShape:
    """Labels and annotations (None: removed), cordon and taints that a node should have."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]
    unschedulable: bool
    taints: tuple[Taint, ...]

    def fits(self, node: Node) -> bool:
        return (
            node.spec.unschedulable == self.unschedulable
            and same_taints(node.spec.taints or (), self.taints)
            and all(node.metadata.labels.get(key) == value for key, value in self.labels.items())
            and all(node.metadata.annotations.get(key) == value for key, value in self.annotations.items())
        )


def same_taints(one: tuple[Taint, ...], other: tuple[Taint, ...]) -> bool:
    return {_full(taint) for taint in one} == {_full(taint) for taint in other}


def shape_node(
    node: Node,
    claim: NodeClaim,
    status: NodeClaimStatus,
    template: PoolTemplate,
    role: Role,
    *,
    lifted: bool,
    just_started: bool = False,
) -> NodeShape:
    """How ``node`` should look in ``role``.

    ``lifted``: the network is up, or has been waited for long enough. ``just_started``: a machine that comes into
    service without having been parked, and so without its start-up taints.

    The cordon of a node in service is lifted only if it is ours: who cordons or drains a node by hand means it.
    """
    closed = role is not Role.SERVING
    ours = labels.CORDONED in node.metadata.annotations or has_taint(node, STANDBY_TAINT)
    taints = _taints(node.spec.taints or (), template, role, lifted=lifted, just_started=just_started)
    if role is Role.LEAVING and claim.spec.interruption is not None and DISRUPTED_TAINT not in taints:
        taints = (*taints, DISRUPTED_TAINT)
    annotations = _annotations(claim, status) | {labels.CORDONED: "true" if closed else None}
    if role is Role.PARKED:
        annotations[labels.INTERRUPTION] = None  # the next host of the machine is another
    return NodeShape(
        labels=_labels(claim, status, template, role),
        annotations=annotations,
        unschedulable=closed or (node.spec.unschedulable and not ours),
        taints=taints,
    )


def _labels(claim: NodeClaim, status: NodeClaimStatus, template: PoolTemplate, role: Role) -> dict[str, str | None]:
    own: dict[str, str | None] = {**labels_at_birth(claim), labels.INSTANCE_ID: status.instance_id}
    if status.state is not None and status.state_since is not None:
        own[labels.STATE] = status.state
        own[labels.STATE_SINCE] = str(int(status.state_since.timestamp()))
    # Stopped on purpose, it is no sign of trouble in its zone, and nothing to send traffic to.
    out_of_service = "true" if role in (Role.PREPARED, Role.PARKED) else None
    own |= dict.fromkeys((labels.EXCLUDE_DISRUPTION, labels.EXCLUDE_FROM_LOAD_BALANCERS), out_of_service)
    return template.node_labels | own


def labels_at_birth(claim: NodeClaim) -> dict[str, str]:
    """The labels of ours that a node joins with, whatever the template of its pool says."""
    whose = {labels.POOL: claim.spec.pool} if claim.spec.pool else {labels.TEMPLATE: claim.spec.template}
    settings = claim.spec.node.labels if claim.spec.node else {}
    return settings | whose | {labels.CAPACITY_TYPE: claim.spec.capacity_type}


def _annotations(claim: NodeClaim, status: NodeClaimStatus) -> dict[str, str | None]:
    starting = status.state is NodeState.RUNNING and not has_become_ready(status)
    held = claim.metadata.annotations
    return {
        labels.WARMUP_COMPLETED: _rfc3339(status.warmup_completed_at),
        labels.LAST_STARTED: _rfc3339(status.last_started_at),
        labels.SCALE_UP_STARTED: _rfc3339(status.last_started_at) if starting else None,
        labels.SCALE_DOWN_CANDIDATE_SINCE: held.get(labels.SCALE_DOWN_CANDIDATE_SINCE),
        labels.SPOT_REPLACEMENT_STARTED: held.get(labels.SPOT_REPLACEMENT_STARTED),
        labels.SPOT_REPLACING_NODE: held.get(labels.SPOT_REPLACING_NODE),
    }


def _taints(
    present: tuple[Taint, ...], template: PoolTemplate, role: Role, *, lifted: bool, just_started: bool
) -> tuple[Taint, ...]:
    ours = {_place(taint) for taint in (STANDBY_TAINT, NOT_READY_TAINT, *template.startup_taints, *template.taints)}
    wanted = [taint for taint in present if _place(taint) not in ours]
    wanted += template.taints
    at_start = (NOT_READY_TAINT,) if template.network_readiness_strategy == "Taint" else ()
    external = template.startup_taint_removal == "External"
    if role is Role.PARKED:
        wanted = [
            taint for taint in wanted if _place(taint) != _place(DISRUPTED_TAINT)
        ]  # it has gone, and may come back
        wanted += (STANDBY_TAINT, *at_start, *template.startup_taints)
    elif role is not Role.PREPARED:
        # What was placed while it was parked is taken away here, and never added. A node that was removed meanwhile has
        # registered anew: it bears the standby taint, and lacks the others that it would have been parked with.
        held = {_place(taint) for taint in present}
        parked = _place(STANDBY_TAINT) in held
        wanted += (taint for taint in at_start if not lifted and (parked or _place(taint) in held))
        wanted += (
            taint
            for taint in template.startup_taints
            if (external and just_started) or ((parked or _place(taint) in held) and (external or not lifted))
        )
    return tuple(dict.fromkeys(wanted))


def _place(taint: Taint) -> tuple[str, str]:
    """A node has at most one taint of a key and an effect."""
    return taint.key, taint.effect


def _full(taint: Taint) -> tuple[str, str, str]:
    return taint.key, taint.effect, taint.value


def has_become_ready(status: NodeClaimStatus) -> bool:
    """Since its last start."""
    return status.ready_at is not None and (status.stopped_at is None or status.ready_at > status.stopped_at)


def has_taint(node: Node, *wanted: Taint) -> bool:
    held = {_place(taint) for taint in node.spec.taints or ()}
    return any(_place(taint) in held for taint in wanted)


def is_node_ready(node: Node, stopped_at: datetime | None) -> bool:
    """Ready, and said so since the machine was last stopped: a stopped machine's node looks ready for a while."""
    condition = _fresh(node, "Ready", stopped_at)
    return condition is not None and condition.status == "True"


def is_network_up(node: Node, stopped_at: datetime | None) -> bool:
    networking = _fresh(node, "NetworkingReady", stopped_at)
    if networking is not None and networking.status == "True":
        return True
    unavailable = _fresh(node, "NetworkUnavailable", stopped_at)
    return unavailable is not None and unavailable.status == "False" and unavailable.reason in _NETWORK_UP_REASONS


def _fresh(node: Node, type_: str, stopped_at: datetime | None) -> NodeCondition | None:
    condition = find_condition(node.status.conditions, type_)
    if not isinstance(condition, NodeCondition):
        return None
    said_at = condition.last_heartbeat_time or condition.last_transition_time
    if stopped_at is not None and (said_at is None or said_at <= stopped_at):
        return None
    return condition


def _rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
