"""Decide the next steps for one machine: from what its claim wishes, where it is in its life, and what was seen of it.

The table at the end is the whole of it: one rule for each wish in each state. A rule returns the steps to take now, in
an order in which a crash between any two of them loses and doubles nothing, and says what it waits for. Steps can be
repeated: whoever comes after a crash plans again from what is then to be seen.

The law that shapes the order: a machine that stands by never takes pods. Its node is cordoned and tainted before the
cloud is asked to stop it, and opened only after the cloud has accepted to start it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from stratos.apis.meta import find_condition, with_condition
from stratos.apis.node import Taint
from stratos.apis.nodeclaim import OVER_LIMIT, ClaimCondition, NodeClaim, NodeClaimStatus, NodeState, Wanted
from stratos.planning.interruptions.notices import presses
from stratos.planning.pools.draft import ASLEEP, UNKNOWN_GRACE, UP, Draft
from stratos.planning.pools.drain import workload_pods
from stratos.planning.pools.endings import drain, end, lost, next_try, now_standby, stop
from stratos.planning.pools.nodes import (
    NOT_READY_TAINT,
    STANDBY_TAINT,
    Role,
    has_become_ready,
    has_taint,
    is_network_up,
    is_node_ready,
)
from stratos.planning.pools.steps import (
    DeleteNode,
    Empty,
    FindMachine,
    Launch,
    MachinePlan,
    Release,
    Start,
    Tell,
)
from stratos.planning.pools.warm_up import prepare
from stratos.snapshot.machine import MachineSnapshot, MachineState

STARTUP_TAINT_LIMIT = timedelta(minutes=2)
"""When pods are let on a started node whose network has not reported."""


def start_token(claim: NodeClaim) -> str:
    """The same for every attempt at one wake, another for each wake."""
    return f"{claim.metadata.uid}/{claim.spec.wakes}"


def wake_is_due(claim: NodeClaim) -> bool:
    """Whether the cloud has yet to be asked for the latest wake."""
    return claim.spec.wakes > claim.status.wakes_done


def wake_refused(claim: NodeClaim, reason: str, message: str, now: datetime) -> NodeClaimStatus:
    """The status after the cloud said no to a start: that wake is spent, and the pool decides anew."""
    others = tuple(held for held in claim.status.conditions if held.type != ClaimCondition.WOKEN)
    return msgspec.structs.replace(
        claim.status,
        wakes_done=claim.spec.wakes,
        # Set afresh, so that its time is that of this refusal and not of the first in a row.
        conditions=with_condition(others, ClaimCondition.WOKEN, False, reason=reason, message=message, now=now),
    )


def plan_machine(look: MachineSnapshot) -> MachinePlan:
    draft = Draft(look)
    return _TABLE[look.claim.status.state, look.claim.wish](draft)


# Before the launch


def _launch(draft: Draft) -> MachinePlan:
    """Ask for the machine; after a refusal, or an answer that was lost, the less often the longer it has been tried."""
    launched = find_condition(draft.status.conditions, ClaimCondition.LAUNCHED)
    if launched is not None and launched.status == "False" and draft.claim.spec.template:
        # It stands for one offering, and that cannot be had: whoever chose it chooses another.
        return draft.plan(f"provisioning to let it go: {launched.message}", follow=False)
    if launched is not None and launched.last_transition_time is not None:
        again_at = next_try(launched.last_transition_time, draft.claim.metadata.creation_timestamp)
        if draft.now < again_at:
            return draft.plan(f"another try: {launched.message}", draft.seconds_until(again_at))
    if draft.look.over_limit:
        draft.condition(ClaimCondition.LAUNCHED, False, OVER_LIMIT, draft.look.over_limit)
        return draft.plan(f"provisioning to let it go: {draft.look.over_limit}", follow=False)
    draft.do(Launch())
    return draft.plan("the cloud to accept the launch")


def _forget(draft: Draft) -> MachinePlan:
    """Never launched, or so it seems: make sure that no machine came of an attempt whose answer was lost."""
    launched = find_condition(draft.status.conditions, ClaimCondition.LAUNCHED)
    if launched is None or launched.status == "False":
        draft.do(Release())
        return draft.plan(follow=False)
    asked_at = launched.last_transition_time or draft.now
    if draft.now < asked_at + UNKNOWN_GRACE:
        draft.do(FindMachine())
        left = draft.seconds_until(asked_at + UNKNOWN_GRACE)
        return draft.plan("a machine to turn up from a launch whose answer was lost", left, follow=False)
    draft.do(FindMachine(), Release())
    return draft.plan(follow=False)


# Standing by


def _stand_by(draft: Draft) -> MachinePlan:
    if draft.is_gone:
        return lost(draft)
    draft.shape(Role.PARKED)
    if draft.seen is MachineState.STOPPED:
        # The kubelet that would confirm their end is off, and nothing runs there any more.
        left = tuple(sorted(p.metadata.key for p in draft.look.pods if p.metadata.deletion_timestamp is not None))
        if left:
            draft.do(Empty(delete=left, grace_seconds=dict.fromkeys(left, 0)))
        if draft.look.node is not None and draft.look.settings and draft.look.settings.standby_node == "Remove":
            draft.do(DeleteNode())  # its kubelet is off, and registers it anew at the next start
    elif draft.seen in UP and draft.seen_since(draft.status.state_since):
        draft.condition(ClaimCondition.WOKEN, False, "StartedOutside", "somebody else started its machine")
        return draft.plan("the pool to decide about a machine that somebody else started")
    return draft.plan(follow=draft.seen is not MachineState.STOPPED)


def _wake(draft: Draft) -> MachinePlan:
    if draft.is_gone:
        return lost(draft)
    if not wake_is_due(draft.claim):
        draft.shape(Role.PARKED)
        return draft.plan("the pool to decide again: this wake is spent")
    draft.do(Start(start_token(draft.claim)))
    draft.move(NodeState.RUNNING, wakes_done=draft.claim.spec.wakes, last_started_at=draft.now)
    draft.condition(ClaimCondition.WOKEN, True, "Started", "the cloud accepted the start")
    if draft.template.network_readiness_strategy == "None":
        draft.nominate()  # nothing keeps its node closed from here on
    draft.shape(Role.SERVING)
    draft.do(Tell("NodeStarted", f"{draft.name} is started from standby"))
    draft.tag_state(NodeState.RUNNING)
    return draft.plan("its node to be ready", STARTUP_TAINT_LIMIT.total_seconds())


# In service


def _serve(draft: Draft) -> MachinePlan:
    if draft.is_gone:
        return lost(draft)
    if draft.seen is MachineState.STOPPED and draft.seen_since(draft.status.last_started_at):
        draft.do(Tell("NodeStopped", f"{draft.name} was stopped by somebody else", warning=True))
        if not draft.claim.parks:  # its pods get another machine
            draft.condition(ClaimCondition.ENDED, True, "StoppedOutside", "somebody else stopped its machine")
            return draft.plan(look_again_seconds=0.0)
        draft.condition(ClaimCondition.WOKEN, False, "StoppedOutside", "somebody else stopped its machine")
        return now_standby(draft)
    if wake_is_due(draft.claim):
        draft.record(wakes_done=draft.claim.spec.wakes)  # it is awake: there is nothing to start
    node = draft.look.node
    if node is None:
        draft.condition(ClaimCondition.READY, False, "NoNode", "its machine has no node")
        return draft.plan("its node to join")
    ready = is_node_ready(node, draft.status.stopped_at)
    network = is_network_up(node, draft.status.stopped_at) or draft.template.network_readiness_strategy == "None"
    started = draft.status.last_started_at or draft.now
    lifted = (ready and network) or draft.now >= started + STARTUP_TAINT_LIMIT
    waiting = has_taint(node, NOT_READY_TAINT, STANDBY_TAINT, *_lifted_startup_taints(draft))
    if ready and (lifted or not waiting):
        if not has_become_ready(draft.status):
            draft.record(ready_at=draft.now)
        draft.condition(ClaimCondition.READY, True, "NodeReady", "its node takes pods")
    else:
        draft.condition(ClaimCondition.READY, False, "NodeNotReady", "its node does not take pods")
    notice = draft.claim.spec.interruption
    closing = notice is not None and notice.answered_at is not None and presses(draft.claim, draft.now)
    # A pod that still waits when the ledger has said for a while that this node takes pods, gets another machine.
    with draft.before_it_is_recorded():
        if waiting and lifted:
            draft.nominate()
        draft.shape(Role.LEAVING if closing else Role.SERVING, lifted=lifted)
    if waiting and lifted:
        if ready and network:
            draft.do(Tell("StartupTaintsRemoved", f"{draft.name} has its network and takes pods"))
        else:
            late = f"{draft.name} takes pods although its network was not reported within 2m"
            draft.do(Tell("StartupTaintTimeout", late, warning=True))
    if ready and lifted:
        return draft.plan(follow=False)
    return draft.plan("its node to be ready", draft.seconds_until(started + STARTUP_TAINT_LIMIT) or None)


def _lifted_startup_taints(draft: Draft) -> tuple[Taint, ...]:
    return draft.template.startup_taints if draft.template.startup_taint_removal == "WhenNetworkReady" else ()


# Leaving service


def _retire(draft: Draft) -> MachinePlan:
    """Close the node first: what is decided next shall not be overtaken by new pods."""
    if draft.is_gone:
        return lost(draft)
    draft.shape(Role.LEAVING)
    draft.move(NodeState.TERMINATING)
    # Forget earlier drains, so that the time of this one counts from now.
    others = (held for held in draft.status.conditions if held.type != ClaimCondition.DRAINED)
    draft.record(conditions=tuple(others))
    draft.condition(ClaimCondition.DRAINED, False, "Draining", "its node was closed")
    return draft.plan(look_again_seconds=0.0)


def _park(draft: Draft) -> MachinePlan:
    if draft.is_gone:
        return lost(draft)
    if draft.seen is MachineState.STOPPED:
        draft.do(Tell("NodeStopped", f"{draft.name} is stopped and stands by again"))
        return now_standby(draft)
    decision = draft.claim.spec.decision
    pods = workload_pods(draft.look.pods)
    if pods and decision is not None and decision.reason == "ScaleDown":
        # It was to leave because it was empty. It is not any more: the pool will want it back.
        draft.condition(ClaimCondition.DRAINED, False, "PodsArrived", f"{pods[0].metadata.key} runs there")
        return draft.plan("the pool to decide about a node that is in use again")
    return drain(draft) or stop(draft)


def _resume(draft: Draft) -> MachinePlan:
    """Wanted again while it was leaving: if it is not closed yet it just stays, otherwise it stops and is woken."""
    if draft.is_gone:
        return lost(draft)
    closed = draft.look.node is None or has_taint(draft.look.node, STANDBY_TAINT)
    if closed or draft.seen in ASLEEP:
        return _park(draft) if draft.claim.parks else _remove(draft)  # then its pods get another machine
    draft.move(NodeState.STANDBY, NodeState.RUNNING, wakes_done=draft.claim.spec.wakes)
    draft.shape(Role.SERVING, lifted=True)
    return draft.plan(look_again_seconds=0.0)


def _remove(draft: Draft) -> MachinePlan:
    if draft.status.state is not NodeState.TERMINATING:
        draft.move(NodeState.TERMINATING)
    if draft.is_gone or draft.seen in ASLEEP:
        return end(draft)
    return drain(draft) or end(draft)


_TABLE: dict[tuple[NodeState | None, Wanted], Callable[[Draft], MachinePlan]] = {
    (None, Wanted.STANDBY): _launch,
    (None, Wanted.RUNNING): _launch,
    (None, Wanted.GONE): _forget,
    (NodeState.WARMUP, Wanted.STANDBY): prepare,
    (NodeState.WARMUP, Wanted.RUNNING): prepare,
    (NodeState.WARMUP, Wanted.GONE): _remove,
    (NodeState.STANDBY, Wanted.STANDBY): _stand_by,
    (NodeState.STANDBY, Wanted.RUNNING): _wake,
    (NodeState.STANDBY, Wanted.GONE): _remove,
    (NodeState.RUNNING, Wanted.STANDBY): _retire,
    (NodeState.RUNNING, Wanted.RUNNING): _serve,
    (NodeState.RUNNING, Wanted.GONE): _retire,
    (NodeState.TERMINATING, Wanted.STANDBY): _park,
    (NodeState.TERMINATING, Wanted.RUNNING): _resume,
    (NodeState.TERMINATING, Wanted.GONE): _remove,
}
