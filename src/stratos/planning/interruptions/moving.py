"""Pods of interrupted machines, counted among those that wait: their next machine is asked for before they go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stratos.apis.meta import Condition
from stratos.apis.nodeclaim import NodeClaim, NodeState, Wanted
from stratos.apis.pod import Pod
from stratos.planning.interruptions.notices import presses
from stratos.planning.pools.drain import workload_pods

_TAKEN_BACK = Condition(
    type="PodScheduled", status="False", reason="Unschedulable", message="the cloud takes the machine of its node back"
)


def pods_to_move(claim: NodeClaim, pods: Sequence[Pod], now: datetime) -> tuple[Pod, ...]:
    """Of the ``pods`` on its node those that need another place, until they are asked to leave.

    Once they leave, whoever made them makes others, and these wait like all pods do. So do those that are started
    beside them while their machine departs with care.
    """
    serves = claim.status.state is NodeState.RUNNING and claim.wish is Wanted.RUNNING
    departs = claim.spec.departure is not None and not presses(claim, now)
    if claim.spec.interruption is None or not serves or departs:
        return ()
    return tuple(pod for pod in workload_pods(pods) if pod.metadata.deletion_timestamp is None)


def as_waiting(pod: Pod) -> Pod:
    """The pod as if it had no node and fitted on none."""
    others = tuple(held for held in pod.status.conditions if held.type != _TAKEN_BACK.type)
    return msgspec.structs.replace(
        pod,
        spec=msgspec.structs.replace(pod.spec, node_name=""),
        status=msgspec.structs.replace(pod.status, phase="Pending", conditions=(*others, _TAKEN_BACK)),
    )
